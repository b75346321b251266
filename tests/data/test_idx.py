"""Idx files: right ones read whichever way they are packed, wrong sets refused in a sentence."""

import gzip
import os

import numpy as np
import pytest
from idx_files import PIXELS, idx_bytes, refusal, write, write_set

from vitnp.data import idx, load


@pytest.mark.parametrize("packed", [False, True])
def test_a_whole_set_is_read_packed_or_not(tmp_path, packed):
    arrays = write_set(tmp_path, packed)
    data = load("mnist", str(tmp_path))
    assert np.array_equal(data.train_images, arrays[0][..., np.newaxis])
    assert np.array_equal(data.train_labels, arrays[1])
    assert np.array_equal(data.test_images, arrays[2][..., np.newaxis])
    assert np.array_equal(data.test_labels, arrays[3])
    assert data.train_images.dtype == np.uint8 and data.train_labels.dtype == np.int64


def test_each_set_has_its_own_class_names(tmp_path):
    write_set(tmp_path)
    mnist, fashion = load("mnist", tmp_path), load("fashion-mnist", tmp_path)
    assert (mnist.name, fashion.name) == ("mnist", "fashion-mnist")
    assert mnist.class_names == tuple("0123456789")
    assert len(fashion.class_names) == 10 and fashion.class_names[9] == "Ankle boot"


def test_packing_is_told_by_the_content_not_by_the_name(tmp_path):
    unpacked_called_gz = write(tmp_path / "images.gz", idx_bytes(PIXELS))
    packed_called_plain = write(tmp_path / "images", gzip.compress(idx_bytes(PIXELS)))
    assert np.array_equal(idx.read(unpacked_called_gz), PIXELS)
    assert np.array_equal(idx.read(packed_called_plain), PIXELS)


def test_what_is_read_can_be_changed(tmp_path):
    idx.read(write(tmp_path / "images", idx_bytes(PIXELS)))[0] = 1


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_without_a_folder_the_way_to_the_files_is_named(name):
    sentence = refusal(load, name)
    for word in (name, "--data-dir", f"python -m vitnp.data fetch {name}"):
        assert word in sentence


def test_a_missing_folder_is_named(tmp_path):
    assert f"{tmp_path / 'nowhere'} is not a folder" in refusal(load, "mnist", tmp_path / "nowhere")


@pytest.mark.parametrize("name", idx.FILES)
def test_a_missing_file_is_named(tmp_path, name):
    write_set(tmp_path)
    (tmp_path / name).unlink()
    assert f"{tmp_path} holds no file {name} or {name}.gz" in refusal(load, "mnist", tmp_path)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    write_set(tmp_path)
    path = tmp_path / idx.FILES[0]
    path.unlink()
    path.mkdir()
    assert f"{path} is a folder" in refusal(load, "mnist", tmp_path)


def test_a_device_in_place_of_a_file_is_refused():
    # A pipe is told apart in the same way: opening one would wait without end.
    assert "is a folder or a device" in refusal(idx.read, os.devnull)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path):
    assert "cannot be read (No such file" in refusal(idx.read, tmp_path / "nothing")


@pytest.mark.skipif(not os.path.isfile("/proc/self/mem"), reason="needs a file that fails to read")
def test_a_file_that_fails_while_it_is_read_is_refused():
    assert "/proc/self/mem cannot be read" in refusal(idx.read, "/proc/self/mem")


@pytest.mark.parametrize(("position", "array", "words"), [
    (0, np.zeros((4, 3, 4)), ["4 images", "5 labels", *idx.FILES[:2]]),
    (3, np.zeros(2), ["3 images", "2 labels", *idx.FILES[2:]]),
    (1, np.array([0, 1, 10, 2, 3]), ["label 10", "position 2", "0 to 9", idx.FILES[1]]),
    (2, np.zeros((3, 4, 3)), ["3 x 4", "4 x 3", idx.FILES[0], idx.FILES[2]]),
    (0, np.zeros(5), [idx.FILES[0], "the shape 5,", "count x height x width"]),
    (1, np.zeros((5, 3, 4)), [idx.FILES[1], "the shape 5 x 3 x 4", "one dimension"]),
])
def test_files_that_do_not_belong_together_are_refused(tmp_path, position, array, words):
    write_set(tmp_path)
    write(tmp_path / idx.FILES[position], idx_bytes(array.astype(np.uint8)))
    sentence = refusal(load, "mnist", tmp_path)
    for word in words:
        assert word in sentence
