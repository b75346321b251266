"""A web server on this machine, and what it publishes, for the tests of fetching.

An answer is a function of the request handler. Those here are made from the file's bytes.
"""

import contextlib
import hashlib
import io
import random
import re
import resource
import shutil
import socket
import struct
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from vitnp.data import fetch, sources

DATA = random.Random(0).randbytes(300_000)
PATIENCE = fetch.Patience(timeout=1.0, pause=0.001, failures=3)


@contextlib.contextmanager
def serving(answer):
    """Serve with `answer`; yields the address and the list of (path, range asked for)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Range")))
            with contextlib.suppress(ConnectionError, TimeoutError):
                answer(self)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("no_proxy", "*")
            yield f"http://127.0.0.1:{server.server_port}/", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def begin(handler, status, **headers):
    """Send the status and the headers, `Content_Length=5` being Content-Length: 5."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), str(value))
    handler.end_headers()


def announce(handler, data, ranges):
    """Send the headers for the data or for the range asked for; return the bytes to send."""
    found = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range") or "")
    if not (ranges and found):
        begin(handler, 200, Content_Length=len(data))
        return data
    start = int(found[1])
    if start >= len(data):
        begin(handler, 416, Content_Range=f"bytes */{len(data)}", Content_Length=0)
        return b""
    begin(handler, 206, Content_Length=len(data) - start,
          Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
    return data[start:]


def whole(data, ranges=True):
    """Return the answer of a server that does everything right."""
    return lambda handler: handler.wfile.write(announce(handler, data, ranges))


def cutting(data, lengths, ranges=True):
    """Return an answer that closes or resets the connection after so many bytes, in turn.

    After the last of the lengths it answers in full.
    """
    lengths = iter(lengths)

    def answer(handler):
        length = next(lengths, len(data))
        handler.wfile.write(announce(handler, data, ranges)[:length])
        if length % 2:
            reset = struct.pack("ii", 1, 0)  # linger for no time: a reset instead of an end
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    return answer


def failing(status, **headers):
    """Return an answer of a status without a body."""
    return lambda handler: begin(handler, status, Content_Length=0, **headers)


def endless(handler):
    """Send bytes without end and without announcing how many."""
    begin(handler, 200)
    while True:
        handler.wfile.write(bytes(2**16))


def silent(data):
    """Return an answer that sends the data of a longer file, then nothing until it is left."""
    def answer(handler):
        begin(handler, 200, Content_Length=2 * len(data))
        handler.wfile.write(data)
        handler.connection.settimeout(5)
        handler.connection.recv(1)
    return answer


def by_path(answers):
    """Return an answer that is the one listed for the path, else 404."""
    return lambda handler: answers.get(handler.path.lstrip("/"), failing(404))(handler)


def published(base, contents, **fields):
    """Return the Source of files, name → bytes, at the address base."""
    files = tuple(sources.File(name, len(data), hashlib.md5(data).hexdigest())
                  for name, data in contents.items())
    return sources.Source("a set", base, "a licence", "a paper", files, **fields)


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
            for path in folder.rglob("*")}


def leave_free(monkeypatch, size):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=size))


@contextlib.contextmanager
def file_limit(size):
    """Let no file grow beyond this size, as a full disk would."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


MEMBERS = {"train.bin": DATA[:5000], "test.bin": DATA[:3000]}


def entry(name, data=b"", kind=tarfile.REGTYPE, **fields):
    """Return a member for `packed`."""
    member = tarfile.TarInfo(name)
    member.size, member.type = len(data), kind
    for field, value in fields.items():
        setattr(member, field, value)
    return member, data


def packed(*entries, form=tarfile.GNU_FORMAT):
    """Return the bytes of a .tar.gz with these members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", format=form, compresslevel=1) as tar:
        for member, data in entries:
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def good_entries(folder="set"):
    return [entry(folder, kind=tarfile.DIRTYPE)] + [
        entry(f"{folder}/{name}", data) for name, data in MEMBERS.items()]


SIZES = {name: len(data) for name, data in MEMBERS.items()} | {"names.txt": None}


def archive_source(base, archive):
    return published(base, {"set.tar.gz": archive}, unpacked="set", members=SIZES)
