"""The files of a submission, from folders and archives within each other.

Nothing is unpacked to the disk, and no link is followed.
"""

import os
import stat
import tarfile
import zipfile
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path, PurePosixPath

from vitnp.errors import Error

LARGEST_FILE, LARGEST_ARCHIVE = 2**18, 2**26    # bytes
MOST_MEMBERS, DEEPEST = 100_000, 40
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
OTHER_ARCHIVES = (".rar", ".7z", ".gz", ".xz", ".bz2")
LEFT_OUT = {".venv", "venv", "env", ".git", "__pycache__", "node_modules", "site-packages",
            "__MACOSX", ".ipynb_checkpoints", ".ci"}
OF_A_CLONE = {"tests", "tutorials"}             # beside the library, and the project's own


@dataclass(frozen=True)
class Member:
    """A file of a submission: its path in there, and how its bytes are read (limit → bytes)."""

    path: PurePosixPath
    read: object = field(compare=False)


def members_of(path, name, notes):
    """Yield the Members of a folder, an archive or a single file; archives within are opened."""
    if path.is_symlink():
        raise Error("it is a link, and links are not followed")
    if path.is_dir():
        found = list(in_folder(path, notes))
    elif path.is_file():
        found = [Member(name, lambda limit: regular(path, limit))]
    else:
        raise Error("it is no ordinary file or folder")
    for member in found:
        yield from opened(member, notes)


def opened(member, notes, depth=0):
    """Yield the Members of an archive, or the Member itself where it is none."""
    name = member.path.name.lower()
    if not name.endswith(ARCHIVES) or member.path.name.startswith("._"):
        if name.endswith(OTHER_ARCHIVES):
            notes.append(f"{member.path.name} is packed in a way that is not read; hand in a .zip")
        yield member
        return
    if depth > 1:
        notes.append(f"{member.path.name} is an archive in an archive in an archive")
        return
    data = member.read(LARGEST_ARCHIVE + 1)
    if len(data) > LARGEST_ARCHIVE:
        raise Error(f"{member.path.name} is larger than {LARGEST_ARCHIVE} bytes")
    for inner in (in_zip if name.endswith(".zip") else in_tar)(data, notes):
        inner = replace(inner, path=member.path.parent / inner.path)
        try:
            yield from opened(inner, notes, depth + 1)
        except (Error, OSError, zipfile.BadZipFile, tarfile.TarError) as error:
            notes.append(f"{inner.path.name} cannot be read: {error}")


def in_folder(folder, notes):
    """Yield the Members of a folder, level by level; those of environments are not looked at."""
    waiting, count = [(folder, PurePosixPath())], 0
    for place, inside in waiting:               # grows while it is walked
        try:
            listing = sorted(os.scandir(place), key=lambda entry: entry.name)
        except OSError as error:
            notes.append(f"the folder {inside} cannot be read: {error.strerror or error}")
            continue
        for entry in listing:
            count += 1
            if count > MOST_MEMBERS:
                notes.append(f"only the first {MOST_MEMBERS} files were looked at")
                return
            path = inside / entry.name
            if not entry.is_dir(follow_symlinks=False):
                yield Member(path, lambda limit, path=entry.path: regular(path, limit))
            elif entry.name not in LEFT_OUT and len(path.parts) <= DEEPEST:
                waiting.append((Path(entry.path), path))
            elif entry.name not in LEFT_OUT:
                notes.append(f"folders deeper than {DEEPEST} were not looked at")


def regular(path, limit):
    """Return up to `limit` bytes of an ordinary file; what it is is asked of the open file.

    Raises Error for a link, a pipe or a folder, so that nothing can be exchanged in between.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    if os.path.islink(path):
        raise Error("it is a link, and links are not followed")
    with open(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Error("it is no ordinary file")
        return file.read(limit)


def in_zip(data, notes):
    """Yield the Members of a .zip."""
    archive = zipfile.ZipFile(BytesIO(data))

    def read_one(info, limit):
        if stat.S_ISLNK(info.external_attr >> 16):
            raise Error("it is a link, and links are not followed")
        # Others unpack a whole block at once, however large it becomes
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Error("it is packed in an unusual way; pack it as an ordinary .zip")
        with archive.open(info) as file:
            return file.read(limit)

    for info in archive.infolist()[:MOST_MEMBERS]:
        if not info.is_dir():
            path = PurePosixPath(info.filename.replace("\\", "/").lstrip("/"))
            yield Member(path, lambda limit, info=info: read_one(info, limit))


def in_tar(data, notes):
    """Yield the Members of a .tar, packed or not; its ordinary files are read in one pass."""
    total = 0
    with tarfile.open(fileobj=BytesIO(data), mode="r|*") as archive:
        for number, info in enumerate(archive):
            total += info.size
            if number >= MOST_MEMBERS or total > 2 * LARGEST_ARCHIVE:
                notes.append("only the first files of the archive were looked at")
                return
            path = PurePosixPath(info.name.lstrip("/"))
            if info.isfile():
                content = archive.extractfile(info).read(LARGEST_FILE + 1)
                yield Member(path, lambda limit, content=content: content[:limit])
            elif info.issym() or info.islnk():
                notes.append(f"{path.name} is a link, and links are not followed")


def without_library(members, notes):
    """Return the Members that are not of the project itself, nor of environments."""
    packages = {member.path.parent for member in members if member.path.match("layers/*.py")
                and (member.path.name == "__init__.py"
                     or member.path.parent.parent.name == "vitnp")}
    library = {package.parent for package in packages}
    clones = {folder.parent for folder in library}
    kept = []
    for member in members:
        folders = set(member.path.parents)
        cloned = any(clone / name in folders for clone in clones for name in OF_A_CLONE)
        if not (folders & library or cloned or LEFT_OUT & set(member.path.parts)):
            kept.append(member)
    if library:
        notes.append("the project's own files in it are not looked at")
    return kept
