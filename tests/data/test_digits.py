"""The packaged digits: right pixels, right labels, and one split for ever."""

import hashlib

import numpy as np
import pytest

from vitnp.data import digits, load
from vitnp.errors import Error


@pytest.fixture(scope="module")
def data():
    return load("digits")


def packaged_arrays():
    with np.load(digits.PATH, allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]


def test_the_packaged_file_is_small_and_has_the_values_of_the_source():
    images, labels = packaged_arrays()
    assert digits.PATH.stat().st_size < 200_000
    assert images.shape == (1797, 8, 8) and images.dtype == np.uint8
    assert labels.shape == (1797,) and labels.dtype == np.uint8
    # The first two rows of the first image, as published: transposed or flipped images differ.
    assert images[0, :2].tolist() == [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]]
    assert labels[:10].tolist() == list(range(10))
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_attribution_lies_beside_the_data():
    text = digits.PATH.with_suffix(".md").read_text(encoding="utf-8")
    for part in ("Alpaydin", "Kaynak", "10.24432/C50P49", "CC BY 4.0", "What was changed"):
        assert part in text


def test_parts_have_the_documented_shapes_and_types(data):
    assert data.name == "digits"
    assert data.train_images.shape == (1437, 8, 8, 1) and data.test_images.shape == (360, 8, 8, 1)
    assert data.train_labels.shape == (1437,) and data.test_labels.shape == (360,)
    assert data.train_images.dtype == data.test_images.dtype == np.uint8
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    assert data.class_names == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


def test_pixels_use_the_whole_range_and_are_rounded(data):
    # Cutting off instead of rounding gives 15, 31, 47, ...; scaling in uint8 overflows.
    expected = [0, 16, 32, 48, 64, 80, 96, 112, 128, 143, 159, 175, 191, 207, 223, 239, 255]
    assert digits.rescale(np.arange(17, dtype=np.uint8)).tolist() == expected
    assert np.unique(data.train_images).tolist() == expected


def test_images_keep_their_labels(data):
    # The nearest training image tells the digit; labels in another order would give 10 %.
    train = data.train_images.reshape(1437, 64).astype(np.float64)
    test = data.test_images.reshape(360, 64).astype(np.float64)
    distances = (train**2).sum(axis=1) - 2 * test @ train.T  # (360, 1437), up to a constant a row
    guesses = data.train_labels[distances.argmin(axis=1)]
    assert (guesses == data.test_labels).mean() > 0.97


def test_the_split_uses_each_image_once():
    _, labels = packaged_arrays()
    train, test = digits.split(labels)
    assert len(train) == 1437 and len(test) == 360
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(1797))


def test_the_split_never_changes():
    # Scores are compared across versions and machines: a new split would make them meaningless.
    _, labels = packaged_arrays()
    _, test = digits.split(labels)
    assert test[:10].tolist() == [17, 19, 24, 32, 34, 40, 43, 44, 49, 53]
    digest = hashlib.sha256(test.astype("<i8").tobytes()).hexdigest()
    assert digest == "db1f37edc590dac78eda0ed46947adcfe392a2fcc528e33cd143116803b973f8"


def test_each_class_has_its_share_of_the_test_part(data):
    # The exact shares are 35.66 36.46 35.46 36.66 36.26 36.46 36.26 35.86 34.86 36.06: down they
    # sum to 355, and the five with the largest remainders are those of 7, 8, 3, 0 and 1.
    counts = np.bincount(data.test_labels).tolist()
    assert counts == [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]


def test_shares_are_given_by_largest_remainders():
    assert digits.share_out(10, [50, 30, 20]).tolist() == [5, 3, 2]
    assert digits.share_out(4, [1, 1, 1]).tolist() == [2, 1, 1]
    assert digits.share_out(5, [13, 33, 54]).tolist() == [1, 1, 3]
    assert digits.share_out(3, [0, 1, 2]).tolist() == [0, 1, 2]


def test_a_folder_for_the_digits_is_refused(tmp_path):
    with pytest.raises(Error, match="leave out --data-dir"):
        load("digits", tmp_path)
