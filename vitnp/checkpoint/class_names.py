"""The names of a model's classes.

imagenet_classes.txt names the 1,000 classes of ILSVRC 2012 (ImageNet), one a line in the order of
their numbers, as torchvision (BSD-3-Clause) lists them; some names stand for two classes.
"""

from pathlib import Path

IMAGENET = 1000


def names_of(model):
    """Return the names of a Model's classes: its own, else ImageNet's for 1,000, else numbers."""
    if model.class_names is not None:
        return model.class_names
    if model.config.classes == IMAGENET:
        return imagenet_names()
    return tuple(map(str, range(model.config.classes)))


def imagenet_names():
    """Return the names of ImageNet's 1,000 classes."""
    path = Path(__file__).with_name("imagenet_classes.txt")
    return tuple(path.read_text(encoding="utf-8").splitlines())
