"""From files and arrays to labelled images and batches: one file a format."""

from dataclasses import replace

from vitnp.data import arrays, cifar, digits, folder, idx
from vitnp.data.dataset import Dataset, split_validation
from vitnp.data.resized import with_side
from vitnp.data.sources import default_dir
from vitnp.errors import Error

__all__ = ["NAMES", "Dataset", "load", "split_validation"]

NAMES = ("digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "folder", "npz")
IMAGE_SIZE = 224        # of a folder's pictures, where nothing else is asked for


def load(name, data_dir=None, image_size=None, workers=1):
    """Return the Dataset called `name`, one of NAMES, from the package or the folder data_dir.

    data_dir: by default where `python -m vitnp.data fetch` puts the set; image_size: the side to
    which images are resized, by default 224 for a folder's and their own for all others; workers:
    the processes that decode a folder's pictures.
    Raises Error for an unknown name, a data_dir that is missing or not wanted, and damaged files.
    """
    if name not in NAMES:
        raise Error(f"there is no data set {name!r}; possible are {', '.join(NAMES)}")
    if name == "folder":
        if data_dir is None:
            raise Error("--data folder needs --data-dir, the place of the pictures")
        return folder.load(data_dir, image_size or IMAGE_SIZE, workers)
    found = load_arrays(name, data_dir)
    if image_size is None:
        return found
    return replace(found, train_images=with_side(found.train_images, image_size),
                   test_images=with_side(found.test_images, image_size))


def load_arrays(name, data_dir):
    """Return the Dataset of a name whose images are arrays; see load."""
    if name == "digits":
        if data_dir is not None:
            raise Error("digits comes with vitnp and is read from no folder; leave out "
                        f"--data-dir (it was {data_dir})")
        return digits.load()
    if name == "npz":
        if data_dir is None:
            raise Error("--data npz needs --data-dir, the place of the arrays")
        return arrays.load(data_dir)
    if data_dir is None:
        data_dir = default_dir(name)
        if not data_dir.is_dir():
            raise Error(f"{name} is not in {data_dir}; fetch it with python -m vitnp.data fetch "
                        f"{name}, or name the folder that holds its files with --data-dir")
    return cifar.load(name, data_dir) if name.startswith("cifar") else idx.load(name, data_dir)
