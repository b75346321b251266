"""Files that are either the old ones or the new ones, whatever happens in between."""

import contextlib
import errno
import gzip
import json
import os
import sys
import zlib
from pathlib import Path

from vitnp.errors import Error


@contextlib.contextmanager
def replacing(path, previous=None):
    """Yield a path beside `path` to write to; then sync it and rename it to `path`.

    previous: another path beside it, which gets the old file once the new one is whole.
    Raises Error, with `path` as it was, where the file cannot be written.
    """
    path = Path(path)
    if not path.name:
        raise Error(f"{path} is a folder and cannot be written; give the name of a file")
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield aside
        sync(aside)
        if previous and path.exists():
            os.replace(path, previous)
        os.replace(aside, path)
        sync(path.parent)
    except OSError as error:
        raise Error(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def write_json(path, content):
    """Write a dict as a JSON file. Raises Error where that fails."""
    with replacing(path) as aside:
        aside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_packed_json(path, content):
    """Write a dict as JSON, packed with gzip. Raises Error where that fails."""
    with replacing(path) as aside:
        # No time in its header, so that equal contents are equal files
        aside.write_bytes(gzip.compress(json.dumps(content).encode(), mtime=0))


def read_packed_json(path, cure):
    """Return the content of a packed JSON file; an Error ends with the cure."""
    try:
        return json.loads(gzip.decompress(Path(path).read_bytes()))
    except (OSError, EOFError, ValueError, RecursionError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is no whole file of packed JSON"
        raise Error(f"{path} is damaged: {reason}; {cure}") from None


@contextlib.contextmanager
def making(folder, cure):
    """Make a folder for what follows; where that fails, remove what was made and is still empty.

    Raises Error, with the cure at its end, where the folder cannot be made.
    """
    folder = Path(folder)
    new = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    with refusing(f"the folder {folder} cannot be made", cure):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    except BaseException:
        for path in new:
            with contextlib.suppress(OSError):      # something lies in it
                path.rmdir()
        raise


@contextlib.contextmanager
def refusing(sentence, cure):
    """Turn an OSError into an Error: the sentence, the reason and the cure."""
    try:
        yield
    except OSError as error:
        raise Error(f"{sentence}: {error.strerror or error}; {cure}") from None


@contextlib.contextmanager
def locked(path, taken):
    """Keep other processes that ask for the same from going on; where one is at it, Error `taken`.

    path: a file that can be written, which stays as it is. The lock is the system's and ends with
    the process, however it ends. Where there are no locks, that is said, and work goes on.
    """
    # For writing, because NFS grants no exclusive lock to a file that is open for reading
    with refusing(f"{path} cannot be written", "mend that first"):
        file = open(path, "r+b")  # noqa: SIM115  closed below
    with file:
        try:
            take_lock(file)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                raise Error(taken) from None
            print(f"{path} cannot be locked ({error.strerror or error}): nothing keeps a second "
                  "process from working in the same place", file=sys.stderr)
        yield


def take_lock(file):
    """Lock a file as long as it is open, or raise OSError: EAGAIN or EACCES where another did.

    On Windows a byte far behind the end is locked, as others could else not read the file.
    """
    try:
        import fcntl
    except ImportError:
        import msvcrt

        file.seek(2**30)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def sync(path):
    """Wait until a file or folder is on the disk."""
    if os.name != "posix" and Path(path).is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
