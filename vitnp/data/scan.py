"""What lies in a folder of pictures: which file is which class and part, and what is left out."""

import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from vitnp.common.progress import Phase
from vitnp.data.dataset import check_class_names
from vitnp.data.picture import SUFFIXES
from vitnp.errors import Error

PARTS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}
NEEDED = ("needed are train/NAME with the pictures of each class, and, where there are pictures to "
          "test with, test/NAME; or one folder NAME for each class and nothing else")


@dataclass(frozen=True)
class Found:
    """A picture file: where it is, what it is called below the set's folder, and its bytes."""

    path: str           # in a pack the number of its row
    name: str           # such as train/cat/a.png, always with "/"
    size: int

    @property
    def identity(self):
        """See identity_of."""
        return identity_of(self.name)


@dataclass
class Scan:
    """The pictures of a set: part → class → files, in the order of their names.

    folders: part → the folder of it, where it has one; left_out: why → the files and folders.
    """

    root: Path
    parts: dict = field(default_factory=dict)
    folders: dict = field(default_factory=dict)
    left_out: dict = field(default_factory=dict)

    @property
    def is_flat(self):
        """True where the classes' folders lie in the root, without one for the training part."""
        return self.folders.get("train") == self.root

    def files(self):
        """Return all Found files, in the order of parts and classes."""
        return [file for classes in self.parts.values() for files in classes.values()
                for file in files]

    def leave_out(self, why, path):
        """Note a file or folder that is not taken, and the reason."""
        self.left_out.setdefault(why, []).append(os.path.relpath(path, self.root))


def scan(root, training=True):
    """Return the Scan of a folder of pictures.

    A part is the folder of that name, however it is written (Test, VALID); where none is there,
    folders of classes are the training part. The pictures of a class are the files in its folder,
    at any depth, whose names end in one of SUFFIXES; links are followed. training: whether there
    must be pictures to train on. Raises Error for what is no such set: two folders for one part,
    fewer than two classes, a class without pictures, one that is only tested.
    """
    found = Scan(Path(root))
    entries = list_folder(found.root)
    folders = [entry for entry in entries if entry.is_dir() and not is_hidden(entry)]
    for entry in folders:
        part = part_of_name(entry.name)
        if part in found.folders:
            raise Error(f"{root} has two folders for the {part} part, {found.folders[part].name} "
                        f"and {entry.name}; keep one of them")
        if part:
            found.folders[part] = found.root / entry.name
    if not found.folders:
        check_flat(root, folders)
        found.folders["train"] = found.root
    elif "train" not in found.folders and training:
        raise Error(f"{root} holds no folder train; {NEEDED}")
    if not found.is_flat:
        for entry in entries:
            if not part_of_name(entry.name) or not entry.is_dir():
                note_beside(found, entry, "beside the parts' folders")
    with Phase("scanning", "pictures", None) as shown:
        for part in PARTS:
            if part in found.folders:
                found.parts[part] = read_part(found, found.folders[part], shown)
    check_parts(found)
    return found


def identity_of(name):
    """Return a picture's name without the part's folder, such as cat/a.png of train/cat/a.png."""
    first, _, rest = name.partition("/")
    return rest if part_of_name(first) else name


def part_of_name(name):
    """Return the part that a folder's name stands for, or None."""
    return next((part for part, names in PARTS.items() if name.lower() in names), None)


def check_flat(root, folders):
    """Raise Error unless folders may be those of classes."""
    like = [entry.name for entry in folders if entry.name.lower().startswith(("train", "test",
                                                                                "val", "eval"))]
    if not folders or like:
        hint = f" (rename {like[0]!a}?)" if like else ""
        raise Error(f"{root} holds no folder train{hint}; {NEEDED}")


def read_part(found, folder, shown):
    """Return class → Found files of one part, both in the order of their names."""
    classes = {}
    for entry in list_folder(folder):
        if entry.is_dir() and not is_hidden(entry):
            classes[entry.name] = sorted(walk(found, entry.path, {os.path.realpath(folder)}),
                                         key=lambda file: file.name)
            shown.update(len(classes[entry.name]))
        else:
            note_beside(found, entry, "outside of a class' folder")
    empty = sorted(name for name in classes if not classes[name])
    if empty:
        raise Error(f"{Path(folder) / empty[0]} holds no pictures; remove it, or add some "
                    f"(possible are files whose names end in {', '.join(SUFFIXES)})")
    return {name: classes[name] for name in sorted(classes)}


def walk(found, folder, above):
    """Yield the Found pictures in a folder and below; above: the folders that it lies in."""
    real = os.path.realpath(folder)
    if real in above:
        raise Error(f"{folder} is a link to a folder that it lies in; remove it")
    for entry in list_folder(folder):
        if is_hidden(entry):
            found.leave_out("hidden", entry.path)
        elif entry.is_dir():
            yield from walk(found, entry.path, above | {real})
        elif is_picture(entry):
            name = os.path.relpath(entry.path, found.root).replace(os.sep, "/")
            # macOS writes é as two characters, and the same picture must keep its part
            yield Found(entry.path, unicodedata.normalize("NFC", name), entry.stat().st_size)
        else:
            found.leave_out(why_no_picture(entry), entry.path)


def note_beside(found, entry, where):
    """Note a file or folder that belongs to no class."""
    if is_hidden(entry):
        found.leave_out("hidden", entry.path)
    elif entry.is_dir() or not entry.name.lower().endswith(SUFFIXES):
        found.leave_out(where, entry.path)
    else:
        found.leave_out(f"pictures {where}", entry.path)


def list_folder(folder):
    """Return the entries of a folder."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        raise Error(f"{folder} is not there; --data-dir names the folder of the pictures") from None
    except OSError as error:
        raise Error(f"{folder} cannot be read ({error.strerror or error})") from None


def is_hidden(entry):
    """Tell whether an entry's name says that it is not for people to see."""
    return entry.name.startswith(".")


def is_picture(entry):
    """Tell whether an entry is a file with one of SUFFIXES; raise Error for a dead link."""
    if not entry.name.lower().endswith(SUFFIXES):
        return False
    if entry.is_symlink() and not os.path.exists(entry.path):
        # Left out, a set of moved links would shrink
        raise Error(f"{entry.path} is a link to a file that is not there; mend or remove it")
    return entry.is_file()


def why_no_picture(entry):
    """Return the reason for which a file in a class' folder is left out."""
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix in SUFFIXES:
        return "no files but devices"
    return f"names that end in {suffix}" if suffix else "names without an ending"


def check_parts(found):
    """Raise Error unless there are classes, and all that are looked at are trained, too."""
    names = found.parts.get("train", found.parts.get("test", found.parts.get("validation")))
    first = found.folders.get("train", next(iter(found.folders.values())))
    if not names and found.is_flat:
        raise Error(f"{found.root} holds no folder train; {NEEDED}")
    check_class_names(tuple(names), first)
    for part in ("validation", "test"):
        folder = found.folders.get(part)
        if folder and not found.parts[part]:
            raise Error(f"{folder} holds no folders; one with pictures is needed for each class")
        unknown = sorted(set(found.parts.get(part, ())) - set(names))
        if unknown:
            raise Error(f"{folder} has the class {unknown[0]!a}, but {first} has no such folder; "
                        "each class needs pictures to train on")


def describe(found):
    """Return what was left out and what lies deeper, in lines for a person."""
    lines = []
    for why, names in sorted(found.left_out.items()):
        lines.append(f"left out, {why}: {len(names):,} ({shortened(names)})")
    deeper = [file.name for file in found.files() if file.identity.count("/") > 1]
    if deeper:
        lines.append(f"taken from deeper folders: {pictures(deeper)} ({shortened(deeper)})")
    return lines


def pictures(files):
    """Return how many files there are, such as "1 picture"."""
    return "1 picture" if len(files) == 1 else f"{len(files):,} pictures"


def shortened(names, most=3):
    """Return the first few names with commas between them, fit to be printed in a line."""
    shown = [name if name.isprintable() else ascii(name) for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most:,} more" if len(names) > most else "")
