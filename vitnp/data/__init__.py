"""Labelled images: one file a source format, and `load`, which picks the file by name."""

from vitnp.data import arrays, cifar, digits, folder, idx
from vitnp.data.dataset import Dataset, split_validation
from vitnp.data.sources import default_dir
from vitnp.errors import Error

__all__ = ["NAMES", "Dataset", "load", "split_validation"]

NAMES = ("digits", "mnist", "fashion-mnist", "cifar10", "cifar100", "folder", "npz")
IMAGE_SIZE = 224        # of a folder's pictures, where nothing else is asked for


def load(name, data_dir=None, image_size=None, workers=1):
    """Return the Dataset called `name`, one of NAMES, from the package or the folder data_dir.

    data_dir: by default where `python -m vitnp.data fetch` puts the set; image_size, workers: the
    side to which a folder's pictures are resized, and the processes that decode them.
    Raises Error for an unknown name, a data_dir that is missing or not wanted, and damaged files.
    """
    if name not in NAMES:
        raise Error(f"there is no data set {name!r}; possible are {', '.join(NAMES)}")
    if image_size is not None and name != "folder":
        raise Error(f"the images of {name} have a size of their own; leave out --image-size "
                    f"(it was {image_size})")
    if name == "digits":
        if data_dir is not None:
            raise Error("digits comes with vitnp and is read from no folder; leave out "
                        f"--data-dir (it was {data_dir})")
        return digits.load()
    if name in ("folder", "npz"):
        if data_dir is None:
            kind = "pictures" if name == "folder" else "arrays"
            raise Error(f"--data {name} needs --data-dir, the place of the {kind}")
        if name == "npz":
            return arrays.load(data_dir)
        return folder.load(data_dir, image_size or IMAGE_SIZE, workers)
    if data_dir is None:
        data_dir = default_dir(name)
        if not data_dir.is_dir():
            raise Error(f"{name} is not in {data_dir}; fetch it with python -m vitnp.data fetch "
                        f"{name}, or name the folder that holds its files with --data-dir")
    return cifar.load(name, data_dir) if name.startswith("cifar") else idx.load(name, data_dir)
