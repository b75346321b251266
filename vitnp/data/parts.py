"""Which picture is for training, validation or test: it follows from its name, not its place.

A picture that is added, removed or renamed so changes the part of no other one, save where a class
would have none left in a part.
"""

import hashlib

from vitnp.common.randomness import generator
from vitnp.errors import Error

SHARES = {"test": (0.0, 0.1), "validation": (0.1, 0.2)}
FEW = 10            # pictures: a class of fewer is left out of a part rather than trained on less
SPLIT_SEED = 0      # of the split by position, fixed once, before any score was known


def key(identity):
    """Return a number from 0 to below 1 that follows from a picture's identity alone."""
    digest = hashlib.sha256(identity.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def divide(found, evaluating=False, unknown=True):
    """Return part → class → files of a Scan, with a test part in any case.

    Where there is no folder test, that for validation is taken; a folder without parts is one for
    testing when a network is evaluated to which it is unknown.
    """
    given = dict(found.parts)
    if "test" not in given and "validation" in given:
        given["test"] = given.pop("validation")
    if evaluating and unknown and found.is_flat:
        given = {"test": given["train"]}
    if "train" not in given:
        return {"train": {}, "validation": {}} | given
    return assign(given, strict=not evaluating)


def assign(parts, strict=True):
    """Return part → class → files, with parts that have no folder taken from the training part.

    parts: those of a Scan. Of the training pictures, those whose key lies in the range of SHARES
    are for testing and validation, where there is no folder for that. A class of at least FEW
    pictures has at least half its share in each part, and every class one or more to train on.
    Raises Error where there are too few pictures for that, unless strict is false.
    """
    missing = [part for part in ("test", "validation") if part not in parts]
    assigned = {"train": {}} | {part: {} for part in missing}
    for name, files in parts["train"].items():
        for part, chosen in share_out(files, missing).items():
            assigned[part][name] = chosen
    for part in missing if strict else ():
        fill(assigned, part)
    return assigned | {part: parts[part] for part in parts if part != "train"}


def share_out(files, missing):
    """Return part → files of one class, each in their order."""
    ordered = sorted(files, key=lambda file: key(file.identity))
    part_of = {}
    for part in missing:
        low, high = SHARES[part]
        for file in ordered:
            if low <= key(file.identity) < high:
                part_of[file.name] = part
    least = max(len(files) // 20, 1) if len(files) >= FEW else 0
    for part in missing:
        lacking = least - list(part_of.values()).count(part)
        spare = [file for file in reversed(ordered) if file.name not in part_of]
        part_of |= {file.name: part for file in spare[:max(lacking, 0)]}
    if len(part_of) == len(files):
        del part_of[ordered[-1].name]
    return {part: [file for file in files if part_of.get(file.name, "train") == part]
            for part in ("train", *missing)}


def fill(assigned, part):
    """Move one picture to a part that would be empty, from a class that keeps another one."""
    if any(assigned[part].values()):
        return
    able = [(key(file.identity), name, file) for name, files in assigned["train"].items()
            for file in files if len(files) > 1]
    if not able:
        raise Error(f"there is one picture a class and no folder {part}; add one, or more "
                    "pictures to split a part off")
    _, name, file = min(able, key=lambda one: one[:2])
    assigned["train"][name].remove(file)
    assigned[part][name].append(file)


def split(pictures):
    """Return (train, test), both {class name: paths}, as runs had them that keep no fingerprint.

    Of each class a tenth goes to the test part, rounded, and at least one picture where there are
    two; those with the smallest random keys are drawn. Order is kept. A class' split depends on
    its number and on how many pictures it has, not on the other classes.
    """
    train, test = {}, {}
    for label, (name, paths) in enumerate(pictures.items()):
        test_count = min(max(round(len(paths) / 10), 1), len(paths) - 1)
        # Sorting by keys, as in digits.split: other ways to draw may change with NumPy.
        keys = generator(SPLIT_SEED, "split", label).random(len(paths))
        drawn = set(keys.argsort(kind="stable")[:test_count].tolist())
        test[name] = [path for i, path in enumerate(paths) if i in drawn]
        train[name] = [path for i, path in enumerate(paths) if i not in drawn]
    return train, test
