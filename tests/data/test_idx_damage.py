"""Damaged idx files are refused in one sentence, take no memory, and raise nothing else."""

import gzip
import random
import struct
import tracemalloc

import numpy as np
import pytest
from idx_files import PIXELS, idx_bytes, refusal, write

from vitnp.data import idx
from vitnp.errors import Error


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("data", "words"), [
    (b"", ["starts with b''", "two zero bytes"]),
    (b"\0\0\x08", ["starts with", "two zero bytes"]),
    (b"<!DOCTYPE html>", ["starts with b'<!DO'", "two zero bytes"]),
    (idx_bytes(PIXELS, 0x0D), ["type 0x0d", "0x08"]),
    (b"\0\0\x08\0", ["announces 0 dimensions", "1 to 4"]),
    (b"\0\0\x08\x05" + b"\0\0\0\x01" * 5 + b"x", ["announces 5 dimensions", "1 to 4"]),
    (b"\0\0\x08\xff" + b"\0\0\0\x01" * 255 + b"x", ["announces 255 dimensions", "1 to 4"]),
    (idx_bytes(PIXELS)[:15], ["inside its header", "after 15 bytes", "have 16"]),
    (idx_bytes(PIXELS)[:-1], ["24 bytes in the shape 2 x 3 x 4", "only 23"]),
    (idx_bytes(PIXELS) + b"x", ["24 bytes in the shape 2 x 3 x 4", "holds more"]),
    (idx_bytes(PIXELS[:0]), ["the shape 0 x 3 x 4", "at least one element"]),
    (b"\0\0\x08\x02" + b"\xff" * 8, ["4294967295 x 4294967295", "at most 4294967296"]),
])
def test_a_wrong_file_is_one_sentence(tmp_path, data, words, packed):
    path = write(tmp_path / "images", gzip.compress(data) if packed else data)
    sentence = refusal(idx.read, path)
    for word in (str(path), *words):
        assert word in sentence


def damaged_gzip(kind):
    whole = bytearray(gzip.compress(idx_bytes(PIXELS)))
    if kind == "cut":
        return whole[:-9]
    if kind == "checksum":
        whole[-8] ^= 1  # the last eight bytes are the checksum and the length
    if kind == "stream":
        whole[10] = 0xFF  # the first byte after the header: a block of an unknown kind
    if kind == "tail":
        whole += b"tail"
    return whole


@pytest.mark.parametrize("kind", ["cut", "checksum", "stream", "tail"])
def test_broken_gzip_is_refused(tmp_path, kind):
    path = write(tmp_path / "images.gz", damaged_gzip(kind))
    assert f"{path} cannot be read (" in refusal(idx.read, path)


def peak_memory_of_refusal(path):
    tracemalloc.start()
    try:
        sentence = refusal(idx.read, path)
        return tracemalloc.get_traced_memory()[1], sentence
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_announcement_takes_no_memory(tmp_path, packed):
    data = b"\0\0\x08\x01" + struct.pack(">I", 2**32 - 1) + b"few"
    path = write(tmp_path / "labels", gzip.compress(data) if packed else data)
    peak, sentence = peak_memory_of_refusal(path)
    assert peak < 8e6 and "holds only 3" in sentence


def test_a_gzip_bomb_is_not_unpacked(tmp_path):
    path = write(tmp_path / "images.gz", gzip.compress(idx_bytes(PIXELS) + bytes(2**25)))
    peak, sentence = peak_memory_of_refusal(path)
    assert peak < 8e6 and "holds more" in sentence


def damage(data, numbers):
    """Return the bytes with a few of them changed, or cut off at a random place."""
    data = bytearray(data)
    if numbers.random() < 0.3:
        return data[:numbers.randrange(len(data))]
    for _ in range(numbers.randint(1, 3)):
        data[numbers.randrange(len(data))] ^= 1 << numbers.randrange(8)
    return data


def read_or_none(path):
    try:
        return idx.read(path)
    except Error as error:
        assert str(path) in str(error)
        return None


def test_random_damage_to_a_gzip_file_is_refused_or_harmless(tmp_path):
    # The checksum guards the elements, so what is still read must be what was written.
    numbers = random.Random(0)
    whole = gzip.compress(idx_bytes(PIXELS), mtime=0)
    refused = 0
    for _ in range(400):
        array = read_or_none(write(tmp_path / "images.gz", damage(whole, numbers)))
        refused += array is None
        assert array is None or np.array_equal(array, PIXELS)
    assert 200 < refused < 400


def test_random_damage_to_a_plain_file_gives_no_other_exception(tmp_path):
    numbers = random.Random(1)
    whole = idx_bytes(PIXELS)
    for _ in range(400):
        array = read_or_none(write(tmp_path / "images", damage(whole, numbers)))
        assert array is None or (array.size == PIXELS.size and array.dtype == np.uint8)
