"""CIFAR: each pixel and label where it belongs, packed or not, and wrong sets refused."""

import gzip
import itertools
import os
import tarfile
import tracemalloc

import numpy as np
import pytest
from cifar_files import (
    PIXELS,
    archive_bytes,
    cifar_files,
    tar_bytes,
    write_archive,
    write_folder,
)
from idx_files import refusal

from vitnp.data import cifar, tar

BOTH = pytest.mark.parametrize("name", ["cifar10", "cifar100"])
WHERE = ["archive", "folder inside", "the folder itself", "archive with ./"]


def packed_bytes(data):
    """Return data as gzip packs it; without the time, so that all workers name tests alike."""
    return gzip.compress(data, 1, mtime=0)


def place(folder, name, files, where="archive"):
    """Put the set into a folder, and return what --data-dir would be."""
    if where.startswith("archive"):
        prefix = "./" if where.endswith("./") else ""
        write_archive(folder, name, archive_bytes(name, files, prefix))
    elif where == "folder inside":
        write_folder(folder / cifar.LAYOUTS[name].folder, files)
    else:
        write_folder(folder, files)
    return folder


@BOTH
@pytest.mark.parametrize("where", WHERE)
def test_a_set_is_read_wherever_it_lies(tmp_path, name, where):
    files, train_labels, test_labels = cifar_files(name)
    data = cifar.load(name, str(place(tmp_path, name, files, where)))
    count = len(train_labels)
    assert data.name == name
    np.testing.assert_array_equal(data.train_images, PIXELS[:count])
    np.testing.assert_array_equal(data.test_images, PIXELS[count:count + 3])
    assert data.train_labels.tolist() == train_labels
    assert data.test_labels.tolist() == test_labels
    assert data.train_images.dtype == data.test_images.dtype == np.uint8
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    # With the planes apart in memory, taking a batch would be several times slower.
    assert data.train_images.flags.c_contiguous and data.train_images.flags.writeable


@BOTH
def test_class_names_come_from_the_file_or_are_known(tmp_path, name):
    files, _, _ = cifar_files(name)
    names = cifar.load(name, place(tmp_path, name, files)).class_names
    assert names[3] == {"cifar10": "ten 3", "cifar100": "hundred 3"}[name]
    del files[cifar.LAYOUTS[name].names_file]
    names = cifar.load(name, place(tmp_path, name, files)).class_names
    assert names[3] == {"cifar10": "cat", "cifar100": "3"}[name]
    assert len(names) == {"cifar10": 10, "cifar100": 100}[name]


def test_what_is_unpacked_is_preferred(tmp_path):
    files, _, _ = cifar_files("cifar10")
    write_archive(tmp_path, "cifar10", b"no archive")
    place(tmp_path, "cifar10", files, "folder inside")
    assert len(cifar.load("cifar10", tmp_path).train_images) == 10


def test_archives_of_other_writers_are_read(tmp_path):
    """Pax headers, GNU's long names, folders, links and unknown members stand between."""
    files, train_labels, _ = cifar_files("cifar10")
    folder = cifar.LAYOUTS["cifar10"].folder
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    directory = tarfile.TarInfo(folder)
    directory.type = tarfile.DIRTYPE
    odd = tarfile.TarInfo(f"{folder}/readme.html")
    odd.size, odd.mtime = 700, 1.5                          # a pax header goes before it
    members = [(directory, b""), (link, b""), (odd, b"x" * 700), ("l" * 300, b"long name")]
    members += [(f"{folder}/{name}", data) for name, data in files.items()]
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        write_archive(tmp_path, "cifar10", packed_bytes(tar_bytes(members, format=form)))
        assert cifar.load("cifar10", tmp_path).train_labels.tolist() == train_labels
    write_archive(tmp_path, "cifar10", tar_bytes(members))  # not packed, whatever its name says
    assert cifar.load("cifar10", tmp_path).train_labels.tolist() == train_labels


@BOTH
@pytest.mark.parametrize("where", ["archive", "folder inside"])
def test_missing_files_are_named(tmp_path, name, where):
    files, _, _ = cifar_files(name)
    del files[cifar.LAYOUTS[name].test_file]
    message = refusal(cifar.load, name, place(tmp_path, name, files, where))
    assert f"holds no file {cifar.LAYOUTS[name].test_file}; " in message


def test_a_folder_without_the_set_is_refused(tmp_path):
    message = refusal(cifar.load, "cifar100", tmp_path)
    assert "cifar-100-binary.tar.gz" in message and "--data-dir" in message
    write_archive(tmp_path, "cifar10", b"")                 # the other set is not this one
    assert refusal(cifar.load, "cifar100", tmp_path) == message
    assert "holds neither" in refusal(cifar.load, "cifar10", tmp_path / "missing")


@pytest.mark.parametrize("where", ["archive", "folder inside"])
@pytest.mark.parametrize(("file_name", "change", "words"), [
    ("data_batch_2.bin", lambda data: data[:-1], "6145 bytes, but records of 3073 bytes"),
    ("data_batch_4.bin", lambda data: b"", "data_batch_4.bin holds no images"),
    ("test_batch.bin", lambda data: b"\x0a" + data[1:], "test_batch.bin has the label 10"),
    ("batches.meta.txt", lambda data: data[6:], "batches.meta.txt holds 9 class names"),
    ("batches.meta.txt", lambda data: b"\xff" + data, "batches.meta.txt is no text"),
    ("batches.meta.txt", lambda data: data.replace(b"3", b"4"), "names the class 'ten 4' twice"),
    ("batches.meta.txt", lambda data: data.replace(b"3", b"\x1b"), "'ten \\x1b' at position 3"),
])
def test_a_wrong_file_is_named(tmp_path, where, file_name, change, words):
    files, _, _ = cifar_files("cifar10")
    files[file_name] = change(files[file_name])
    message = refusal(cifar.load, "cifar10", place(tmp_path, "cifar10", files, where))
    assert words in message and str(tmp_path) in message


def test_a_file_of_the_other_set_is_refused(tmp_path):
    files, _, _ = cifar_files("cifar10")
    files["test_batch.bin"] = cifar_files("cifar100")[0]["test.bin"]
    assert "not of the binary version" in refusal(
        cifar.load, "cifar10", place(tmp_path, "cifar10", files))


def test_files_that_are_none_are_refused(tmp_path):
    files, _, _ = cifar_files("cifar100")
    folder = place(tmp_path, "cifar100", files, "the folder itself")
    (folder / "train.bin").unlink()
    (folder / "train.bin").mkdir()
    assert "train.bin is a folder or a device" in refusal(cifar.load, "cifar100", folder)
    (folder / "train.bin").rmdir()
    os.mkfifo(folder / "train.bin")                         # opening it would wait for a writer
    assert "train.bin is a folder or a device" in refusal(cifar.load, "cifar100", folder)


def special(kind, name="cifar-10-batches-bin/data_batch_1.bin"):
    """Return a member that is no plain file."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, "/etc/passwd"
    return member, b""


def announcing(size, kind=tarfile.REGTYPE, name="cifar-10-batches-bin/data_batch_1.bin"):
    """Return a gzipped archive whose first header announces a size that is not there."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return packed_bytes(member.tobuf(tarfile.GNU_FORMAT) + b"few bytes")


BATCH = "cifar-10-batches-bin/data_batch_1.bin"


@pytest.mark.parametrize(("packed", "words"), [
    (packed_bytes(tar_bytes([special(tarfile.SYMTYPE)])), "is no plain file but of type b'2'"),
    (packed_bytes(tar_bytes([special(tarfile.LNKTYPE)])), "is no plain file but of type b'1'"),
    (packed_bytes(tar_bytes([special(tarfile.DIRTYPE)])), "is no plain file but of type b'5'"),
    (packed_bytes(tar_bytes([(BATCH, b"a"), (BATCH, b"b")])), "data_batch_1.bin' twice"),
    (packed_bytes(tar_bytes([("../../" + BATCH, b"a"), ("/" + BATCH, b"a")])), "holds no file"),
    (announcing(2**40), "announces 1099511627776 bytes for its member"),
    (announcing(2**40, tarfile.XHDTYPE, "x"), "announces 1099511627776 bytes for its member 'x'"),
    (announcing(2**40, tarfile.GNUTYPE_LONGNAME, "x"), "announces 1099511627776 bytes"),
    (announcing(-512), "announces -512 bytes"), (announcing(-(2**60)), "announces -"),
    (announcing(2**28), "ends inside a member"),
    (announcing(2**28, tarfile.XHDTYPE, "x"), "ends inside a member"),
    (packed_bytes(b"x" * 512), "damaged header at byte 0 of the archive"),
    (packed_bytes(tar_bytes([("a", b"x")])[:700]), "ends inside a member"),
    (packed_bytes(tar_bytes([("a", b"x")])[:1024] + b"rest"), "damaged header at byte 1024"),
    (b"<html>", "damaged header"), (b"", "holds no file"), (b"\x1f\x8b", "cannot be read"),
], ids=itertools.count())
def test_an_archive_that_is_none_is_refused_and_takes_no_memory(tmp_path, packed, words):
    path = write_archive(tmp_path, "cifar10", packed)
    tracemalloc.start()
    message = refusal(cifar.load, "cifar10", tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert words in message and str(path) in message
    assert peak < 8e6
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", ["wanted", "other", "after the end"])
def test_a_bomb_is_not_unpacked_further_than_allowed(tmp_path, place):
    data = {"wanted": tar_bytes([("wanted", bytes(2**24))]),
            "other": tar_bytes([(f"{i}", bytes(2**20)) for i in range(16)]),
            "after the end": tar_bytes([("a", b"b")]) + bytes(2**24)}[place]
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(packed_bytes(data))
    tracemalloc.start()
    message = refusal(tar.read_members, path, {"wanted"}, 2**23)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(2**23) in message and peak < 8e6


def test_a_wrong_byte_anywhere_in_the_archive_is_found(tmp_path):
    """The checksum stands at the end of the file, after everything that is wanted."""
    files, _, _ = cifar_files("cifar10")
    packed = bytearray(archive_bytes("cifar10", files))
    for position in range(20, len(packed), len(packed) // 50):
        packed[position] ^= 1
        write_archive(tmp_path, "cifar10", packed)
        refusal(cifar.load, "cifar10", tmp_path)
        packed[position] ^= 1
    write_archive(tmp_path, "cifar10", packed)
    assert len(cifar.load("cifar10", tmp_path).train_images) == 10


def test_an_unpacked_file_of_absurd_size_is_not_read(tmp_path):
    files, _, _ = cifar_files("cifar100")
    folder = place(tmp_path, "cifar100", files, "the folder itself")
    os.truncate(folder / "train.bin", 2**40)                # a hole: it takes no room
    assert f"{2**40} bytes, but at most" in refusal(cifar.load, "cifar100", folder)
