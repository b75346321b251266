"""Read what students handed in, folders and .zip files, without trusting anything in them.

Nothing is unpacked to the disk, and no link is followed: only files with the names that the tasks
ask for are read, each of a limited size.
"""

import os
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vitnp.errors import Error

LARGEST_FILE, LARGEST_ARCHIVE = 2**18, 2**23    # bytes
MOST_ENTRIES, DEEPEST = 2000, 4


@dataclass(frozen=True)
class Submission:
    """What one student handed in: the texts of the files by name, and what was left out and why."""

    student: str
    sources: dict
    notes: tuple


def find(folder):
    """Return the paths of the submissions in a folder: its folders and .zip files, by name.

    Raises Error where there is none, and where a folder and a .zip have the same name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise Error(f"{folder} is no folder; give a folder with a folder or a .zip file for each "
                    "student")
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))
                   and (path.suffix.lower() == ".zip" or path.is_dir()))
    if not paths:
        raise Error(f"there is no submission in {folder}; a folder or a .zip file for each student "
                    "is expected")
    names = [student_of(path) for path in paths]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise Error(f"{folder} holds a folder and a .zip file of the name {twice[0]!r}; leave one")
    return paths


def student_of(path):
    """Return the name under which a submission is listed."""
    return path.name[:-4] if path.suffix.lower() == ".zip" else path.name


def read(path, wanted):
    """Return the Submission at a path; only files with a name in `wanted` are read.

    A file that cannot be taken is left out, and a note says why.
    """
    path, notes, sources = Path(path), [], {}
    try:
        if path.is_symlink():
            raise Error("it is a link, and links are not followed")
        reader = from_folder if path.is_dir() else from_archive
        for name, data in reader(path, wanted, notes):
            try:
                sources[name] = data.decode("utf-8-sig")
            except UnicodeDecodeError:
                notes.append(f"{name} is not text in UTF-8")
    except Error as error:
        notes.append(f"the submission cannot be read: {error}")
    except Exception as error:  # noqa: BLE001  zipfile raises nearly anything on damaged files
        notes.append(f"the submission cannot be read: {type(error).__name__}: {error}")
    return Submission(student_of(path), sources, tuple(notes))


def from_folder(folder, wanted, notes):
    """Yield (name, bytes) of the wanted files in a folder, the one nearest to its top of each."""
    found, waiting, entries = {}, [(Path(folder), 0)], 0
    for place, depth in waiting:                # grows while it is walked, level by level
        with os.scandir(place) as listing:
            for entry in listing:
                entries += 1
                if entries > MOST_ENTRIES:
                    raise Error(f"it holds more than {MOST_ENTRIES} files")
                if entry.name in wanted:
                    found.setdefault(entry.name, []).append((depth, entry.path))
                elif entry.is_dir(follow_symlinks=False) and depth < DEEPEST:
                    waiting.append((Path(entry.path), depth + 1))
    for name, places in sorted(found.items()):
        if chosen := nearest(name, places, notes):
            data = read_regular(chosen, name, notes)
            if data is not None:
                yield name, data


def nearest(name, places, notes):
    """Return the place of least depth among pairs (depth, place), or None with a note on two."""
    least = min(depth for depth, _ in places)
    first = [place for depth, place in places if depth == least]
    if len(first) > 1:
        notes.append(f"there are {len(first)} files {name}; leave one")
        return None
    return first[0]


def read_regular(path, name, notes):
    """Return the bytes of an ordinary file, or None with a note: no link, no pipe, not too large.

    What it is is asked of the open file, so that nothing can be exchanged in between.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        if os.path.islink(path):
            notes.append(f"{name} is a link, and links are not followed")
            return None
        with open(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                notes.append(f"{name} is no ordinary file")
                return None
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        notes.append(f"{name} cannot be read: {error.strerror or error}")
        return None
    return small(data, name, notes)


def from_archive(path, wanted, notes):
    """Yield (name, bytes) of the wanted files in a .zip, the one nearest to its top of each."""
    if path.stat().st_size > LARGEST_ARCHIVE:
        raise Error(f"the archive is larger than {LARGEST_ARCHIVE} bytes")
    with zipfile.ZipFile(path) as archive:
        found = {}
        for member in archive.infolist()[:MOST_ENTRIES]:
            parts = PurePosixPath(member.filename.replace("\\", "/")).parts
            if parts and parts[-1] in wanted and not parts[0].startswith("__MACOSX"):
                found.setdefault(parts[-1], []).append((len(parts), member))
        for name, places in sorted(found.items()):
            member = nearest(name, places, notes)
            if member is None:
                continue
            if stat.S_ISLNK(member.external_attr >> 16):
                notes.append(f"{name} is a link, and links are not followed")
                continue
            # Others unpack a whole block at once, however large it becomes
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                notes.append(f"{name} is packed in an unusual way; pack it as an ordinary .zip")
                continue
            with archive.open(member) as file:
                data = small(file.read(LARGEST_FILE + 1), name, notes)
            if data is not None:
                yield name, data


def small(data, name, notes):
    """Return the bytes of a file, or None with a note where they are too many."""
    if len(data) > LARGEST_FILE:
        notes.append(f"{name} is larger than {LARGEST_FILE} bytes")
        return None
    return data
