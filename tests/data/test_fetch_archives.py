"""Archives that are fetched: the wanted files, whole, and nothing else that they may hold."""

import gzip
import random
import shutil
import tarfile
import tracemalloc

import pytest
from http_server import (
    MEMBERS,
    PATIENCE,
    SIZES,
    archive_source,
    content,
    entry,
    file_limit,
    good_entries,
    leave_free,
    packed,
    serving,
    whole,
)
from idx_files import refusal

from vitnp.data import fetch, unpack
from vitnp.errors import Error


def get_archive(folder, archive):
    with serving(whole(archive)) as (base, asked):
        fetch.fetch(archive_source(base, archive), folder, PATIENCE)
    return asked


def check_unpacked(folder, **more):
    assert content(folder) == {"set": None} | more | {
        f"set/{name}": data for name, data in MEMBERS.items()}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_is_unpacked_and_deleted(tmp_path, form, capsys):
    names = entry("set/names.txt", b"cat\ndog\n", mtime=0.5)  # which a PAX header tells
    archive = packed(*good_entries(), names, form=form)
    assert len(get_archive(tmp_path, archive)) == 1
    check_unpacked(tmp_path, **{"set/names.txt": b"cat\ndog\n"})
    assert "unpacked to" in capsys.readouterr().err
    assert get_archive(tmp_path, archive) == []
    assert capsys.readouterr().err.endswith("set is there already\n")


def test_an_unpacked_folder_that_lost_something_is_mended(tmp_path):
    archive = packed(*good_entries())
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.bin").write_bytes(b"cut")
    (tmp_path / "set" / "notes").write_bytes(b"mine")
    get_archive(tmp_path, archive)
    check_unpacked(tmp_path, **{"set/notes": b"mine"})


def test_an_archive_that_was_left_is_unpacked_without_loading(tmp_path):
    archive = packed(*good_entries())
    (tmp_path / "set.tar.gz").write_bytes(archive)
    assert get_archive(tmp_path, archive) == []
    check_unpacked(tmp_path)


def test_space_is_counted_for_the_unpacked_files_too(tmp_path, monkeypatch):
    archive = packed(*good_entries())
    leave_free(monkeypatch, len(archive) + 7999)
    with pytest.raises(Error, match="are needed; make room"):
        get_archive(tmp_path, archive)


OUTSIDERS = [
    entry("../thesis", b"x"), entry("set/../../thesis", b"x"), entry("/tmp/thesis", b"x"),
    entry("set/../names.txt", b"x"), entry("names.txt", b"x"), entry("set/sub/thesis", b"x"),
    entry("set/.bashrc", b"x"), entry("set", b"x"), entry("set/", b"x"), entry("", b"x"),
    entry("set", kind=tarfile.SYMTYPE, linkname="/tmp"),
    entry("set/link", kind=tarfile.SYMTYPE, linkname="/etc/passwd"),
    entry("set/link", kind=tarfile.LNKTYPE, linkname="set/train.bin"),
    entry("set/null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3),
    entry("set/disk", kind=tarfile.BLKTYPE), entry("set/pipe", kind=tarfile.FIFOTYPE),
    entry("other", b"x", pax_headers={"path": "set/names.txt"}),
]


@pytest.mark.parametrize("outsider", OUTSIDERS, ids=lambda outsider: outsider[0].name)
def test_what_else_is_in_an_archive_is_not_written(tmp_path, outsider):
    form = tarfile.PAX_FORMAT if outsider[0].pax_headers else tarfile.GNU_FORMAT
    get_archive(tmp_path / "data", packed(outsider, *good_entries(), outsider, form=form))
    check_unpacked(tmp_path / "data")
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


@pytest.mark.parametrize(("entries", "words"), [
    (good_entries()[:2], "has 0 bytes of the file set/test.bin, but 3000 were expected"),
    ([*good_entries()[:2], entry("set/test.bin", b"x")], "has 1 bytes of the file set/test.bin"),
    ([*good_entries(), entry("set/test.bin", b"x")], "holds the member 'set/test.bin' twice"),
    (good_entries("sets"), "has 0 bytes of the file set/train.bin"),
    *(([*good_entries(), entry("set/names.txt", kind=kind, linkname="/etc")], "is no plain file")
      for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE,
                   tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.GNUTYPE_SPARSE)),
])
def test_an_archive_of_wrong_members_leaves_nothing(tmp_path, entries, words):
    archive = packed(*entries)
    with pytest.raises(Error, match=words):
        get_archive(tmp_path, archive)
    assert content(tmp_path) == {"set.tar.gz": archive}


def test_unpacking_on_a_full_disk_leaves_nothing_and_can_be_repeated(tmp_path):
    archive = packed(*good_entries())
    (tmp_path / "set.tar.gz").write_bytes(archive)
    with file_limit(4000), pytest.raises(Error, match="set cannot be written: File too large; wh"):
        get_archive(tmp_path, archive)
    assert content(tmp_path) == {"set.tar.gz": archive}
    get_archive(tmp_path, archive)
    check_unpacked(tmp_path)


@pytest.mark.parametrize("name", ["set/names.txt", "set/other"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
@pytest.mark.parametrize("size", [2**25, 2**60])
def test_a_bomb_takes_no_memory_and_leaves_nothing(tmp_path, name, kind, size):
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    path = tmp_path / "set.tar.gz"
    bomb = member.tobuf(tarfile.GNU_FORMAT) + b"\1" * 2**25
    path.write_bytes(gzip.compress(bomb, compresslevel=1))
    tracemalloc.start()
    try:
        refusal(unpack.unpack, path, "set", SIZES)
        assert tracemalloc.get_traced_memory()[1] < unpack.SLACK
    finally:
        tracemalloc.stop()
    assert list(content(tmp_path)) == ["set.tar.gz"]


def damage(data, numbers):
    data = bytearray(data)
    if numbers.random() < 0.2:
        return data[:numbers.randrange(len(data))]
    for _ in range(numbers.randint(1, 4)):
        data[numbers.randrange(len(data))] = numbers.choice(b"\0\1 07xLKgS2\xff")
    return data


def test_random_damage_is_refused_or_harmless(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "sync", lambda path: None)  # slow, and of no matter here
    numbers = random.Random(2)
    whole_tar = gzip.decompress(packed(entry("set/names.txt", b"x"), *good_entries()))
    path = tmp_path / "set.tar.gz"
    refused = 0
    for _ in range(300):
        tar = damage(whole_tar[:2560], numbers) + whole_tar[2560:]
        path.write_bytes(gzip.compress(tar, compresslevel=1))
        try:
            unpack.unpack(path, "set", SIZES)
            written = content(tmp_path)
            assert {len(written["set/train.bin"]), len(written["set/test.bin"])} == {5000, 3000}
            assert set(written) <= {"set.tar.gz", "set", "set/names.txt"} | {
                f"set/{name}" for name in MEMBERS}
            shutil.rmtree(tmp_path / "set")
        except Error as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
        assert list(content(tmp_path)) == ["set.tar.gz"]
    assert 100 < refused < 300
