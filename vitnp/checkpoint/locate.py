"""Which file a path stands for: the folder of a run has several, another folder may have one."""

import os
from pathlib import Path

from vitnp import trained
from vitnp.checkpoint import detect
from vitnp.errors import Error

CHECKPOINT, PREVIOUS, BEST = (f"{name}.safetensors" for name in ("checkpoint", "previous", "best"))


def named(path):
    """Return a path as it is, or the folder of the network that comes along under that name.

    A file or folder of that name goes first.
    """
    if str(path) in trained.names() and not os.path.lexists(path):
        return trained.HERE / str(path)
    return path


def find(path, which="last"):
    """Return the file of a checkpoint and its layout, for a file or folder.

    which: "last" or "best" checkpoint of a run's folder. Raises Error for another word.
    """
    names = {"last": CHECKPOINT, "best": BEST}
    if which not in names:
        raise Error(f"which is {which!r}; possible are {', '.join(names)}")
    file = path = Path(named(path))
    if trained.holds(path):
        return path / BEST, "native"            # there is no other
    if os.path.isdir(path):
        foreign = None if is_run(path) else detect.find(path)
        file = foreign or file / names[which]
    return file, detect.layout_of(file)


def is_run(path):
    """Tell whether a path is the folder of a run with a checkpoint in it."""
    return any(os.path.isfile(Path(path) / name) for name in (CHECKPOINT, PREVIOUS, BEST))


def best_or_last(path):
    """Return "best" for the folder of a run that has such a checkpoint, else "last"."""
    return "best" if os.path.isfile(Path(path) / BEST) else "last"
