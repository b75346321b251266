"""Labelled images: one file a source format, and `load`, which picks the file by name."""

from vitnp.data import digits, idx
from vitnp.data.dataset import Dataset, split_validation
from vitnp.errors import Error

__all__ = ["NAMES", "Dataset", "load", "split_validation"]

NAMES = ("digits", "mnist", "fashion-mnist")


def load(name, data_dir=None):
    """Return the Dataset called `name`, one of NAMES, from the package or the folder data_dir.

    Raises Error for an unknown name, a data_dir that is missing or not wanted, and damaged files.
    """
    if name not in NAMES:
        raise Error(f"there is no data set {name!r}; possible are {', '.join(NAMES)}")
    if name == "digits":
        if data_dir is not None:
            raise Error("digits comes with vitnp and is read from no folder; leave out "
                        f"--data-dir (it was {data_dir})")
        return digits.load()
    if data_dir is None:
        raise Error(f"{name} needs the files {', '.join(idx.FILES)} (each may end in .gz); "
                    "--data-dir names the folder that holds them")
    return idx.load(name, data_dir)
