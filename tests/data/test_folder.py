"""A folder of pictures: which files belong to which class, and the split where there is none."""

import os

import numpy as np
import pytest
from idx_files import refusal
from picture_files import write_pictures

from vitnp.data import folder, parts, scan


def write_set(path, test="test"):
    """Write classes "cat" (3 and 2 pictures) and "ant" (2 and 1), which is the first one."""
    write_pictures(path / "train" / "cat", ["b.png", "a.png", "c.JPG"], shade=10)
    write_pictures(path / "train" / "ant", ["2.png", "10.png"], shade=20)
    if test:
        write_pictures(path / test / "cat", ["b.png", "d.png"], shade=30)
        write_pictures(path / test / "ant", ["1.webp"], shade=40)
    return path


def colours(images):
    return images[:][:, 0, 0, :2].tolist()


@pytest.mark.parametrize("test", ["test", "val"])
def test_pictures_keep_their_labels_and_are_sorted(tmp_path, test):
    data = folder.load(str(write_set(tmp_path, test)), 4, 1)
    assert data.name == "folder" and data.class_names == ("ant", "cat")
    assert data.train_images.shape == (5, 4, 4, 3) and data.test_images.shape == (3, 4, 4, 3)
    assert colours(data.train_images) == [[1, 20], [0, 20], [1, 10], [0, 10], [2, 10]]
    assert colours(data.test_images) == [[0, 40], [0, 30], [1, 30]]
    assert data.train_labels.tolist() == [0, 0, 1, 1, 1]
    assert data.test_labels.tolist() == [0, 1, 1]
    assert data.train_labels.dtype == data.test_labels.dtype == np.int64
    assert data.train_images.decoders is data.test_images.decoders


def test_the_test_folder_goes_before_val(tmp_path):
    write_set(tmp_path)
    write_pictures(tmp_path / "val" / "cat", ["a.png"], shade=99)
    assert [99] not in np.array(colours(folder.load(tmp_path, 4, 1).test_images))[:, 1:].tolist()


def test_the_order_is_that_of_the_names_not_of_the_disk(tmp_path, monkeypatch):
    write_set(tmp_path)
    expected = folder.load(tmp_path, 4, 1).train_images.paths
    list_folder = scan.list_folder
    monkeypatch.setattr(scan, "list_folder", lambda path: list_folder(path)[::-1])
    assert folder.load(tmp_path, 4, 1).train_images.paths == expected
    assert [os.path.basename(path) for path in expected] == [
        "10.png", "2.png", "a.png", "b.png", "c.JPG"]


def test_what_is_no_picture_is_left_out_with_a_word_and_links_are_followed(tmp_path):
    write_set(tmp_path)
    train = tmp_path / "train"
    write_pictures(train / ".hidden", ["a.png"])
    write_pictures(tmp_path / "elsewhere", ["a.png", "b.png"], shade=70)
    (train / "cat" / "folder.png").mkdir()
    for name in ("cat/.a.png", "cat/Thumbs.db", "cat/png", "LICENSE.png"):
        (train / name).write_bytes(b"no picture")
    os.mkfifo(train / "cat" / "pipe.png")
    (train / "cat" / "z.png").symlink_to(tmp_path / "elsewhere" / "b.png")
    (train / "dog").symlink_to(tmp_path / "elsewhere")
    data = folder.load(tmp_path, 4, 1)
    assert data.class_names == ("ant", "cat", "dog")
    assert colours(data.train_images)[2:] == [
        [1, 10], [0, 10], [2, 10], [1, 70], [0, 70], [1, 70]]


def test_a_link_to_nothing_is_told(tmp_path):
    write_set(tmp_path)
    (tmp_path / "train" / "cat" / "z.png").symlink_to(tmp_path / "moved.png")
    assert "z.png is a link to a file that is not there" in refusal(folder.load, tmp_path, 4, 1)


def make_no_train(path):
    (path / "train").rename(path / "training")


def make_one_class(path):
    (path / "train" / "ant").rename(path / "ant")


def make_empty(part):
    def make(path):
        for file in (path / part / "ant").iterdir():
            file.rename(file.with_suffix(".txt"))
    return make


def make_unknown(path):
    (path / "train" / "dog").mkdir()
    (path / "train" / "ant").rename(path / "train" / "dog" / "ant")
    (path / "train" / "dog" / "a.png").write_bytes(b"")


def make_flat_test(path):
    for name in ("ant", "cat"):
        (path / "test" / name).rename(path / name)
    (path / "test" / "1.png").write_bytes(b"")


def make_odd_name(path):
    (path / "train" / "cat").rename(path / "train" / "a\nb")


@pytest.mark.parametrize(("change", "words"), [
    (make_no_train, "holds no folder train; needed are train/NAME"),
    (make_one_class, "train names 1 class, but at least two are needed"),
    (make_empty("train"), "train/ant holds no pictures"),
    (make_empty("test"), "test/ant holds no pictures"),
    (make_unknown, "test has the class 'ant', but"),
    (make_flat_test, "test holds no folders"),
    (make_odd_name, "the class name 'a\\nb' at position 0"),
])
def test_a_folder_that_is_no_set_is_refused(tmp_path, change, words):
    change(write_set(tmp_path))
    message = refusal(folder.load, tmp_path, 4, 1)
    assert words in message and str(tmp_path) in message


@pytest.mark.parametrize("size", [0, -1, 2.5, None])
def test_an_impossible_size_is_refused(tmp_path, size):
    assert f"is {size}, but must be" in refusal(folder.load, write_set(tmp_path), size, 1)


def test_a_set_is_read_without_looking_into_the_pictures(tmp_path):
    """A million pictures would take hours."""
    write_set(tmp_path)
    (tmp_path / "train" / "cat" / "a.png").write_bytes(b"no picture")
    data = folder.load(tmp_path, 4, 1)
    assert colours(data.train_images[:2]) == [[1, 20], [0, 20]]
    assert "cat/a.png cannot be read as a picture" in refusal(data.train_images.__getitem__, [2])


def class_of_paths(count, start=0):
    return [f"{i:04}.png" for i in range(start, start + count)]


def test_without_a_test_folder_a_tenth_of_each_class_is_split_off():
    pictures = {str(count): class_of_paths(count) for count in (1, 2, 5, 10, 14, 16, 100)}
    train, test = parts.split(pictures)
    assert [len(test[name]) for name in pictures] == [0, 1, 1, 1, 1, 2, 10]
    for name, paths in pictures.items():
        assert sorted(train[name] + test[name]) == paths
        assert train[name] == sorted(train[name]) and test[name] == sorted(test[name])
    assert test["100"] != class_of_paths(10) and test["100"] != class_of_paths(10, 90)


def test_the_split_never_changes():
    """Scores are compared across versions and machines."""
    _, test = parts.split({"a": class_of_paths(30), "b": class_of_paths(30)})
    assert test == {"a": ["0003.png", "0016.png", "0021.png"],
                    "b": ["0020.png", "0022.png", "0025.png"]}


def test_the_split_of_a_class_does_not_depend_on_the_others():
    _, test = parts.split({"a": class_of_paths(30), "b": class_of_paths(50)})
    _, other = parts.split({"a": class_of_paths(31), "b": class_of_paths(50)})
    assert test["b"] == other["b"]


def test_a_set_without_test_folder_is_loaded_with_the_old_split_for_an_old_run(tmp_path):
    data = folder.load(write_set(tmp_path, test=None), 4, 1, kept=folder.OLD)
    assert data.train_labels.tolist() == [0, 1, 1] and data.test_labels.tolist() == [0, 1]
    together = sorted(data.train_images.paths + data.test_images.paths)
    assert len(set(together)) == 5 and data.training is None and data.fingerprint is None


def test_one_picture_a_class_is_refused(tmp_path):
    for name in ("a", "b"):
        write_pictures(tmp_path / "train" / name, ["a.png"])
    assert "one picture a class and no folder test" in refusal(folder.load, tmp_path, 4, 1)
