"""Arrays in an .npz file: what numpy writes is read, and nothing is believed or unpickled."""

import itertools
import os
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest
from idx_files import refusal
from npz_files import (
    ARRAYS,
    described,
    npy_bytes,
    replacing,
    with_announced_size,
    write_npz,
    zip_bytes,
)

from vitnp.data import arrays

IMAGES, LABELS = ARRAYS["train_images"], ARRAYS["train_labels"]
KERAS = dict(zip(arrays.KERAS_NAMES, ARRAYS.values(), strict=True))


def check_cheap_refusal(folder, data, words, most):
    """Assert that a file with these data is refused in fewer than `most` bytes of memory."""
    path = folder / "a.npz"
    path.write_bytes(data)
    tracemalloc.start()
    message = refusal(arrays.load, path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert words in message and str(path) in message
    assert peak < most and len(message) < 1000
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("changes", [{}, dict.fromkeys(ARRAYS) | KERAS])
def test_a_set_is_read_under_either_names(tmp_path, packed, changes):
    path = write_npz(tmp_path / "a.npz", packed, **changes)
    for data_dir in (path, str(path), tmp_path, str(tmp_path)):
        data = arrays.load(data_dir)
        assert data.name == "arrays" and data.class_names == ("0", "1", "2")
        np.testing.assert_array_equal(data.train_images, IMAGES[..., np.newaxis])
        np.testing.assert_array_equal(data.test_images, ARRAYS["test_images"][..., np.newaxis])
        np.testing.assert_array_equal(data.train_labels, LABELS)
        np.testing.assert_array_equal(data.test_labels, ARRAYS["test_labels"])
        assert data.train_images.dtype == np.uint8 and data.train_labels.dtype == np.int64


def test_arrays_of_all_layouts_are_read(tmp_path):
    """The elements are in the file as they lay in memory, in any type of integers."""
    colour = np.stack([IMAGES, IMAGES[::-1], 255 - IMAGES], axis=-1)  # (5, 4, 6, 3)
    test = np.asfortranarray(colour[1:4])
    path = write_npz(tmp_path / "a.npz", train_images=np.asfortranarray(colour), test_images=test,
                     train_labels=LABELS.astype(">i2"), test_labels=np.array([2, 0, 1], np.uint64))
    data = arrays.load(path)
    np.testing.assert_array_equal(data.train_images, colour)
    np.testing.assert_array_equal(data.test_images, test)
    assert data.train_images.flags.c_contiguous and data.train_images.flags.writeable
    assert data.train_labels.tolist() == LABELS.tolist()
    assert data.train_labels.dtype == data.test_labels.dtype == np.dtype(np.int64)


def test_class_names_may_be_given_and_other_arrays_are_not_read(tmp_path):
    path = write_npz(tmp_path / "a.npz", class_names=np.array(["cat", "dog", "hen", "cow"]),
                     other=np.array([{}], dtype=object))
    assert arrays.load(path).class_names == ("cat", "dog", "hen", "cow")


@pytest.mark.parametrize(("changes", "words"), [
    ({"train_images": IMAGES / 255.0}, "train_images in {} is of type float64"),
    ({"train_images": IMAGES > 3}, "train_images in {} is of type bool"),
    ({"train_images": IMAGES.astype(np.int64)}, "(5 x 4 x 6) and the type int64"),
    ({"train_images": IMAGES[0]}, "(4 x 6)"),
    ({"test_images": IMAGES[None, ..., None]}, "(1 x 5 x 4 x 6 x 1)"),
    ({"test_images": IMAGES[:0]}, "announces the shape (0 x 4 x 6)"),
    ({"test_images": IMAGES[:3, :2]}, "holds images of 4 x 6 x 1, but test_images in {} of 2 x 6"),
    ({"train_labels": LABELS[:4]}, "holds 5 images, but train_labels in {} holds 4 labels"),
    ({"train_labels": LABELS - 1}, "train_labels in {} has the label -1 at position 0"),
    ({"train_labels": LABELS * 0}, "the largest label 0, but without the array class_names"),
    ({"train_labels": LABELS + 10**9}, "the largest label 1000000002"),
    ({"train_labels": np.full(5, 2**64 - 1, np.uint64)}, "largest label 18446744073709551615"),
    ({"test_labels": np.full(3, 2**64 - 1, np.uint64)}, "the label 18446744073709551615"),
    ({"test_labels": np.array([0, 1, 3])}, "test_labels in {} has the label 3 at position 2"),
    ({"train_labels": LABELS[:, None]}, "train_labels in {} has the shape (5 x 1)"),
    ({"train_labels": LABELS.astype(str)}, "the type <U21, but labels are integers"),
    ({"train_labels": LABELS.astype(float)}, "train_labels in {} is of type float64"),
    ({"train_labels": LABELS.astype(object)}, "objects are never read"),
    ({"class_names": np.array(["a", {}, "c"], object)}, "objects are never read"),
    ({"class_names": np.array(["a", "b"])}, "train_labels in {} has the label 2"),
    ({"class_names": np.array(["a"])}, "class_names in {} names 1 class, but"),
    ({"class_names": np.array(["a", "b", "a"])}, "names the class 'a' twice"),
    ({"class_names": np.array(["a", "b\n", "c"])}, "'b\\n' at position 1"),
    ({"class_names": np.array(["a", " ", "c"])}, "' ' at position 1"),
    ({"class_names": np.array([["a", "b", "c"]])}, "class_names in {} has the shape (1 x 3)"),
    ({"class_names": np.array([1, 2, 3])}, "the type int64, but class names are strings"),
    ({"class_names": np.array([b"a", b"b", b"c"])}, "class_names in {} is of type |S1"),
    ({"class_names": np.zeros(3, [("a", "U2")])}, "class_names in {} is of type [('a', '<U2')]"),
    ({"test_labels": None, "odd name": LABELS}, "'test_images', 'odd name'; needed are train"),
    (dict.fromkeys(ARRAYS), "holds no arrays; needed are"),
    ({"train_labels": None, "y_train": LABELS}, "(or x_train, y_train, x_test, y_test)"),
])
def test_arrays_that_are_no_data_set_are_refused(tmp_path, changes, words):
    path = write_npz(tmp_path / "a.npz", **changes)
    message = refusal(arrays.load, path)
    assert words.format(path) in message and str(path) in message


def test_a_folder_must_hold_exactly_one_file(tmp_path):
    assert "neither an .npz file nor a folder" in refusal(arrays.load, tmp_path / "missing")
    assert "holds 0 .npz files" in refusal(arrays.load, tmp_path)
    write_npz(tmp_path / "b.npz")
    write_npz(tmp_path / ".hidden.npz")
    assert len(arrays.load(tmp_path).train_labels) == 5
    os.mkfifo(tmp_path / "a.npz")
    assert "holds 2 .npz files" in refusal(arrays.load, tmp_path)
    (tmp_path / "b.npz").unlink()
    assert "a.npz is a folder or a device" in refusal(arrays.load, tmp_path)


class Evil:
    """What would be run if anything were unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


GOOD = npy_bytes(described(), IMAGES.tobytes())
U1, OBJECT = described(), described(descr="|O")
DEEP = "(" * 1000


@pytest.mark.parametrize(("data", "words"), [
    (b"", "damaged header: "), (b"\x93NUMPY", "damaged header: "), (b"<html>" * 9, "magic string"),
    (npy_bytes(U1, IMAGES.tobytes()[1:]), "120 bytes, but has 119"),
    (npy_bytes(U1, IMAGES.tobytes() + b"x"), "120 bytes, but has 121"),
    (npy_bytes(described((2**40, 4, 6))), "26388279066624 bytes, but has 0"),
    (npy_bytes(described((2**70,), "<i8")), "bytes, but has 0"),
    (npy_bytes(described((-5, -4, 6)), bytes(120)), "(-5 x -4 x 6)"),
    (npy_bytes(described((0, 4, 6))), "at least one element"),
    (npy_bytes(described((), "<i8"), bytes(8)), "has the shape () and the type int64"),
    (npy_bytes(described((1,) * 500), b"x"), "cannot be read"),
    (npy_bytes(described((2,), "<U0")), "cannot be read"),
    (npy_bytes(described((1,), "<U99999999"), b"x"), "399999996 bytes, but has 1"),
    (npy_bytes(OBJECT, pickle.dumps([Evil()])), "objects are never read"),
    (npy_bytes(described(descr="|O8"), pickle.dumps([Evil()])), "objects are never read"),
    (npy_bytes(described(descr=[("a", "|O")]), b""), "objects are never read"),
    (npy_bytes(described(descr="nonsense")), "damaged header"),
    (npy_bytes(described((5, "a"))), "damaged header"),
    (npy_bytes("__import__('os').mkdir('unpickled')"), "damaged header"),
    (npy_bytes("{'descr': '\\d'"), "damaged header"), (npy_bytes("{" * 20), "damaged header"),
    (npy_bytes(DEEP), "damaged header"), (npy_bytes("-" * 9000 + "1"), "damaged header"),
    (npy_bytes("{'shape': (5L, 4L, 6L), 'descr': '|u1', 'fortran_order': 0}"), "damaged header"),
    (npy_bytes("x" * 60_000), "damaged header"),
    (npy_bytes("[" + "1," * 4990 + "]"), "damaged header"),
    (npy_bytes(U1, IMAGES.tobytes(), version=2), "version (2, 0)"),
    (npy_bytes(U1, IMAGES.tobytes(), version=9), "damaged header"),
    (b"\x93NUMPY\x02\0\xff\xff\xff\xff{", "version (2, 0)"),
], ids=itertools.count())
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_array_is_refused_and_takes_no_memory(tmp_path, monkeypatch, data, words,
                                                        compression):
    monkeypatch.chdir(tmp_path)
    check_cheap_refusal(tmp_path, replacing("train_images", data, compression), words, 8e6)


def test_headers_of_other_writers_are_read(tmp_path):
    path = tmp_path / "a.npz"
    header = '{"shape":(5,4,6),"fortran_order":False,"descr":"|u1"}\n'
    path.write_bytes(replacing("train_images", npy_bytes(header, IMAGES.tobytes())))
    np.testing.assert_array_equal(arrays.load(path).train_images[..., 0], IMAGES)


BOMB = npy_bytes(described((2**24,)), bytes(2**24))
CLIMBING = {f"../../{name}.npy": GOOD for name in ARRAYS}


@pytest.mark.parametrize(("data", "words"), [
    (b"", "cannot be read"), (b"PK\x03\x04", "cannot be read"), (GOOD, "cannot be read"),
    (with_announced_size(replacing("train_images", GOOD), 2**32 - 2), "announces 429496"),
    (with_announced_size(replacing("train_images", GOOD), 2**31), "cannot hold so many"),
    (with_announced_size(replacing("train_images", GOOD), len(GOOD) + 1), "120 bytes, but has 121"),
    (with_announced_size(replacing("train_images", GOOD), 4), "Bad CRC-32"),
    (replacing("train_images", GOOD, zipfile.ZIP_BZIP2), "numpy.savez does not use"),
    (replacing("train_images", GOOD, zipfile.ZIP_LZMA), "numpy.savez does not use"),
    (replacing("train_images", BOMB, zipfile.ZIP_DEFLATED), "(16777216) and the type uint8"),
    (zip_bytes(CLIMBING), "holds the arrays '../../train_images', '../../train_labels'"),
    (zip_bytes({f"{i}.npy": b"" for i in range(500)}), "'9', ...; needed are"),
], ids=itertools.count())
def test_an_archive_that_is_none_is_refused(tmp_path, data, words):
    check_cheap_refusal(tmp_path, data, words, 24e6)


def test_a_protected_archive_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    data = bytearray(replacing("train_images", GOOD))
    data[data.index(b"PK\x01\x02") + 8] |= 1                # the flag that says: needs a password
    data[6] |= 1
    path.write_bytes(data)
    assert "password" in refusal(arrays.load, path)


@pytest.mark.parametrize("packed", [False, True])
def test_a_wrong_byte_in_the_elements_is_found(tmp_path, packed):
    path = write_npz(tmp_path / "a.npz", packed)
    data = bytearray(path.read_bytes())
    place = data.index(b"train_labels.npy") - 46 - 60       # in the last bytes of train_images
    data[place] ^= 1
    path.write_bytes(data)
    assert str(path) in refusal(arrays.load, path)
