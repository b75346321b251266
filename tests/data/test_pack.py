"""Packed pictures are those of the folder, to the byte, whatever happens while they are packed."""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from idx_files import refusal
from PIL import Image

import vitnp
from vitnp import data
from vitnp.data import folder, pack
from vitnp.data.preprocess import whole

SIDE = 6
WAY = whole((SIDE, SIDE))


def write_set(path, *parts, count=15, size=(40, 30)):
    for part in parts:
        for name in ("ant", "cat"):
            (path / part / name).mkdir(parents=True)
            for i in range(count):
                rng = np.random.default_rng([i, len(part), len(name), ord(name[0])])
                pixels = rng.integers(0, 256, (*size[::-1], 3), np.uint8)
                Image.fromarray(pixels).save(path / part / name / f"{i:02}.jpg")
    return path


@pytest.fixture
def pictures(tmp_path):
    return write_set(tmp_path / "set", "train", "test")


def equal(one, other):
    for name in ("train_images", "test_images", "train_labels", "test_labels"):
        np.testing.assert_array_equal(getattr(one, name)[:], getattr(other, name)[:])
    for part, others in zip(one.parts(), other.parts(), strict=True):
        np.testing.assert_array_equal(part, others)
    assert one.class_names == other.class_names and one.fingerprint == other.fingerprint


@pytest.mark.parametrize("parts", [("train",), ("train", "test"), ("train", "val"),
                                   ("train", "valid", "test"), ("",)])
def test_both_ways_give_the_same_images_labels_and_parts(tmp_path, parts):
    write_set(tmp_path / "set", *parts)
    assert pack.write(tmp_path / "set", tmp_path / "packed", WAY, 1) == 30 * len(parts)
    packed = data.load("folder", tmp_path / "packed")       # and its size is known
    equal(folder.load(tmp_path / "set", SIDE, 1), packed)
    assert packed.train_images.shape[1:] == (SIDE, SIDE, 3)
    equal(folder.load(tmp_path / "packed", SIDE, 1), packed)


@pytest.mark.parametrize("key", [3, -1, slice(2, 9, 3), [5, 0, 5], np.array([[1, 2], [3, 4]]),
                                 np.arange(30) % 7 == 0, []])
def test_indexing_is_that_of_an_array(tmp_path, pictures, key):
    pack.write(pictures, tmp_path / "packed", WAY, 1)
    images = folder.load(tmp_path / "packed", SIDE, 1).train_images
    key = np.array(key, int) if isinstance(key, list) else key
    np.testing.assert_array_equal(images[key], images[:][key])
    images[:][...] = 1                                      # augmentation may work in place


def test_another_size_is_refused(tmp_path, pictures):
    pack.write(pictures, tmp_path / "packed", WAY, 1)
    assert "pack again with --image-size 8 --resample bilinear, or leave out" in refusal(
        data.load, "folder", tmp_path / "packed", 8)
    assert "is the pack of other pictures, or of another size" in refusal(
        pack.write, pictures, tmp_path / "packed", whole((8, 8)), 1)


def test_pictures_are_packed_as_a_network_reads_them(tmp_path, pictures):
    way = replace(WAY, resize=(8, 8), keep_ratio=True, resample="bicubic", mean=(0.1, 0.2, 0.3))
    pack.write(pictures, tmp_path / "packed", way, 1)
    equal(folder.load(pictures, SIDE, 1, way), folder.load(tmp_path / "packed", SIDE, 1, way))
    assert "pack again with --image-size 6 --resample bilinear, or leave out" in refusal(
        folder.load, tmp_path / "packed", SIDE, 1)


def test_packing_again_changes_nothing_and_other_folders_are_left_alone(tmp_path, pictures):
    pack.write(pictures, tmp_path / "packed", WAY, 1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "packed").iterdir()}
    assert pack.write(pictures, tmp_path / "packed", WAY, 1) == 60
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "packed").iterdir()}
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("mine")
    assert "is not empty" in refusal(pack.write, pictures, tmp_path / "thesis", WAY, 1)


def spoil(monkeypatch, after):
    """Let packing end after so many pictures."""
    decode, seen = pack.Decoders.decode, []

    def stopped(*arguments):
        seen.append(arguments)
        if len(seen) > after:
            raise KeyboardInterrupt
        return decode(*arguments)

    monkeypatch.setattr(pack, "AT_ONCE", 1)
    monkeypatch.setattr(pack.Decoders, "decode", stopped)
    return seen


@pytest.mark.parametrize("after", [0, 1, 17, 59])
@pytest.mark.parametrize("change", [None, "pixels", "crcs", "added", "removed", "changed"])
def test_packing_goes_on_where_it_was_stopped(tmp_path, monkeypatch, pictures, after, change):
    with monkeypatch.context() as patch:
        spoil(patch, after)
        with pytest.raises(KeyboardInterrupt):
            pack.write(pictures, tmp_path / "packed", WAY, 1)
    assert "not packed to its end" in refusal(folder.load, tmp_path / "packed", SIDE, 1)
    if change in ("pixels", "crcs"):                        # killed in the middle of a write
        with open(tmp_path / "packed" / f"{change}.part", "ab") as file:
            file.write(b"half")
    elif change == "added":
        os.link(pictures / "test/cat/03.jpg", pictures / "train/ant/99.jpg")
    elif change == "removed":
        (pictures / "train/ant/03.jpg").unlink()
    elif change == "changed":
        Image.new("RGB", (9, 9)).save(pictures / "train/ant/03.jpg")
    with monkeypatch.context() as patch:
        seen = spoil(patch, 1000)
        pack.write(pictures, tmp_path / "packed", WAY, 1)
    equal(folder.load(pictures, SIDE, 1), folder.load(tmp_path / "packed", SIDE, 1))
    assert sorted(os.listdir(tmp_path / "packed")) == ["crcs", "pack.json.gz", "pixels"]
    if change in (None, "pixels", "crcs"):
        assert len(seen) == 60 - after


def test_a_picture_that_cannot_be_read_is_named_and_packing_goes_on_later(tmp_path, pictures):
    (pictures / "test/ant/04.jpg").write_bytes(b"no picture")
    assert "ant/04.jpg cannot be read" in refusal(pack.write, pictures, tmp_path / "p", WAY, 1)
    (pictures / "test/ant/04.jpg").unlink()
    assert pack.write(pictures, tmp_path / "p", WAY, 1) == 59


def test_wrong_pixels_are_found_when_they_are_read_and_by_the_check(tmp_path, pictures):
    pack.write(pictures, tmp_path / "packed", WAY, 1)
    path = tmp_path / "packed" / "pixels"
    pixels = bytearray(path.read_bytes())
    pixels[-1] ^= 1
    path.write_bytes(pixels)
    dataset = folder.load(tmp_path / "packed", SIDE, 1)
    assert len(dataset.train_images[:])
    assert f"{path} is damaged at picture 59" in refusal(dataset.test_images.__getitem__, [-1, 0])
    assert "is damaged" in refusal(pack.check, pack.read(tmp_path / "packed"))


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_pack_is_one_sentence_or_the_right_pictures(tmp_path, pictures, seed):
    numbers = random.Random(seed)
    pack.write(pictures, tmp_path / "packed", WAY, 1)
    whole = folder.load(tmp_path / "packed", SIDE, 1)
    images = whole.train_images[:], whole.test_images[:]
    path = tmp_path / "packed" / numbers.choice(("pixels", "crcs", "pack.json.gz"))
    content = bytearray(path.read_bytes())
    kind, place = numbers.choice(("cut", "flip", "grow", "empty", "gone")), numbers.randrange(
        len(content))
    if kind == "cut":
        del content[place:]
    elif kind == "flip":
        content[place] ^= 1 << numbers.randrange(8)
    elif kind == "grow":
        content += numbers.randbytes(4)
    path.write_bytes(b"" if kind == "empty" else content)
    if kind == "gone":
        path.unlink()
    try:
        found = data.load("folder", tmp_path / "packed")
        parts = found.train_images[:], found.test_images[:]
    except vitnp.Error as error:
        assert str(tmp_path / "packed") in str(error) and "\n" not in str(error)
        return
    for part, right in zip(parts, images, strict=True):
        np.testing.assert_array_equal(part, right)


def test_it_is_not_read_into_memory(tmp_path, pictures):
    pack.write(pictures, tmp_path / "packed", WAY, 1)
    assert isinstance(pack.read(tmp_path / "packed").pixels, np.memmap)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_packing_that_is_killed_again_and_again_ends_right(tmp_path, pictures, seed):
    numbers = random.Random(seed)
    arguments = [sys.executable, "-m", "vitnp.data", "pack", pictures, tmp_path / "packed",
                 "--image-size", str(SIDE), "--workers", "2"]
    for _ in range(4):
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        time.sleep(numbers.uniform(0.3, 1.2))
        process.send_signal(numbers.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))
        process.communicate()
    subprocess.run(arguments, check=True, capture_output=True)
    equal(folder.load(pictures, SIDE, 1), folder.load(tmp_path / "packed", SIDE, 1))
