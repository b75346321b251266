"""Oxford-IIIT Pet and Flowers-102, from small archives of their layouts on a local server."""

import struct
import zlib

import numpy as np
import pytest
from http_server import PATIENCE, by_path, cutting, entry, packed, published, serving, whole
from idx_files import refusal
from picture_files import picture_bytes

import vitnp
from vitnp import data
from vitnp.data import fetch, mat, oxford

BREEDS = {"Abyssinian": "Abyssinian", "american_bulldog": "American Bulldog",
          "Maine_Coon": "Maine Coon"}
KINDS = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 9}


def element(kind, content):
    if len(content) <= 4 and kind not in (14, 15):
        return struct.pack("<HH", kind, len(content)) + content.ljust(4, b"\0")
    return struct.pack("<II", kind, len(content)) + content + b"\0" * (-len(content) % 8)


def mat_bytes(packing=True, **arrays):
    """Return a .mat file, as MATLAB and SciPy write it: {name: (type, numbers)}."""
    data = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    for name, (kind, numbers) in arrays.items():
        array = element(14, element(6, struct.pack("<II", 6, 0))
                        + element(5, struct.pack("<ii", 1, len(numbers)))
                        + element(1, name.encode())
                        + element(KINDS[kind], np.array(numbers, kind).tobytes()))
        if packing:
            squeezed = zlib.compress(array)
            array = struct.pack("<II", 15, len(squeezed)) + squeezed
        data += array
    return data


def pets_files(drop=(), lines=None):
    """Return the two archives, with two pictures of each breed to train on and one to test."""
    names = {part: [f"{breed}_{i}" for breed in BREEDS for i in numbers]
             for part, numbers in (("trainval", (1, 12)), ("test", (103,)))}
    listed = [entry(f"annotations/{part}.txt", (lines or "".join(
        f"{name} 1 1 1\n" for name in found)).encode()) for part, found in names.items()]
    pictures = [entry(f"images/{name}.jpg", picture_bytes("JPEG", size=(20, 15)))
                for found in names.values() for name in found if name not in drop]
    others = [entry("images/Abyssinian_100.mat", b"not a picture"), entry("../climbed.jpg", b"no"),
              entry("images/not_listed_1.jpg", b"no"), entry("images/../../climbed.jpg", b"no")]
    return {"annotations.tar.gz": packed(entry("annotations/README", b"x"), *listed),
            "images.tar.gz": packed(*others, *pictures)}


def flowers_files():
    labels = [1, 77, 102, 77, 1, 102]
    parts = {"trnid": ("u2", [2, 5]), "valid": ("f8", [3]), "tstid": ("i4", [1, 4, 6])}
    pictures = [entry(f"jpg/image_{i:05}.jpg", picture_bytes("JPEG", size=(20, 15)))
                for i in range(1, 7)]
    return {"imagelabels.mat": mat_bytes(labels=("u1", labels)), "setid.mat": mat_bytes(**parts),
            "102flowers.tgz": packed(*pictures)}


def fetched(tmp_path, files, layout, answer=whole):
    with serving(by_path({name: answer(content) for name, content in files.items()})) as (base, _):
        fetch.fetch(published(base, files, layout=layout), tmp_path / "set", PATIENCE)
    return tmp_path / "set"


def names_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if
                  path.is_file())


def test_pets_lie_in_their_parts_and_breeds(tmp_path, capsys):
    folder = fetched(tmp_path, pets_files(), "pets",
                     lambda content: cutting(content, [len(content) // 2]))
    expected = [f"train/{name}/{breed}_{i}.jpg" for breed, name in BREEDS.items() for i in (1, 12)]
    expected += [f"test/{name}/{breed}_103.jpg" for breed, name in BREEDS.items()]
    assert names_in(folder) == sorted(expected)
    assert not (tmp_path / "climbed.jpg").exists() and not list(folder.glob(".*"))
    assert "6 pictures to" in capsys.readouterr().err
    fetched(tmp_path, pets_files(), "pets")
    assert "holds its pictures already" in capsys.readouterr().err


def test_flowers_lie_in_three_parts_and_have_their_names(tmp_path):
    folder = fetched(tmp_path, flowers_files(), "flowers")
    assert names_in(folder) == [
        "test/blackberry lily/image_00006.jpg", "test/passion flower/image_00004.jpg",
        "test/pink primrose/image_00001.jpg", "train/passion flower/image_00002.jpg",
        "train/pink primrose/image_00005.jpg", "val/blackberry lily/image_00003.jpg"]


def test_there_are_37_breeds_in_the_title_and_102_names_of_flowers():
    names = oxford.NAMES.read_text().splitlines()
    assert len(set(names)) == len(names) == 102
    assert names[:2] == ["pink primrose", "hard-leaved pocket orchid"]
    assert all(name.strip() == name and not set(name) & set('<>:"/\\|?*') for name in names)


def test_a_fetched_set_has_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "fetch it with python -m vitnp.data fetch oxford-pets" in refusal(
        data.load, "oxford-pets")
    fetched(tmp_path, pets_files(), "pets").rename(tmp_path / "moved")
    (tmp_path / "data").mkdir()
    (tmp_path / "moved").rename(tmp_path / "data" / "oxford-pets")
    found = data.load("oxford-pets", image_size=8)
    assert found.name == "oxford-pets" and found.class_names == tuple(sorted(BREEDS.values()))
    assert len(found.test_labels) == 3


@pytest.mark.parametrize(("files", "layout", "words"), [
    (pets_files(drop=("Maine_Coon_12",)), "pets",
     "lacks 1 of 9 pictures, such as images/Maine_Coon_12"),
    (pets_files(lines="../../etc_1 1 1 1\n"), "pets", "has the line '../../etc_1 1 1 1'"),
    (pets_files(lines="cat 1 1 1\n"), "pets", "has the line 'cat 1 1 1'"),
    (pets_files() | {"annotations.tar.gz": packed(entry("a", b"b"))}, "pets", "trainval.txt"),
    (flowers_files() | {"setid.mat": mat_bytes(trnid=("u1", [1]))}, "flowers", "labels and parts"),
    (flowers_files() | {"setid.mat": mat_bytes(trnid=("u1", [9]), valid=("u1", [1]),
                                               tstid=("u1", [2]))}, "flowers", "labels and parts"),
    (flowers_files() | {"imagelabels.mat": b"HTML"}, "flowers", "cannot be read as a .mat file"),
])
def test_other_archives_are_one_sentence_and_nothing_appears(tmp_path, files, layout, words):
    assert words in refusal(fetched, tmp_path, files, layout)
    assert not oxford.is_arranged(tmp_path / "set")
    fetched(tmp_path, pets_files() if layout == "pets" else flowers_files(), layout)
    assert oxford.is_arranged(tmp_path / "set")


def test_an_unpacking_that_was_killed_begins_anew(tmp_path, monkeypatch):
    replace = oxford.os.replace

    def killed(source, target):
        if str(target).endswith("train"):
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(oxford.os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            oxford_folder = tmp_path / "set"
            oxford_folder.mkdir()
            for name, content in pets_files().items():
                (oxford_folder / name).write_bytes(content)
            oxford.arrange("pets", oxford_folder)
    assert not oxford.is_arranged(oxford_folder)
    assert oxford.arrange("pets", oxford_folder) == {"train": 6, "test": 3}
    assert len(names_in(oxford_folder)) == 11


@pytest.mark.parametrize("packing", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_of_any_kind_are_read(tmp_path, packing, kind):
    numbers = list(range(100))
    (tmp_path / "a.mat").write_bytes(mat_bytes(packing, a=(kind, numbers), long_name=(kind, [7])))
    assert {name: found.tolist() for name, found in mat.read(tmp_path / "a.mat").items()} == {
        "a": numbers, "long_name": [7]}


@pytest.mark.parametrize("seed", range(100))
def test_a_damaged_mat_file_is_one_sentence_or_some_numbers(tmp_path, seed):
    rng = np.random.default_rng(seed)
    content = bytearray(mat_bytes(bool(seed % 2), labels=("u1", list(range(60)))))
    for place in rng.integers(100, len(content), 3):
        content[place] = rng.integers(256)
    if seed % 3 == 0:
        del content[rng.integers(len(content)):]
    (tmp_path / "a.mat").write_bytes(content)
    try:
        found = mat.read(tmp_path / "a.mat")
    except vitnp.Error as error:
        assert str(tmp_path) in str(error) and "\n" not in str(error)
    else:
        assert all(array.dtype == np.int64 for array in found.values())
