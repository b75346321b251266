"""Files that are either the old ones or the new ones, whatever happens in between."""

import contextlib
import json
import os
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


def sync(path):
    """Wait until a file or folder is on the disk."""
    if os.name != "posix" and Path(path).is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
