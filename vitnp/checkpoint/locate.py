"""Which file a path stands for: the folder of a run has several, another folder may have one."""

import os
from pathlib import Path

from vitnp.checkpoint import detect
from vitnp.errors import Error

CHECKPOINT, PREVIOUS, BEST = (f"{name}.safetensors" for name in ("checkpoint", "previous", "best"))


def find(path, which="last"):
    """Return the file of a checkpoint and its layout, for a file or folder.

    which: "last" or "best" checkpoint of a run's folder. Raises Error for another word.
    """
    names = {"last": CHECKPOINT, "best": BEST}
    if which not in names:
        raise Error(f"which is {which!r}; possible are {', '.join(names)}")
    file = Path(path)
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
