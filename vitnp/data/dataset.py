"""What a data set is, once it is read, and how a validation part is split off."""

from dataclasses import dataclass

import numpy as np

from vitnp.common.progress import Phase
from vitnp.common.randomness import generator
from vitnp.errors import Error

MOST_IN_STATISTICS, CHUNK = 10_000, 250     # images


@dataclass(frozen=True)
class Dataset:
    """Labelled images in a training and a test part, whatever files they came from.

    Images are uint8 (count, height, width, channels), or read like such an array (Pictures);
    labels are int64 (count,), counted from 0 in the order of class_names. training and
    validation: which of the training images train and validate, where that follows from the
    files; notes: lines for a person about what was found; fingerprint: which files they are, see
    vitnp.data.fingerprint.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    training: np.ndarray | None = None
    validation: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    fingerprint: dict | None = None

    def parts(self):
        """Return (training, validation): indices of the training images, in a shuffled order."""
        if self.training is None:
            return split_validation(self.train_labels)
        return self.training, self.validation


def check_part(images, labels, class_names, images_source, labels_source):
    """Raise Error unless there are images, one label for each, and a class for each label.

    images: (count, height, width, channels); labels: (count,), integers.
    images_source, labels_source: the files they came from, for the message.
    """
    if len(images) == 0:
        raise Error(f"{images_source} holds no images; at least one is needed")
    if len(images) != len(labels):
        raise Error(f"{images_source} holds {len(images)} images, but {labels_source} holds "
                    f"{len(labels)} labels; each image needs one label")
    outside = (labels < 0) | (labels >= len(class_names))
    if outside.any():
        position = int(np.argmax(outside))
        raise Error(f"{labels_source} has the label {int(labels[position])} at position "
                    f"{position}, but the labels of {len(class_names)} classes are "
                    f"0 to {len(class_names) - 1}")


def check_class_names(names, source):
    """Raise Error unless there are two names or more, all different and fit to be printed.

    source: the file or folder that they came from, for the message.
    """
    if len(names) < 2:
        raise Error(f"{source} names {len(names)} class{'' if len(names) == 1 else 'es'}, but at "
                    "least two are needed")
    for position, name in enumerate(names):
        if not name.strip() or not name.isprintable():
            raise Error(f"{source} has the class name {name!a} at position {position}; a name is "
                        "printable text in one line")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Error(f"{source} names the class {twice!a} twice")


def statistics(images, labels, training=None):
    """Return mean and standard deviation of each channel of the training part, from 0 to 1.

    images: uint8 (count, height, width, C), or Pictures; labels: (count,), for the split; or
    training: indices. Of more than 10,000 training images so many are read, spread evenly over
    the shuffled ones.
    """
    training = split_validation(labels)[0] if training is None else training
    chosen = training[::-(-len(training) // MOST_IN_STATISTICS)]
    counts = np.zeros((images.shape[-1], 256), np.int64)        # of each value, so exact
    with Phase("mean and deviation", "images", len(chosen)) as shown:
        for start in range(0, len(chosen), CHUNK):
            pixels = images[chosen[start:start + CHUNK]]
            for channel, count in enumerate(counts):
                count += np.bincount(pixels[..., channel].reshape(-1), minlength=256)
            shown.update(len(pixels))
    values = np.arange(256) / 255.0
    shares = counts / counts.sum(axis=1, keepdims=True)
    means = shares @ values
    deviations = np.sqrt((shares * (values - means[:, None]) ** 2).sum(axis=1))
    # A channel may be the same everywhere
    return tuple(means.tolist()), tuple(np.maximum(deviations, 1 / 255).tolist())


def split_validation(labels, fraction=0.1, seed=0):
    """Return (train_indices, validation_indices): the last `fraction` of the shuffled images.

    labels: (count,), those of the training part; indices: int64, in the shuffled order.
    Each side has at least one image. Raises Error for fewer than two images, and for a fraction
    that is not between 0 and 1.
    """
    count = len(labels)
    if not 0 < fraction < 1:
        raise Error(f"the fraction for validation is {fraction}, but must lie between 0 and 1")
    if count < 2:
        raise Error(f"a training part of {count} images cannot be split; training and validation "
                    "need at least one image each")
    order = generator(seed, "validation").permutation(count)
    validation_count = round(fraction * count)
    validation_count = min(max(validation_count, 1), count - 1)
    return order[:-validation_count], order[-validation_count:]
