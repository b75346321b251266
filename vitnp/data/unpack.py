"""Unpack the files that are wanted from an archive, and nothing else that may be in it."""

import os
import tempfile
from pathlib import Path

from vitnp.common.files import sync
from vitnp.data.tar import read_members
from vitnp.errors import Error

SLACK = 2**24  # bytes for headers and for the archive's other files


def unpack(archive, name, members):
    """Unpack members of the archive's folder `name` to a folder of that name beside the archive.

    members: the size in bytes of each file to be unpacked, None for one of any size, which the
    archive may lack. They get their place when all of them are whole; what else is in the folder
    stays. Only these names are ever written, so that it does not matter which others an archive
    holds. Raises Error for a damaged archive, a wrong or missing member, a folder that cannot be
    written.
    """
    archive = Path(archive)
    target = archive.parent / name
    limit = sum(size or 0 for size in members.values()) + SLACK
    found = read_members(archive, {f"{name}/{member}" for member in members}, limit)
    for member, size in members.items():
        have = len(found.get(f"{name}/{member}", b""))
        if size not in (None, have):
            raise Error(f"{archive} has {have} bytes of the file {name}/{member}, but {size} were "
                        "expected; it is another archive than the published one")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=archive.parent) as aside:
            for path, data in found.items():
                write(Path(aside) / path.rpartition("/")[2], data)
            target.mkdir(exist_ok=True)
            for file_name in os.listdir(aside):
                os.replace(Path(aside) / file_name, target / file_name)
            sync(target)
            sync(target.parent)
    except OSError as error:
        raise Error(f"{target} cannot be written: {error.strerror or error}; when that is mended, "
                    "the same command unpacks the archive again") from None


def write(path, data):
    """Write the bytes to a file, and wait until they are on the disk."""
    path.write_bytes(data)
    sync(path)
