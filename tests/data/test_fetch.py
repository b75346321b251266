"""Downloads from a server that cuts, lies, sends too much or the wrong thing: the whole file or
one sentence, and never anything but whole files under their names."""

import hashlib
import random
import tracemalloc
from dataclasses import replace

import pytest
from http_server import (
    DATA,
    PATIENCE,
    begin,
    content,
    cutting,
    endless,
    failing,
    file_limit,
    leave_free,
    published,
    serving,
    silent,
    whole,
)
from idx_files import refusal

from vitnp.data import fetch
from vitnp.errors import Error


def get(folder, answer, **patience):
    """Fetch DATA as the file "set.gz" from a server with this answer; return the ranges asked."""
    with serving(answer) as (base, asked):
        fetch.fetch(published(base, {"set.gz": DATA}), folder, replace(PATIENCE, **patience))
    return [wanted for _, wanted in asked]


def check_whole(folder):
    assert content(folder) == {"set.gz": DATA}


def test_a_file_is_loaded_once(tmp_path, capsys):
    assert get(tmp_path / "new" / "folder", whole(DATA)) == [None]
    check_whole(tmp_path / "new" / "folder")
    assert get(tmp_path / "new" / "folder", whole(DATA)) == []
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("loading http://127.0.0.1:") and first.endswith("/set.gz, 300.0 kB")
    assert second.endswith("set.gz is there already")


@pytest.mark.parametrize("ranges", [True, False])
def test_cut_connections_are_taken_up_again(tmp_path, ranges):
    # Even lengths end the connection, odd ones reset it, which may lose what is on its way.
    lengths = [100, 0, 50_000, 70_001, 100_000, 1]
    wanted = get(tmp_path, cutting(DATA, lengths, ranges))
    check_whole(tmp_path)
    assert wanted[0] is None and wanted[1] == "bytes=100-"


def test_random_cuts(tmp_path):
    numbers = random.Random(1)
    for round_ in range(10):
        lengths = [numbers.randrange(1, 120_000) for _ in range(numbers.randrange(6))]
        get(tmp_path / str(round_), cutting(DATA, lengths), failures=10)
        check_whole(tmp_path / str(round_))


def test_a_connection_that_never_brings_more_is_given_up(tmp_path):
    always = cutting(DATA, [5000] + [0] * 100)
    with pytest.raises(Error, match=r"the connection was closed; 5\.0 kB of 300\.0 kB have arr"):
        get(tmp_path, always)
    assert content(tmp_path) == {"set.gz.part": DATA[:5000]}
    assert get(tmp_path, whole(DATA)) == ["bytes=5000-"]
    check_whole(tmp_path)


def test_a_server_without_ranges_that_always_cuts_is_given_up(tmp_path):
    # 9,000 is never surpassed, so that 100 after 50 is no progress.
    with pytest.raises(Error, match="cannot be loaded"):
        get(tmp_path, cutting(DATA, [9000] + [50, 100] * 100, ranges=False))


def test_a_silent_server_is_left_and_the_next_try_goes_on(tmp_path, capsys):
    answers = iter([silent(DATA[:150_000]), whole(DATA)])
    wanted = get(tmp_path, lambda handler: next(answers)(handler), timeout=0.3)
    assert wanted[0] is None and wanted[1].startswith("bytes=")
    assert "timed out, after " in capsys.readouterr().err
    check_whole(tmp_path)


@pytest.mark.parametrize("place", ["", "data/set"])
def test_no_server_at_all(tmp_path, place):
    with serving(whole(DATA)) as (base, _):
        pass
    source = published(base, {"set.gz": DATA})
    sentence = refusal(fetch.fetch, source, tmp_path / place, PATIENCE)
    assert sentence.startswith(f"{base}set.gz cannot be loaded: Connection refused; 0.0 kB of")
    assert list(tmp_path.iterdir()) == []           # and no empty folder


def test_a_server_that_cuts_at_once_leaves_nothing(tmp_path):
    with serving(cutting(DATA, [0] * 20)) as (base, _):
        refusal(fetch.fetch, published(base, {"set.gz": DATA}), tmp_path / "set", PATIENCE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("status", "words"), [
    (404, "answered 404 Not Found"), (403, "403 Forbidden"), (204, "204 No Content"),
    (416, "416 Requested"), (299, "answered 299;"), (304, "304 Not Modified")])
def test_a_refusing_server_is_asked_once(tmp_path, status, words):
    with serving(failing(status)) as (base, asked):
        sentence = refusal(fetch.fetch, published(base, {"set.gz": DATA}), tmp_path, PATIENCE)
    assert words in sentence and len(asked) == 1 and content(tmp_path) == {}


def test_a_busy_server_is_asked_again(tmp_path):
    answers = iter([failing(503), failing(429), whole(DATA)])
    get(tmp_path, lambda handler: next(answers)(handler))
    check_whole(tmp_path)
    with pytest.raises(Error, match="500 Internal Server Error"):
        get(tmp_path / "never", failing(500))


@pytest.mark.parametrize("sent", [
    b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x1b[2J" * 9999,
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 999,
    b"HTTP/1.1 302 x\r\nLocation: http://[x\r\n\r\n"])
def test_what_is_no_http_is_one_sentence(tmp_path, sent):
    with pytest.raises(Error, match="cannot be loaded") as caught:
        get(tmp_path, lambda handler: handler.connection.sendall(sent))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300
    assert content(tmp_path) == {}


def chunked(handler, chunks, end=b"0\r\n\r\n"):
    handler.protocol_version = "HTTP/1.1"
    begin(handler, 200, Transfer_Encoding="chunked")
    for chunk in chunks:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    handler.wfile.write(end)
    handler.close_connection = True


def test_a_chunked_answer_whole_or_broken(tmp_path):
    halves = [DATA[:100_000], DATA[100_000:]]
    get(tmp_path / "whole", lambda handler: chunked(handler, halves))
    check_whole(tmp_path / "whole")
    get(tmp_path / "more", lambda handler: chunked(handler, [DATA + b"more"]))
    check_whole(tmp_path / "more")
    answers = iter([lambda handler: chunked(handler, halves[:1], b"zz\r\n"), whole(DATA)])
    wanted = get(tmp_path / "broken", lambda handler: next(answers)(handler))
    assert wanted == [None, "bytes=100000-"]
    check_whole(tmp_path / "broken")


def with_range(content_range, body=DATA[1000:]):
    def answer(handler):
        if handler.headers.get("Range"):
            begin(handler, 206, Content_Range=content_range, Content_Length=len(body))
            handler.wfile.write(body)
        else:
            whole(DATA)(handler)
    return answer


@pytest.mark.parametrize("content_range", [
    "", "bytes", "bytes 1001-299999/300000", "bytes */300000", "items 1000-299999/300000",
    f"bytes {'9' * 5000}-299999/300000"])
def test_a_range_nobody_asked_for_is_not_used(tmp_path, content_range):
    (tmp_path / "set.gz.part").write_bytes(DATA[:1000])
    assert get(tmp_path, with_range(content_range)) == ["bytes=1000-", None]
    check_whole(tmp_path)


@pytest.mark.parametrize(("content_range", "body"), [
    ("bytes 1000-299999/*", DATA[1000:]), ("bytes 500-299999/300000", DATA[500:])])
def test_a_range_that_fits_is_used(tmp_path, content_range, body):
    (tmp_path / "set.gz.part").write_bytes(DATA[:1000])
    assert get(tmp_path, with_range(content_range, body)) == ["bytes=1000-"]
    check_whole(tmp_path)


def test_a_range_cut_short_by_the_server_is_followed_by_the_next(tmp_path):
    def answer(handler):
        start = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        end = min(start + 100_000, len(DATA))
        begin(handler, 206, Content_Range=f"bytes {start}-{end - 1}/{len(DATA)}",
              Content_Length=end - start)
        handler.wfile.write(DATA[start:end])
    assert get(tmp_path, answer) == [None, "bytes=100000-", "bytes=200000-"]
    check_whole(tmp_path)


def test_nothing_is_left_of_a_part_that_is_loaded_anew(tmp_path):
    (tmp_path / "set.gz.part").write_bytes(bytes(200_000))
    answers = iter([cutting(DATA, [50_000], ranges=False), whole(DATA)])
    wanted = get(tmp_path, lambda handler: next(answers)(handler))
    assert wanted == ["bytes=200000-", "bytes=50000-"]
    check_whole(tmp_path)


def test_a_server_that_answers_416_is_asked_for_the_whole(tmp_path):
    (tmp_path / "set.gz.part").write_bytes(DATA[:1000])

    def answer(handler):
        (failing(416) if handler.headers.get("Range") else whole(DATA))(handler)
    assert get(tmp_path, answer) == ["bytes=1000-", None]
    check_whole(tmp_path)


@pytest.mark.parametrize("other", [DATA[:-1], DATA + b"x", b"<html>log in</html>"])
def test_a_wrong_size_is_refused_before_it_is_loaded(tmp_path, other):
    with pytest.raises(Error, match=f"should have 300000 bytes, but .* announces {len(other)};"):
        get(tmp_path, whole(other))
    assert content(tmp_path) == {}
    (tmp_path / "set.gz.part").write_bytes(DATA[:10])
    with pytest.raises(Error, match="should have 300000 bytes"):
        get(tmp_path, whole(other))
    assert content(tmp_path) == {"set.gz.part": DATA[:10]}


def test_wrong_bytes_are_deleted(tmp_path):
    other = b"x" + DATA[1:]
    found, expected = (hashlib.md5(data).hexdigest() for data in (other, DATA))
    with pytest.raises(Error, match=f"has the md5 {found} instead of {expected} and is deleted"):
        get(tmp_path, whole(other))
    assert content(tmp_path) == {}


def test_a_wrong_beginning_is_found_though_the_rest_is_right(tmp_path):
    (tmp_path / "set.gz.part").write_bytes(b"x" + DATA[1:1000])
    with pytest.raises(Error, match="give the command again"):
        get(tmp_path, whole(DATA))
    get(tmp_path, whole(DATA))
    check_whole(tmp_path)


@pytest.mark.parametrize(("part", "wanted"), [
    (DATA, []), (b"", [None]), (DATA + b"x", [None])])
def test_part_files_of_every_length(tmp_path, part, wanted):
    (tmp_path / "set.gz.part").write_bytes(part)
    assert get(tmp_path, whole(DATA)) == wanted
    check_whole(tmp_path)


def test_a_wrong_file_is_replaced_only_by_the_right_one(tmp_path, capsys):
    (tmp_path / "set.gz").write_bytes(b"old")
    with pytest.raises(Error):
        get(tmp_path, failing(404))
    assert content(tmp_path) == {"set.gz": b"old"}
    assert "but its md5 is 149603e6c03516362a8da23f624db945 instead of" in capsys.readouterr().err
    get(tmp_path, whole(DATA))
    check_whole(tmp_path)


def test_an_endless_answer_is_left(tmp_path):
    def redirect(handler):
        if handler.path == "/set.gz":
            begin(handler, 302, Location="/elsewhere")
            while True:
                handler.wfile.write(bytes(2**16))
        whole(DATA)(handler)
    tracemalloc.start()
    try:
        with pytest.raises(Error, match="has the md5"):
            get(tmp_path, endless)
        assert content(tmp_path) == {}
        get(tmp_path, redirect)
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()
    check_whole(tmp_path)


def test_a_redirect_in_circles_is_left(tmp_path):
    with pytest.raises(Error, match="the server answered 301 Moved Permanently"):
        get(tmp_path, failing(301, Location="/set.gz"))


def test_too_little_space_is_said_before(tmp_path, monkeypatch):
    leave_free(monkeypatch, len(DATA) - 1)
    with pytest.raises(Error, match=r"has 300\.0 kB of free space, but 300\.0 kB are needed; make"):
        get(tmp_path, whole(DATA))
    (tmp_path / "set.gz.part").write_bytes(DATA[:1])  # then one byte less is needed
    get(tmp_path, whole(DATA))
    check_whole(tmp_path)


def test_a_disk_that_fills_up_keeps_what_arrived(tmp_path):
    with (file_limit(100_000),
          pytest.raises(Error, match=r"set\.gz\.part cannot be written: File too large; when")):
        get(tmp_path, whole(DATA))
    assert content(tmp_path) == {"set.gz.part": DATA[:100_000]}
    assert get(tmp_path, whole(DATA)) == ["bytes=100000-"]
    check_whole(tmp_path)
