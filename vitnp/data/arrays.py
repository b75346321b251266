"""Images and labels from an .npz file, such as numpy.savez writes."""

import os
import zipfile
from pathlib import Path

import numpy as np

from vitnp.common import npz
from vitnp.data.dataset import Dataset, check_class_names, check_part
from vitnp.data.idx import MAX_BYTES, describe
from vitnp.errors import Error

NAMES = ("train_images", "train_labels", "test_images", "test_labels")
KERAS_NAMES = ("x_train", "y_train", "x_test", "y_test")
CLASS_NAMES = "class_names"
MAX_CLASSES = 100_000
POSSIBLE = "uint8 for images, integers for labels and strings for class names"


def load(data_dir):
    """Return the Dataset "arrays" from an .npz file, or from a folder that holds exactly one.

    The file has the arrays NAMES or KERAS_NAMES: images uint8 (count, height, width) or (count,
    height, width, channels), labels integers (count,); and, if wanted, class_names, an array of
    strings (else the classes are called "0", "1", ... up to the largest label for training).
    Raises Error for other names, types and shapes, and for a damaged file.
    """
    path = find_file(Path(data_dir))
    with npz.reading(path), open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        names = choose_names(archive, path)
        arrays = read_arrays(archive, names, path)
    sources = [f"{name} in {path}" for name in names]
    class_names = arrays.pop(CLASS_NAMES, None)
    if class_names is None:
        class_names = count_classes(arrays[names[1]], sources[1])
    else:
        class_names = check_names(class_names, f"{CLASS_NAMES} in {path}")
    train = check_arrays(*(arrays[name] for name in names[:2]), class_names, *sources[:2])
    test = check_arrays(*(arrays[name] for name in names[2:4]), class_names, *sources[2:4])
    if train[0].shape[1:] != test[0].shape[1:]:
        raise Error(f"{sources[0]} holds images of {describe(train[0].shape[1:])}, but "
                    f"{sources[2]} of {describe(test[0].shape[1:])}; one size is needed")
    return Dataset("arrays", *train, *test, class_names)


def find_file(path):
    """Return the path of the file itself, or of the one .npz file in a folder."""
    if os.path.isfile(path):
        return path
    if not os.path.isdir(path):
        raise Error(f"{path} is neither an .npz file nor a folder that holds one")
    try:
        found = sorted(name for name in os.listdir(path)
                       if name.endswith(".npz") and not name.startswith("."))
    except OSError as error:
        raise Error(f"{path} cannot be read ({error.strerror or error})") from None
    if len(found) != 1:
        raise Error(f"{path} holds {len(found)} .npz files, but one is needed; --data-dir may "
                    "also name the file itself")
    if not os.path.isfile(path / found[0]):
        # Also a pipe, which open() would wait for without end.
        raise Error(f"{path / found[0]} is a folder or a device, but an .npz file was expected")
    return path / found[0]


def choose_names(archive, path):
    """Return the names of the arrays to read: NAMES or KERAS_NAMES, and CLASS_NAMES if there."""
    found = npz.names(archive)
    for names in (NAMES, KERAS_NAMES):
        if set(names) <= set(found):
            return (*names, CLASS_NAMES) if CLASS_NAMES in found else names
    listed = ", ".join(ascii(name[:40]) for name in found[:10]) + ", ..." * (len(found) > 10)
    raise Error(f"{path} holds {'the arrays ' + listed if found else 'no arrays'}; needed are "
                f"{', '.join(NAMES)} (or {', '.join(KERAS_NAMES)})")


def read_arrays(archive, names, path):
    """Return {name: array} of the arrays called `names`, at most MAX_BYTES of them together."""
    total = sum(archive.getinfo(name + ".npy").file_size for name in names)
    if total > MAX_BYTES:
        raise Error(f"{path} announces {total} bytes of arrays, but at most {MAX_BYTES} are read")
    return {name: npz.read_array(archive, name, f"{name} in {path}", "uiU", POSSIBLE)
            for name in names}


def check_arrays(images, labels, class_names, images_source, labels_source):
    """Return images, uint8 (count, height, width, channels), and labels, int64 (count,)."""
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        raise Error(f"{images_source} has the shape ({describe(images.shape)}) and the type "
                    f"{images.dtype}, but images are uint8 (count, height, width) or (count, "
                    "height, width, channels)")
    check_labels(labels, labels_source)
    check_part(images, labels, class_names, images_source, labels_source)
    return (images[..., np.newaxis] if images.ndim == 3 else images), labels.astype(np.int64)


def check_labels(labels, source):
    """Raise Error unless labels are integers (count,)."""
    if labels.dtype.kind not in "ui" or labels.ndim != 1:
        raise Error(f"{source} has the shape ({describe(labels.shape)}) and the type "
                    f"{labels.dtype}, but labels are integers (count,)")


def count_classes(labels, source):
    """Return the names "0", "1", ... up to the largest of the labels (count,)."""
    check_labels(labels, source)
    count = int(labels.max()) + 1
    if not 2 <= count <= MAX_CLASSES:
        raise Error(f"{source} has the largest label {count - 1}, but without the array "
                    f"{CLASS_NAMES} it must be 1 to {MAX_CLASSES - 1}")
    return tuple(str(label) for label in range(count))


def check_names(names, source):
    """Return an array of class names as a tuple of str."""
    if names.dtype.kind != "U" or names.ndim != 1:
        raise Error(f"{source} has the shape ({describe(names.shape)}) and the type "
                    f"{names.dtype}, but class names are strings (classes,)")
    try:
        names = tuple(names.tolist())
    except ValueError:
        raise Error(f"{source} holds text that is no Unicode") from None
    check_class_names(names, source)
    return names
