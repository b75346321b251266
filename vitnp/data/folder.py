"""A folder of pictures as a Dataset: train/NAME/*.jpg and test/NAME/*.jpg, a folder a class."""

from dataclasses import replace

import numpy as np

from vitnp.data import fingerprint, pack, parts, scan
from vitnp.data.dataset import Dataset
from vitnp.data.pictures import Decoders, Pictures
from vitnp.data.preprocess import is_size, whole
from vitnp.errors import Error

OLD_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
OLD = "old"         # in place of the fingerprint of a run that keeps none


def load(data_dir, image_size, workers, preprocess=None, kept=None, evaluating=False):
    """Return the Dataset "folder", whose images are Pictures (count, height, width, C).

    See scan.scan for which files belong to it, and parts.assign for their parts; data_dir may also
    be what pack.write made of such a folder. image_size: a side, or (height, width); workers:
    processes that decode; 0 or 1: this one; preprocess: how pictures are read, by default whole.
    kept: the fingerprint of a run, whose parts hold, or OLD. evaluating: there need be no pictures
    to train on, all of a folder without parts are for testing, and all are read as predict does.
    """
    size = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    if not is_size(size):
        raise Error(f"the size of the images is {image_size}, but must be a whole number above 0")
    preprocess = (preprocess or whole(size)).with_size(size)
    packed = pack.read(data_dir, preprocess) if pack.is_pack(data_dir) else None
    found = packed.found if packed else scan.scan(data_dir, not evaluating)
    before = None if kept in (None, OLD) else fingerprint.listed(kept)
    unknown = not before or before.keys().isdisjoint(file.name for file in found.files())
    divided = old_parts(found) if kept == OLD else parts.divide(found, evaluating, unknown)
    today = fingerprint.of(found.root, divided)
    notes = [*summary(found, divided), *scan.describe(found)]
    if before:
        notes += fingerprint.compare(kept, today)
        divided = fingerprint.restore(divided, kept, evaluating)
        today = fingerprint.of(found.root, divided)
    names = tuple(next(classes for classes in divided.values() if classes))
    held_out = divided.get("validation", {})
    taught = {name: sorted([*divided["train"].get(name, ()), *held_out.get(name, ())],
                           key=lambda file: file.name) for name in names}
    files, labels = in_a_row(taught, names)
    test_files, test_labels = in_a_row(divided["test"], names)
    held = {file.name for chosen in held_out.values() for file in chosen}
    trains = np.array([file.name not in held for file in files], bool)
    decoders = Decoders(workers)
    drafted = None if evaluating or kept == OLD else trains
    dataset = Dataset("folder", images_of(files, packed, preprocess, decoders, drafted), labels,
                      images_of(test_files, packed, preprocess, decoders), test_labels, names)
    if kept == OLD:
        return replace(dataset, notes=tuple(notes))
    # Shuffled by what follows from the names, so that the first few are among the first more
    keys = np.array([parts.key(file.identity) if taken else 1.0
                     for file, taken in zip(files, trains, strict=True)])
    return replace(dataset, training=np.argsort(keys, kind="stable")[:trains.sum()],
                   validation=np.flatnonzero(~trains), notes=tuple(notes), fingerprint=today)


def in_a_row(classes, names):
    """Return the files of all classes, and their labels, int64 (count,)."""
    files = [file for name in names for file in classes.get(name, ())]
    counts = [len(classes.get(name, ())) for name in names]
    return files, np.repeat(np.arange(len(names), dtype=np.int64), counts)


def images_of(files, packed, preprocess, decoders, drafted=None):
    """Return the images of some files: Pictures, or rows of a Pack."""
    paths = tuple(file.path for file in files)
    return packed.images(paths) if packed else Pictures(paths, preprocess, decoders, drafted)


def summary(found, divided):
    """Return lines that say how many pictures the classes and the parts have, and from where."""
    counts = {name: sum(len(classes.get(name, ())) for classes in divided.values())
              for name in next(classes for classes in divided.values() if classes)}
    least, most = min(counts, key=counts.get), max(counts, key=counts.get)
    each = (f"{counts[least]:,} in each" if counts[least] == counts[most] else
            f"{counts[least]:,} ({least}) to {counts[most]:,} ({most}) in each")
    lines = [f"{found.root}: {len(counts)} classes, {sum(counts.values()):,} pictures, {each}"]
    for part in ("train", "validation", "test"):
        classes = divided.get(part, {})
        folder = found.folders.get(part)
        files = [file for chosen in classes.values() for file in chosen]
        if not files:
            continue
        if folder:
            source = f"in {folder}"
        elif part == "test" and "validation" in found.folders:
            source = f"in {found.folders['validation']}, as there is no folder test"
        else:
            source = "drawn by their names"
        lines.append(f"{part}: {scan.pictures(files)}, {source}{without(classes, counts)}")
    return lines


def without(classes, names):
    """Return words for the classes of which a part has no picture."""
    empty = [name for name in names if not classes.get(name)]
    return f", none of {scan.shortened(empty)}" if empty else ""


def old_parts(found):
    """Return part → class → files as they were before parts followed from names.

    Only files in the classes' own folders counted, with OLD_SUFFIXES, and only the folders "test"
    and "val"; without them, see parts.split.
    """
    taken = {part: {name: [file for file in files if file.identity.count("/") == 1
                           and file.name.lower().endswith(OLD_SUFFIXES)]
                    for name, files in classes.items()} for part, classes in found.parts.items()}
    for part, name in (("test", "test"), ("validation", "val")):
        if part in taken and found.folders[part].name == name:
            return {"train": taken["train"], "test": taken[part]}
    train, test = parts.split(taken["train"])
    return {"train": train, "test": test}

