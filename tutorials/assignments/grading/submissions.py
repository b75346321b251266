"""Read what students handed in, in whatever shape, without trusting anything in it.

Folders, archives, loose files and notebooks, and the bulk downloads of Moodle and Canvas. Nothing
is unpacked to the disk and no link is followed: files that the tasks ask for are read, each of a
limited size. Every entry of the folder is a row of the table; what was not understood is a note.
"""

import hashlib
import os
import re
import tokenize
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from tutorials.assignments.grading import notebooks
from tutorials.assignments.grading.members import (
    ARCHIVES,
    LARGEST_FILE,
    OTHER_ARCHIVES,
    members_of,
    without_library,
)
from tutorials.assignments.sandbox.outcomes import clean
from vitnp.errors import Error

MOST_SHOWN = 6
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
