"""Load published files over HTTP: continued where they broke off, and checked before they count.

A file arrives as FILE.part and gets its name only when its md5 is right, so that a file under its
own name is always whole. Nothing that a server says is believed: never more bytes are read than
the file is known to have.
"""

import hashlib
import http.client
import io
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from vitnp.common.files import making, sync
from vitnp.common.progress import say
from vitnp.data import oxford
from vitnp.data.sources import amount
from vitnp.data.unpack import unpack
from vitnp.errors import Error

PIECE = 2**16
CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d+/(\d+|\*)")
TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}  # answers that may be another one later


@dataclass(frozen=True)
class Patience:
    """How long a download goes on: seconds without an answer, and how often it is tried again.

    It ends after so many `failures` in a row, tries that brought it no further than any before;
    each adds `pause` seconds to the wait for the next one.
    """

    timeout: float = 30.0
    pause: float = 1.0
    failures: int = 4


PATIENCE = Patience()


class Cut(Exception):
    """The connection failed, for the reason given; another try may go on."""


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects without reading their bodies, which might have no end."""

    def http_error_302(self, request, response, code, message, headers):
        """Follow the redirect."""
        response.close()
        return super().http_error_302(request, io.BytesIO(), code, message, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def fetch(source, folder, patience=PATIENCE):
    """Bring the files of a sources.Source to the folder, checked and unpacked.

    Says on stderr what happens. Raises Error where the folder cannot be written or has too little
    space, where a file cannot be loaded, and where what arrives is not the file that was published.
    """
    folder = Path(folder)
    if source.unpacked and is_unpacked(source, folder):
        say(f"{folder / source.unpacked} is there already")
        return
    if source.layout and oxford.is_arranged(folder):
        say(f"{folder} holds its pictures already")
        remove_archives(source, folder)
        return
    with making(folder, "name another --data-dir"):
        check_writable(folder)
        missing = [file for file in source.files if not is_there(file, folder)]
        check_space(source, missing, folder)
        for file in missing:
            load(source.base + file.name, file, folder, patience)
    if source.unpacked:
        for file in source.files:
            unpack(folder / file.name, source.unpacked, source.members)
            (folder / file.name).unlink()
        say(f"unpacked to {folder / source.unpacked}; the archive is deleted")
    if source.layout:
        counts = oxford.arrange(source.layout, folder)
        remove_archives(source, folder)
        say("unpacked " + ", ".join(f"{count:,} pictures to {folder / part}" for part, count in
                                    counts.items()) + "; the archives are deleted")


def remove_archives(source, folder):
    """Remove the published files, from which all is unpacked."""
    for file in source.files:
        (folder / file.name).unlink(missing_ok=True)


def is_unpacked(source, folder):
    """Return whether all members of known size lie in the folder."""
    return all(size in (None, size_of(folder / source.unpacked / name))
               for name, size in source.members.items())


def is_there(file, folder):
    """Return whether the folder holds the published file, and say what it holds."""
    path = folder / file.name
    if not os.path.exists(path):
        return False
    if not os.path.isfile(path):
        raise Error(f"{path} is a folder or a device, but a file is to be written there; move it "
                    "away or name another --data-dir")
    try:
        found = md5(path)
    except OSError as error:
        raise Error(f"{path} cannot be read: {error.strerror or error}") from None
    if found == file.md5:
        say(f"{path} is there already")
        return True
    say(f"{path} is there, but its md5 is {found} instead of {file.md5}; it is downloaded again")
    return False


def check_writable(folder):
    """Raise Error where the folder cannot be written."""
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Error(f"the folder {folder} cannot be written; name another --data-dir")


def check_space(source, missing, folder):
    """Raise Error unless the missing files, and what is unpacked from them, find space."""
    needed = sum(file.size - min(file.size, size_of(part_of(file, folder))) for file in missing)
    needed += sum(size or 0 for size in source.members.values())
    if source.layout:       # photographs are as large unpacked as in the archive
        needed += sum(file.size for file in source.files)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise Error(f"{folder} has {amount(free)} of free space, but {amount(needed)} are needed; "
                    "make room or name another --data-dir")


def part_of(file, folder):
    """Return the path under which the file arrives."""
    return folder / f"{file.name}.part"


def size_of(path):
    """Return the size of a file in bytes, 0 where there is none."""
    return os.path.getsize(path) if os.path.isfile(path) else 0


def md5(path):
    """Return the md5 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        # Some systems refuse md5 unless one says that it guards nothing secret.
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def load(url, file, folder, patience):
    """Load one file to its part file, check its md5, and give it its name."""
    path, part = folder / file.name, part_of(file, folder)
    try:
        download(url, part, file.size, patience)
        found = md5(part)
        if found != file.md5:
            part.unlink()
            raise Error(f"what {url} sent has the md5 {found} instead of {file.md5} and is "
                        "deleted; give the command again, and if it ends the same way, the "
                        "published file or the connection is not to be trusted")
        sync(part)
        os.replace(part, path)
        sync(folder)
    except OSError as error:
        raise Error(f"{part} cannot be written: {error.strerror or error}; when that is mended, "
                    "the same command goes on with what has arrived") from None
    except KeyboardInterrupt:
        if size_of(part):
            say(f"{part} keeps the {amount(size_of(part))} that have arrived; the same command "
                "goes on from there")
        raise
    finally:
        if os.path.isfile(part) and not size_of(part):
            part.unlink()


def download(url, part, size, patience):
    """Bring the part file to `size` bytes, in as many tries as patience allows."""
    if size_of(part) > size:
        part.unlink()  # whatever it is, it is not the beginning of this file
    failures, most = 0, size_of(part)
    while True:
        try:
            receive(url, part, size, patience.timeout)
            return
        except Cut as cut:
            reason = cut
        have = size_of(part)
        failures = 1 if have > most else failures + 1
        most = max(most, have)
        progress = f"{amount(have)} of {amount(size)}"
        if failures == patience.failures:
            raise Error(f"{url} cannot be loaded: {reason}; {progress} have arrived, and the same "
                        "command goes on from there")
        say(f"{reason}, after {progress}; trying again")
        time.sleep(patience.pause * failures)


def receive(url, part, size, timeout):
    """Append to the part file what one request brings, until it has `size` bytes, or raise Cut."""
    from tqdm import tqdm

    have = size_of(part)
    if have == size:
        return
    say(f"{'going on with' if have else 'loading'} {url}, {amount(size - have)}")
    with connect(url, have, timeout) as response:
        start = start_of(response, url, size)
        if start is None or start > have:
            part.unlink(missing_ok=True)  # so that the next try asks for no range
            raise Cut("the server sent another range than was asked for")
        with (open(part, "r+b" if have else "wb") as stream,
              tqdm(total=size, initial=start, desc=part.stem, unit="B", unit_scale=True,
                   dynamic_ncols=True, disable=not sys.stderr.isatty()) as bar):
            stream.seek(start)
            stream.truncate()
            while start < size:
                piece = read_piece(response, min(PIECE, size - start))
                stream.write(piece)
                start += len(piece)
                bar.update(len(piece))


def connect(url, have, timeout):
    """Return the response to a request for the bytes from `have` on; raise Cut or Error."""
    headers = {"User-Agent": "vitnp"}
    if have:
        headers["Range"] = f"bytes={have}-"
    opener = urllib.request.build_opener(Redirects)
    try:
        return opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:  # no such range: the whole file may still be had
            return connect(url, 0, timeout)
        if error.code in TRY_AGAIN:
            raise Cut(f"the server answered {status_text(error.code)}") from None
        raise Error(f"{url} cannot be loaded: the server answered {status_text(error.code)}; the "
                    "file may have moved") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Cut(reason_of(error)) from None


def start_of(response, url, size):
    """Return the position in the file at which the response begins, None where it does not say.

    A server may send the range that was asked for (206) or the whole file all the same (200).
    Raises Error for another answer, and where another size than the file's is announced.
    """
    if response.status not in (200, 206):
        raise Error(f"{url} cannot be loaded: the server answered {status_text(response.status)}; "
                    "the file may have moved")
    start, total = 0, response.headers.get("Content-Length", "")
    if response.status == 206:
        found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        start, total = (int(found[1]), found[2]) if found else (None, "")
    if total.isdecimal() and total != str(size):
        raise Error(f"{url} should have {size} bytes, but the server announces {total[:20]}; the "
                    "published file or the connection is not to be trusted")
    return start


def read_piece(response, size):
    """Return the next bytes of a response, at most `size` and at least one, or raise Cut."""
    try:
        piece = response.read1(size)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Cut(reason_of(error)) from None
    if not piece:
        raise Cut("the connection was closed")
    return piece


def status_text(status):
    """Return an HTTP status with its usual words, not those that the server sent with it."""
    return f"{status} {http.client.responses.get(status, '')}".strip()


def reason_of(error):
    """Return why a connection failed, in a few words."""
    if not isinstance(error, OSError):
        return "the answer broke off or is no HTTP"
    error = getattr(error, "reason", None) or error  # urllib's errors wrap another one
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
