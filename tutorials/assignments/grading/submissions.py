"""Read what students handed in, in whatever shape, without trusting anything in it.

Folders, archives, loose files and notebooks, and the bulk downloads of Moodle and Canvas. Nothing
is unpacked to the disk and no link is followed: files that the tasks ask for are read, each of a
limited size. Every entry of the folder is a row of the table; what was not understood is a note.
"""

import hashlib
import os
import re
import stat
import tarfile
import tokenize
import zipfile
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path, PurePosixPath

from tutorials.assignments.grading import notebooks
from tutorials.assignments.sandbox.outcomes import clean
from vitnp.errors import Error

LARGEST_FILE, LARGEST_ARCHIVE = 2**18, 2**26    # bytes
MOST_MEMBERS, DEEPEST, MOST_SHOWN = 100_000, 40, 6
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
OTHER_ARCHIVES = (".rar", ".7z", ".gz", ".xz", ".bz2")
LEFT_OUT = {".venv", "venv", "env", ".git", "__pycache__", "node_modules", "site-packages",
            "__MACOSX", ".ipynb_checkpoints", ".ci"}
OF_A_CLONE = {"tests", "tutorials"}             # beside the library, and the project's own
NO_ENTRY = {"Thumbs.db", "desktop.ini", "__MACOSX"}
CANVAS = re.compile(r"(?P<student>[^_]+)_(?P<late>LATE_)?(?P<number>\d+)_\d+_(?P<file>.+)")
MOODLE = re.compile(r"(?P<student>.+?)_(?P<number>\d+)_assignsubmission_[a-z]+_?(?P<file>.*)")
# What browsers, Canvas and students append to a name: "linear (1)", "linear-2", "linear_final"
RENAMED = r"(?:.*_)?{}(?:[ _-]*(?:\(?\d+\)?|v\d+|copy|final|new|mine))*"


@dataclass(frozen=True)
class Entry:
    """One student's work in a folder: the name in the table, that of the report, and the paths.

    paths: pairs (path, name that the file has for the student), several in Canvas' download.
    """

    student: str
    file: str
    paths: tuple
    notes: tuple = ()


@dataclass(frozen=True)
class Submission:
    """What one student handed in: the texts of the files by name, and what was left out and why."""

    sources: dict
    notes: tuple


@dataclass(frozen=True)
class Member:
    """A file of a submission: its path in there, and how its bytes are read (limit → bytes)."""

    path: PurePosixPath
    read: object = field(compare=False)


def find(folder):
    """Return an Entry for each student in a folder, by name.

    Raises Error where it is no folder, or an empty one.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise Error(f"{folder} is no folder; give a folder with a folder or an archive for each "
                    "student")
    paths = sorted(path for path in folder.iterdir()
                   if not path.name.startswith(".") and path.name not in NO_ENTRY)
    if not paths:
        raise Error(f"there is no submission in {folder}; a folder or an archive for each student "
                    "is expected")
    groups = {}
    for path in paths:
        found = MOODLE.fullmatch(path.name) or CANVAS.fullmatch(path.name)
        key = (found["student"], found["number"]) if found else (student_of(path.name), "")
        inside = found["file"] if found and found["file"] else path.name
        late = bool(found and found.groupdict().get("late"))
        groups.setdefault(key, []).append((path, inside, late))
    names = [student for student, _ in groups]
    entries = []
    for (student, number), found in groups.items():
        shown = f"{student} ({number})" if number and names.count(student) > 1 else student
        notes = ["handed in late, says Canvas"] * any(late for *_, late in found)
        if len(found) > 1 and not number:
            # A folder and an archive of one name are two rows: which one counts is not for us
            entries += [entry_of(path.name, [(path, inside)], ["there are several of this name"])
                        for path, inside, _ in found]
        else:
            entries.append(entry_of(shown, [pair[:2] for pair in found], notes))
    return entries


def entry_of(name, paths, notes=()):
    """Return an Entry; its report has a file name that every system takes, and no other has."""
    shown = clean(re.sub(r"\s", " ", name), 120)
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()
    safe = re.sub(r'[<>:"/\\|?*\x00-\x1f\ufffd]', "_", shown).strip(". ") or "_"
    if safe != name or len(safe.encode("utf-8", "replace")) > 100:
        safe = safe.encode("utf-8", "replace")[:100].decode("utf-8", "ignore") + f"-{digest[:8]}"
    shown = shown if shown == name else f"{shown} [{digest[:4]}]"
    return Entry(shown, f"{safe}.json", tuple(paths), tuple(notes))


def student_of(name):
    """Return the name under which a submission is listed: without the ending of an archive."""
    for ending in sorted((*ARCHIVES, *OTHER_ARCHIVES, ".py", ".ipynb"), key=len, reverse=True):
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[:-len(ending)]
    return name


def read(entry, wanted):
    """Return the Submission of an Entry; wanted: the names of files that the tasks ask for.

    A file that cannot be taken is left out, and a note says why.
    """
    notes, members, sources = list(entry.notes), [], {}
    for path, name in entry.paths:
        try:
            members += list(members_of(Path(path), PurePosixPath(name), notes))
        except Error as error:
            notes.append(f"{clean(name, 60)} cannot be read: {error}")
        except Exception as error:  # noqa: BLE001  damaged archives raise nearly anything
            notes.append(f"{clean(name, 60)} cannot be read: {type(error).__name__}: {error}")
    members = without_library(members, notes)
    for name in sorted(wanted):
        text = text_of(name, members, notes, wanted)
        if text is not None:
            sources[name] = text
    for member in members:
        if member.path.suffix == ".ipynb" and (data := data_of(member, notes, 16)) is not None:
            found = notebooks.sources(data, member.path.stem, wanted - set(sources))
            notes += [f"{name} is taken out of {member.path.name}" for name in found]
            sources |= found
    if not sources:
        seen = ", ".join(clean(member.path.name, 60) for member in members[:MOST_SHOWN])
        more = f" and {len(members) - MOST_SHOWN} more" if len(members) > MOST_SHOWN else ""
        looked = sorted(wanted)
        notes.append(f"no file of a task was found; seen: {seen or 'nothing'}{more}; looked for: "
                     f"{', '.join(looked[:MOST_SHOWN])}{', …' * (len(looked) > MOST_SHOWN)}")
    return Submission(sources, tuple(clean(note) for note in notes))


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


def text_of(name, members, notes, wanted):
    """Return the text of a wanted file, from the Member that fits best; None where none does."""
    stem, found = name.removesuffix(".py"), []
    for member in members:
        own = member.path.name
        if own == name:
            found.append((0, len(member.path.parts), member))
        elif own.lower().endswith(".py") and own not in wanted and (
                best_stem(own[:-3], wanted) == stem):
            found.append((1 + (own.lower() != name), len(member.path.parts), member))
    if not found:
        return None
    best = min(pair[:2] for pair in found)
    chosen = [member for *rank, member in found if tuple(rank) == best]
    if len(chosen) > 1:
        names = ", ".join(sorted({str(member.path) for member in chosen})[:MOST_SHOWN])
        notes.append(f"there are {len(chosen)} files for {name}: {names}; leave one")
        return None
    if best[0]:
        notes.append(f"{chosen[0].path.name} is taken for {name}")
    data = data_of(chosen[0], notes)
    return None if data is None else decoded(data, name, notes)


def best_stem(own, wanted):
    """Return the longest wanted stem that a file's own name fits, or ""."""
    stems = [name.removesuffix(".py") for name in wanted]
    return max((stem for stem in stems
                if re.fullmatch(RENAMED.format(re.escape(stem)), own, re.IGNORECASE)),
               key=len, default="")


def data_of(member, notes, times=1):
    """Return the bytes of a Member, or None with a note where it cannot be taken."""
    limit = times * LARGEST_FILE
    try:
        data = member.read(limit + 1)
    except Error as error:
        notes.append(f"{member.path.name}: {error}")
    except Exception as error:  # noqa: BLE001  damaged archives raise nearly anything
        notes.append(f"{member.path.name} cannot be read: {getattr(error, 'strerror', error)}")
    else:
        if len(data) <= limit:
            return data
        notes.append(f"{member.path.name} is larger than {limit} bytes")
    return None


def decoded(data, name, notes):
    """Return the text of a Python file, by its mark, its coding line or UTF-8; None with a note."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        notes.append(f"{name} is read as UTF-16; save it as UTF-8")
        return data.decode("utf-16", "replace")
    try:
        encoding, _ = tokenize.detect_encoding(BytesIO(data).readline)
        return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        notes.append(f"{name} is not text in UTF-8")
        return None
