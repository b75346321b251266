"""Folders that are made for what follows, and go again where nothing came of it."""

import pytest

import vitnp
from vitnp.common import files


def test_of_what_failed_no_empty_folder_is_left(tmp_path):
    (tmp_path / "old").mkdir()
    for place in ("new", "old", "old/deep/er"):
        with pytest.raises(KeyError), files.making(tmp_path / place, "choose another"):
            assert (tmp_path / place).is_dir()
            raise KeyError
    assert [path.name for path in tmp_path.rglob("*")] == ["old"]


def test_what_lies_in_a_folder_stays(tmp_path):
    with pytest.raises(KeyError), files.making(tmp_path / "a" / "b", "choose another"):
        (tmp_path / "a" / "mine").write_text("mine")
        raise KeyError
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "mine"]
    with files.making(tmp_path / "a" / "c", "choose another") as folder:
        assert folder == tmp_path / "a" / "c"
    assert folder.is_dir()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in ("file", "file/under"):
        with (pytest.raises(vitnp.Error, match="cannot be made: .*; choose another --out"),
              files.making(tmp_path / place, "choose another --out")):
            raise AssertionError
    assert (tmp_path / "file").read_text() == "mine"
