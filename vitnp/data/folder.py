"""A folder of pictures: train/NAME/*.jpg and test/NAME/*.jpg, one folder for each class."""

import os
from pathlib import Path

import numpy as np

from vitnp.common.randomness import generator
from vitnp.data.dataset import Dataset, check_class_names
from vitnp.data.picture import SUFFIXES
from vitnp.data.pictures import Decoders, Pictures
from vitnp.data.preprocess import is_size, whole
from vitnp.errors import Error

SPLIT_SEED = 0  # fixed once, before any score was known


def load(data_dir, image_size, workers, preprocess=None):
    """Return the Dataset "folder", whose images are Pictures (count, height, width, C).

    The classes are the folders in `train`, sorted by name, and their pictures the files in them
    with one of SUFFIXES, sorted by name; hidden ones and folders further down are ignored, and
    links are followed. Pictures to test with lie in `test`, or where that is missing in `val`;
    where both are missing, see split. image_size: a side, or (height, width); workers: processes
    that decode; 0 or 1: this one; preprocess: how pictures are read, by default whole.
    Raises Error for fewer than two classes, a class without pictures, and one only in the test.
    """
    size = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    if not is_size(size):
        raise Error(f"the size of the images is {image_size}, but must be a whole number above 0")
    preprocess = (preprocess or whole(size)).with_size(size)
    data_dir = Path(data_dir)
    train_dir = data_dir / "train"
    if not train_dir.is_dir():
        raise Error(f"{data_dir} holds no folder train; needed are train/NAME with the pictures "
                    "of each class, and, where there are pictures to test with, test/NAME")
    train = find_pictures(train_dir)
    class_names = tuple(train)
    check_class_names(class_names, train_dir)
    test_dirs = [data_dir / name for name in ("test", "val") if (data_dir / name).is_dir()]
    if test_dirs:
        test = find_pictures(test_dirs[0])
        check_classes(test, class_names, test_dirs[0])
    else:
        train, test = split(train)
    decoders = Decoders(workers)
    parts = []
    for pictures in (train, test):
        paths = [path for name in class_names for path in pictures.get(name, ())]
        counts = [len(pictures.get(name, ())) for name in class_names]
        labels = np.repeat(np.arange(len(class_names), dtype=np.int64), counts)
        parts += [Pictures(tuple(paths), preprocess, decoders), labels]
    if not len(parts[2]):
        raise Error(f"{data_dir} has one picture a class and no folder test; add one, or more "
                    "pictures to split a part off")
    return Dataset("folder", *parts, class_names)


def find_pictures(folder):
    """Return {class name: paths of its pictures}, both sorted, of a folder with one a class."""
    names = sorted(entry.name for entry in list_folder(folder) if entry.is_dir())
    pictures = {name: sorted(entry.path for entry in list_folder(folder / name)
                             if is_picture(entry)) for name in names}
    empty = [name for name in names if not pictures[name]]
    if empty:
        raise Error(f"{folder / empty[0]} holds no pictures; remove it, or add some (possible are "
                    f"files whose names end in {', '.join(SUFFIXES)})")
    return pictures


def list_folder(folder):
    """Return the entries of a folder that are not hidden."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise Error(f"{folder} cannot be read ({error.strerror or error})") from None


def is_picture(entry):
    """Tell whether an entry is a file with one of SUFFIXES; raise Error for a dead link."""
    if not entry.name.lower().endswith(SUFFIXES):
        return False
    if entry.is_symlink() and not os.path.exists(entry.path):
        # Left out in silence, a set of moved links would shrink without a word.
        raise Error(f"{entry.path} is a link to a file that is not there; mend or remove it")
    return entry.is_file()


def check_classes(pictures, class_names, folder):
    """Raise Error unless there are classes to test, all of which are trained too."""
    if not pictures:
        raise Error(f"{folder} holds no folders; one with pictures is needed for each class")
    unknown = sorted(set(pictures) - set(class_names))
    if unknown:
        raise Error(f"{folder} has the class {unknown[0]!a}, but {folder.with_name('train')} has "
                    "no such folder; each class needs pictures to train on")


def split(pictures):
    """Return (train, test), both {class name: paths}, the same ones on every machine.

    Of each class a tenth goes to the test part, rounded, and at least one picture where there are
    two; those with the smallest random keys are drawn. Order is kept. A class' split depends on
    its number and on how many pictures it has, not on the other classes.
    """
    train, test = {}, {}
    for label, (name, paths) in enumerate(pictures.items()):
        test_count = min(max(round(len(paths) / 10), 1), len(paths) - 1)
        # Sorting by keys, as in digits.split: other ways to draw may change with NumPy.
        keys = generator(SPLIT_SEED, "split", label).random(len(paths))
        drawn = set(np.argsort(keys, kind="stable")[:test_count].tolist())
        test[name] = [path for i, path in enumerate(paths) if i in drawn]
        train[name] = [path for i, path in enumerate(paths) if i not in drawn]
    return train, test
