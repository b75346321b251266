"""The names of a model's classes, and which of its classes is which of a data set's.

imagenet_classes.txt names the 1,000 classes of ILSVRC 2012 (ImageNet), one a line in the order of
their numbers, as torchvision (BSD-3-Clause) lists them; imagenet_synsets.txt has their synsets and
all words for them in the same order, from timm (Apache-2.0), the words from WordNet (its licence).
"""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from vitnp.errors import Error

IMAGENET = 1000
MOST = 10           # names that a message lists of each side


def names_of(model):
    """Return the names of a Model's classes: its own, else ImageNet's for 1,000, else numbers.

    Where there are words for the names, such as those of synsets, it is the words.
    """
    if model.class_names is not None:
        return model.class_descriptions or model.class_names
    if model.config.classes == IMAGENET:
        return imagenet_names()
    return tuple(map(str, range(model.config.classes)))


def match_classes(model, names):
    """Return which of a Model's classes is each class of a data set, and a remark or None.

    names: those of the data set's classes, in their order, or None where it has none. The result is
    an integer array (classes of the data set,). Names are the same with small or large letters,
    blanks, hyphens or underscores; a name of several words with commas between them is each of
    them; ImageNet's classes are known by number, synset and word.
    Raises Error, with the differences, where both name other classes.
    """
    classes = model.config.classes
    own = model.class_names
    if own is not None and tuple(own) == names:
        return np.arange(classes), None
    if names is None:
        check_counts(classes, names, own)
        return np.arange(classes), "the data have no names of classes, which are taken by number"
    found = find_all(names, tables_of(model))
    if own is None and not any(found):
        check_counts(classes, names, own)
        return np.arange(classes), ("the checkpoint does not name its classes: they are taken by "
                                    f"number, 0 for {names[0]!r}")
    check_same(names, found, names_of(model))
    numbers = np.array([min(each) for each in found])
    if own is None:
        return numbers, "the checkpoint does not name its classes: they are taken for " + (
            "ImageNet's" if classes == IMAGENET else "the numbers that the data's are named by")
    return numbers, "the classes are matched by name"


def check_counts(classes, names, own):
    """Raise Error where the numbers of classes differ, and names say nothing."""
    if names is not None and len(names) != classes:
        raise Error(f"the checkpoint has {classes} classes without names, the data have "
                    f"{len(names)}")


def check_same(names, found, own):
    """Raise Error unless each class of the data is one of the model's, and all of those are there.

    found: for each name the set of classes that it stands for; own: the model's names.
    """
    owners = defaultdict(list)
    for name, classes in zip(names, found, strict=True):
        if len(classes) > 1:
            raise Error(f"the name {name!a} stands for several classes of the checkpoint, such as "
                        f"those of the numbers {listed(map(str, sorted(classes)))}")
        for k in classes:
            owners[k].append(name)
    for k, both in owners.items():
        if len(both) > 1:
            raise Error(f"the names {listed(both)} stand for one class of the checkpoint, "
                        f"{own[k]!a}")
    new = [name for name, classes in zip(names, found, strict=True) if not classes]
    lacking = [name for k, name in enumerate(own) if k not in owners]
    if new or lacking:
        parts = [f"only {side} {listed(each)}" for side, each in
                 (("the checkpoint has", lacking), ("the data have", new)) if each]
        raise Error("the checkpoint and the data name other classes: " + ", ".join(parts))


def listed(names):
    """Return names as a list in words, the first ten of many."""
    names = list(names)
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(ascii(name[:60]) for name in names[:MOST]) + more


def find_all(names, tables):
    """Return for each name the set of classes that it stands for: one where that is clear.

    tables: see tables_of. Of several classes, those that another name stands for are left out.
    """
    found = []
    for name in names:
        keys = (name, name, plain(name), plain(name), plain(name))
        hits = (table[key] for key, table in zip(keys, tables, strict=True) if key in table)
        found.append(set(next(hits, ())))
    taken = None
    while taken != (taken := {k for classes in found if len(classes) == 1 for k in classes}):
        found = [classes - taken or classes if len(classes) > 1 else classes for classes in found]
    return found


def tables_of(model):
    """Return dicts name → set of the classes that go by it, from the strictest way to the loosest.

    Ways: the model's own name or ImageNet's, letter by letter; either of them, plain; a part of any
    of them between commas.
    """
    own, imagenet = [], imagenet_of(model)
    for k in range(model.config.classes):
        if model.class_names is not None:
            own.append([model.class_names[k], *(model.class_descriptions or ())[k:k + 1]])
        else:
            own.append([] if imagenet[k] else [str(k)])
    return ways(own, imagenet)


def ways(own, imagenet):
    """Return the tables of lists of names, one list a class; see tables_of."""
    parts = [[plain(part) for name in (*mine, *more) for part in name.split(",")]
             for mine, more in zip(own, imagenet, strict=True)]
    return list(map(table, (own, imagenet, plains(own), plains(imagenet), parts)))


def plains(said):
    """Return lists of names as lists of plain ones."""
    return [list(map(plain, each)) for each in said]


def table(said):
    """Return a dict name → set of the numbers of the classes whose lists have that name."""
    result = defaultdict(set)
    for k, names in enumerate(said):
        for name in names:
            result[name].add(k)
    return dict(result)


def imagenet_of(model):
    """Return for each class all names that ImageNet has for it, none where it is none of those."""
    classes, names = model.config.classes, model.class_names
    if classes != IMAGENET:
        return [()] * classes
    keys = imagenet_keys()
    if names is None:
        return keys
    found = find_all(names, ways(keys, [()] * IMAGENET))
    if not all(found):
        found = find_all([name.split(",")[0] for name in names], ways(keys, [()] * IMAGENET))
    # Of several classes of ImageNet's, it is the one with the same number
    return [keys[k if k in numbers else min(numbers)] if k in numbers or len(numbers) == 1 else ()
            for k, numbers in enumerate(found)]


def plain(name):
    """Return a name without what differs between folders and lists of names."""
    return re.sub(r"[\s_\-/]+", " ", name).strip().casefold()


def imagenet_names():
    """Return the names of ImageNet's 1,000 classes."""
    path = Path(__file__).with_name("imagenet_classes.txt")
    return tuple(path.read_text(encoding="utf-8").splitlines())


def imagenet_keys():
    """Return a list of what each ImageNet class goes by: synset, torchvision's name and words."""
    path = Path(__file__).with_name("imagenet_synsets.txt")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [[*line.split(" ", 1), name]
            for line, name in zip(lines, imagenet_names(), strict=True)]
