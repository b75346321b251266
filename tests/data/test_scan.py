"""What a folder of pictures is taken for, and that nothing in it is passed over without a word."""

import os

import pytest
from idx_files import refusal
from picture_files import write_pictures

from vitnp.data import folder, scan


def write_set(path, *parts, count=12):
    for part in parts or ("",):
        for name in ("ant", "cat"):
            write_pictures(path / part / name, [f"{i:02}.png" for i in range(count)])
    return path


def notes(path, **options):
    return "\n".join(folder.load(path, 4, 1, **options).notes)


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val", "VALIDATION"])
@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Train", "Test")])
def test_parts_are_known_however_they_are_written(tmp_path, train, validation, test):
    write_set(tmp_path, train, validation, test)
    data = folder.load(tmp_path, 4, 1)
    training, held_out = data.parts()
    assert (len(training), len(held_out), len(data.test_labels)) == (24, 24, 24)
    assert all(f"/{train}/" in data.train_images.paths[i] for i in training)
    assert all(f"/{validation}/" in data.train_images.paths[i] for i in held_out)
    assert all(f"/{test}/" in path for path in data.test_images.paths)
    said = "\n".join(data.notes)
    for part in (train, validation, test):
        assert f"24 pictures, in {tmp_path / part}" in said


def test_pictures_for_validation_test_where_there_are_no_others_and_that_is_said(tmp_path):
    data = folder.load(write_set(tmp_path, "train", "valid"), 4, 1)
    assert len(data.test_labels) == 24 and len(data.parts()[1]) > 0
    assert f"test: 24 pictures, in {tmp_path / 'valid'}, as there is no folder test" in data.notes


def test_folders_of_classes_alone_are_a_set(tmp_path):
    data = folder.load(write_set(tmp_path, count=30), 4, 1)
    assert data.class_names == ("ant", "cat")
    assert len(data.train_labels) + len(data.test_labels) == 60
    assert "drawn by their names" in "\n".join(data.notes)


@pytest.mark.parametrize("name", ["training", "testing", "Train_set", "evaluation"])
def test_a_part_under_another_name_is_not_taken_for_a_class(tmp_path, name):
    write_set(tmp_path, name)
    write_set(tmp_path)
    assert f"(rename {name!r}?)" in refusal(folder.load, tmp_path, 4, 1)


def test_two_folders_for_one_part_are_refused(tmp_path):
    write_set(tmp_path, "train", "val", "validation")
    assert "two folders for the validation part, val and validation" in refusal(
        folder.load, tmp_path, 4, 1)


def test_pictures_in_deeper_folders_belong_to_the_class(tmp_path):
    write_set(tmp_path, "train", "test")
    write_pictures(tmp_path / "train" / "cat" / "black" / "old", ["a.png"], shade=9)
    data = folder.load(tmp_path, 4, 1)
    place = [i for i, path in enumerate(data.train_images.paths) if "/old/" in path]
    assert data.train_labels[place].tolist() == [1]
    assert "taken from deeper folders: 1 picture (train/cat/black/old/a.png)" in data.notes


def test_a_link_to_a_folder_above_is_refused_and_not_followed_for_ever(tmp_path):
    write_set(tmp_path, "train", "test")
    (tmp_path / "train" / "cat" / "up").symlink_to(tmp_path / "train" / "cat")
    assert "is a link to a folder that it lies in" in refusal(folder.load, tmp_path, 4, 1)


@pytest.mark.parametrize(("name", "words"), [
    ("train/cat/a.tga", "left out, names that end in .tga: 1 (train/cat/a.tga)"),
    ("train/cat/a.TXT", "left out, names that end in .txt: 1 (train/cat/a.TXT)"),
    ("train/cat/README", "left out, names without an ending: 1 (train/cat/README)"),
    ("train/cat/.a.png", "left out, hidden: 1 (train/cat/.a.png)"),
    ("train/.cat/a.png", "left out, hidden: 1 (train/.cat)"),
    ("train/a.png", "left out, pictures outside of a class' folder: 1 (train/a.png)"),
    ("train/labels.csv", "left out, outside of a class' folder: 1 (train/labels.csv)"),
    ("a.png", "left out, pictures beside the parts' folders: 1 (a.png)"),
    ("extra/cat/a.png", "left out, beside the parts' folders: 1 (extra)"),
    ("test/a.png", "left out, pictures outside of a class' folder: 1 (test/a.png)"),
])
def test_what_is_left_out_is_said_with_the_reason(tmp_path, name, words):
    write_set(tmp_path, "train", "test")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    assert words in folder.load(tmp_path, 4, 1).notes


def test_a_pipe_is_left_out_with_a_word(tmp_path):
    write_set(tmp_path, "train", "test")
    os.mkfifo(tmp_path / "train" / "cat" / "pipe.png")
    assert "left out, no files but devices: 1 (train/cat/pipe.png)" in notes(tmp_path)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPG", ".pbm", ".apng"])
def test_endings_of_the_formats_that_are_read_count(tmp_path, suffix):
    write_set(tmp_path, "train", "test")
    (tmp_path / "train" / "cat" / f"a{suffix}").write_bytes(b"")
    assert len(folder.load(tmp_path, 4, 1).train_labels) == 25


def test_the_smallest_and_the_largest_class_are_named(tmp_path):
    write_set(tmp_path, "train", "test")
    write_pictures(tmp_path / "train" / "dog", ["1.png", "2.png", "3.png"])
    said = folder.load(tmp_path, 4, 1).notes
    assert said[0] == f"{tmp_path}: 3 classes, 51 pictures, 3 (dog) to 24 (ant) in each"
    assert f"test: 24 pictures, in {tmp_path / 'test'}, none of dog" in said


@pytest.mark.parametrize("parts", [("test",), ("val",), ()])
def test_pictures_to_test_with_are_enough_to_evaluate(tmp_path, parts):
    data = folder.load(write_set(tmp_path, *parts), 4, 1, evaluating=True)
    assert len(data.test_labels) == 24 and not len(data.train_labels)
    assert data.class_names == ("ant", "cat")


def test_they_are_not_enough_to_train(tmp_path):
    assert "holds no folder train" in refusal(folder.load, write_set(tmp_path, "test"), 4, 1)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    assert f"{tmp_path / 'no'} is not there" in refusal(scan.scan, tmp_path / "no")
