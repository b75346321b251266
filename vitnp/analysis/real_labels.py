"""ImageNet-ReaL: a prediction is right when it is among all labels that people found fitting.

Source: Beyer et al. 2020, Are we done with ImageNet? real.json has, for each of the 50,000 pictures
of the validation part in the order of their names, a list of classes from 0 to 999.
"""

import json
import re
from pathlib import Path

import numpy as np

from vitnp.errors import Error

CLASSES = 1000
NAME = re.compile(r"(?:.*/)?ILSVRC2012_val_(\d{8})\.[A-Za-z]+")


def read(path):
    """Return the lists of classes in real.json, one a picture; raise Error for another file."""
    try:
        lists = json.loads(Path(path).read_text(encoding="utf-8"))
        whole = lists and isinstance(lists, list) and all(
            isinstance(classes, list) and all(
                isinstance(one, int) and 0 <= one < CLASSES for one in classes)
            for classes in lists)
    except OSError as error:
        raise Error(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise Error(f"{path} is no real.json: it must be a list with a list of classes, 0 to 999, "
                    "for each picture")
    return lists


def accuracy(lists, names, predicted, classes):
    """Return (accuracy, pictures that count): those without any label do not.

    names: of the pictures' files; predicted: class numbers (B,), in the order of `classes`, which
    must be all 1,000 of ImageNet in the order of their synsets.
    """
    if classes != CLASSES:
        raise Error(f"--real is for the {CLASSES:,} classes of ImageNet, but the data have "
                    f"{classes:,}")
    if len(names) != len(predicted):
        raise Error("--real is for pictures in folders, whose names tell which they are")
    right = []
    for name, one in zip(names, np.asarray(predicted).tolist(), strict=True):
        found = NAME.fullmatch(name)
        if not found or not 1 <= int(found[1]) <= len(lists):
            raise Error(f"{name} is no picture of ImageNet's validation part, such as "
                        "ILSVRC2012_val_00000001.JPEG, for which --real has labels")
        if labels := lists[int(found[1]) - 1]:
            right.append(one in labels)
    if not right:
        raise Error("none of these pictures has a label in the file of --real")
    return float(np.mean(right)), len(right)
