"""The 1,797 handwritten digits of 8 x 8 pixels that come with the package (see digits.md)."""

from pathlib import Path

import numpy as np

from vitnp.common.randomness import generator
from vitnp.data.dataset import Dataset, check_part

PATH = Path(__file__).with_name("digits.npz")
CLASS_NAMES = tuple("0123456789")
LARGEST_VALUE = 16  # a pixel counts the ink dots in a square of 4 x 4
TEST_COUNT = 360
SPLIT_SEED = 0  # fixed once, before any score was known


def load():
    """Return the Dataset of 1,437 training and 360 test images, uint8 (count, 8, 8, 1)."""
    with np.load(PATH, allow_pickle=False) as arrays:
        images = rescale(arrays["images"])[..., np.newaxis]  # (1797, 8, 8, 1)
        labels = arrays["labels"].astype(np.int64)
    check_part(images, labels, CLASS_NAMES, PATH, PATH)
    train, test = split(labels)
    return Dataset("digits", images[train], labels[train], images[test], labels[test], CLASS_NAMES)


def rescale(values):
    """Return the values 0 to 16 as uint8 from 0 to 255, rounded."""
    return np.round(values * (255 / LARGEST_VALUE)).astype(np.uint8)


def split(labels):
    """Return (train_indices, test_indices), ascending, the same ones on every machine.

    labels: (count,). Each class gives its share of the TEST_COUNT test images, and within a class
    the images with the smallest random keys are drawn.
    """
    test_counts = share_out(TEST_COUNT, np.bincount(labels))
    # Sorting by keys, because NumPy may change how permutation() draws from one version to the
    # next, whereas random() is a plain reading of the generator's bits.
    keys = generator(SPLIT_SEED, "split").random(len(labels))
    in_test = np.zeros(len(labels), dtype=bool)
    for label, test_count in enumerate(test_counts):
        members = np.flatnonzero(labels == label)
        shuffled = members[np.argsort(keys[members])]
        in_test[shuffled[:test_count]] = True
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def share_out(total, class_counts):
    """Return how many of `total` fall to each class in proportion to class_counts, (classes,).

    By largest remainders: the exact shares are rounded down, and what is left goes, one each, to
    the classes that lost most (the earlier class where two lost the same).
    """
    class_counts = np.asarray(class_counts, dtype=np.int64)
    shares, remainders = np.divmod(total * class_counts, class_counts.sum())
    left = total - shares.sum()
    losers = np.argsort(-remainders, kind="stable")[:left]
    shares[losers] += 1
    return shares
