"""From files and arrays to labelled images and batches: one file a format."""

from dataclasses import replace

from vitnp.data import arrays, cifar, digits, folder, idx, pack
from vitnp.data.dataset import Dataset, split_validation
from vitnp.data.resized import prepared
from vitnp.data.sources import default_dir
from vitnp.errors import Error

__all__ = ["NAMES", "Dataset", "load", "split_validation"]

OLD = folder.OLD
# Folders of pictures: your own, and the published ones
FOLDERS = ("folder", "oxford-pets", "flowers-102")
NAMES = ("digits", "mnist", "fashion-mnist", "cifar10", "cifar100", *FOLDERS, "npz")
IMAGE_SIZE = 224        # of a folder's pictures, where nothing else is asked for


def load(name, data_dir=None, image_size=None, workers=1, preprocess=None, kept=None,
         evaluating=False):
    """Return the Dataset called `name`, one of NAMES, from the package or the folder data_dir.

    data_dir: by default where `python -m vitnp.data fetch` puts the set; image_size: the side to
    which images are resized, or (height, width), by default 224 for a folder's and their own for
    all others; workers: the processes that decode a folder's pictures; preprocess: the Preprocess
    that says how they are resized and cut, by default whole and with the bilinear filter; kept,
    evaluating: see folder.load.
    Raises Error for an unknown name, a data_dir that is missing or not wanted, and damaged files.
    """
    if name not in NAMES:
        raise Error(f"there is no data set {name!r}; possible are {', '.join(NAMES)}")
    if name in FOLDERS:
        data_dir = folder_of(name, data_dir)
        if image_size is None:
            image_size = pack.side_of(data_dir) if pack.is_pack(data_dir) else IMAGE_SIZE
        found = folder.load(data_dir, image_size, workers, preprocess, kept, evaluating)
        return replace(found, name=name)
    found = load_arrays(name, data_dir)
    channels = found.train_images.shape[3]
    if preprocess is not None and preprocess.channels != channels:
        raise Error(f"the images of {name} have {channels} channels, but the network takes "
                    f"{preprocess.channels}; choose other data, or another network")
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    return replace(found, train_images=prepared(found.train_images, size, preprocess),
                   test_images=prepared(found.test_images, size, preprocess))


def folder_of(name, data_dir):
    """Return the place of the pictures of a name in FOLDERS, or raise Error where there is none."""
    if data_dir is not None:
        return data_dir
    if name == "folder":
        raise Error("--data folder needs --data-dir, the place of the pictures")
    return fetched(name)


def fetched(name):
    """Return where a data set was fetched to, or raise Error where it was not."""
    data_dir = default_dir(name)
    if not data_dir.is_dir():
        raise Error(f"{name} is not in {data_dir}; fetch it with python -m vitnp.data fetch "
                    f"{name}, or name the folder that holds its files with --data-dir")
    return data_dir


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
    data_dir = data_dir or fetched(name)
    return cifar.load(name, data_dir) if name.startswith("cifar") else idx.load(name, data_dir)
