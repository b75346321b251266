"""Which pictures a run began with, and in which part: kept by the run, compared when it goes on."""

import os
from dataclasses import replace
from pathlib import Path

from vitnp.common.files import read_packed_json, write_packed_json
from vitnp.data.parts import key
from vitnp.data.scan import identity_of, pictures, shortened
from vitnp.errors import Error

NAME = "pictures.json.gz"
FORMAT = 1
CURE = "bring it back from a copy, or start another run"


def of(root, parts):
    """Return the fingerprint of part → class → files: what `write` keeps."""
    pictures = {part: {name: [[file.name, file.size] for file in files]
                       for name, files in classes.items()} for part, classes in parts.items()}
    return {"format": FORMAT, "root": os.path.realpath(root), "pictures": pictures}


def listed(kept, parts=("train", "validation", "test")):
    """Return name → bytes of the pictures of some parts of a fingerprint."""
    return {name: size for part in parts for files in kept["pictures"].get(part, {}).values()
            for name, size in files}


def write(folder, content):
    """Keep a fingerprint in the folder of a run."""
    write_packed_json(Path(folder) / NAME, content)


def read(folder):
    """Return the fingerprint in the folder of a run, or None where an old run has none."""
    path = Path(folder) / NAME
    return checked(read_packed_json(path, CURE), path, CURE) if path.exists() else None


def checked(content, path, cure):
    """Return what was read from a file, if it has the form of a fingerprint, or raise Error."""
    try:
        right = content["format"] == FORMAT and isinstance(content["root"], str) and all(
            isinstance(name, str) and isinstance(size, int)
            for name, size in listed(content).items())
    except (KeyError, TypeError, ValueError, AttributeError):
        right = False
    if not right:
        raise Error(f"{path} is damaged: it does not list pictures; {cure}")
    return content


def compare(kept, today):
    """Return lines that say what was added, removed and changed between two fingerprints."""
    before, now = listed(kept), listed(today)
    changes = {"added": [name for name in now if name not in before],
               "removed": [name for name in before if name not in now],
               "changed": [name for name in now if before.get(name, now[name]) != now[name]]}
    lines = [f"{pictures(names)} {what} since the run began: {shortened(names)}"
             for what, names in changes.items() if names]
    sizes = {before[name] for name in changes["removed"]}
    renamed = [name for name in changes["added"] if now[name] in sizes]
    if renamed:
        lines.append(f"{len(renamed):,} of the added have the size of a removed one, and may be "
                     f"the same picture under another name: {shortened(renamed)}")
    return lines


def restore(parts, kept, evaluating=False):
    """Return part → class → files in which every picture has the part that the run gave it.

    parts: as assigned today. Added pictures join validation and test, where they lie there today,
    but are not trained on; the place of a removed one to train on is taken by another one of its
    class, so that an epoch has the same steps. Raises Error where a class has none left, unless
    the run is only evaluated.
    """
    classes_today = {name for classes in parts.values() for name in classes}
    today = {file.name: file for classes in parts.values() for files in classes.values()
             for file in files}
    restored, known = {}, listed(kept)
    for part, classes in kept["pictures"].items():
        restored[part] = {name: [today[one] for one, _ in files if one in today]
                          for name, files in classes.items()
                          if name in classes_today or not evaluating}
    for name, files in () if evaluating else kept["pictures"].get("train", {}).items():
        left = restored["train"][name]
        if not left:
            raise Error(f"all pictures of the class {name!a} that the run was trained on are "
                        "gone; put them back, or start another run")
        restored["train"][name] = [
            today.get(one) or replace(left[int(key(one) * len(left))], name=one)
            for one, _ in files]
    for part in ("validation", "test"):
        for name, files in parts.get(part, {}).items():
            chosen = restored.setdefault(part, {}).setdefault(name, [])
            chosen += [file for file in files if file.name not in known]
            chosen.sort(key=lambda file: file.name)
    return restored


def trained_on(kept, today, part):
    """Return the names of a part's pictures that a run was trained on, by name and size.

    kept: the fingerprint of the run; today: that of the data. Where the two have different roots,
    of which none lies in the other, the names below the parts' folders are compared.
    """
    known = set(listed(kept, ("train",)).items())
    inside = os.path.relpath(today["root"], kept["root"]).replace(os.sep, "/")
    prefix = "" if inside == "." else f"{inside}/"
    if inside.startswith(".."):
        known |= {(identity_of(name), size) for name, size in known}
    return [name for name, size in listed(today, (part,)).items()
            if (f"{prefix}{name}", size) in known
            or (inside.startswith("..") and (identity_of(name), size) in known)]
