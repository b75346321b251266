"""Pictures that cannot be read are found before training, and listed by a command."""

import io
import subprocess
import sys

import numpy as np
import pytest
from idx_files import refusal, write
from picture_files import SUFFIXES, picture_bytes, write_pictures
from PIL import Image

from vitnp.data import check
from vitnp.data.pictures import Decoders

FORMS = tuple(SUFFIXES)


def complaints(path, whole=False):
    return check.check([path], Decoders(1), whole)[1]


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_picture_of_any_format_passes_with_its_size(tmp_path, form):
    path = write(tmp_path / f"a{SUFFIXES[form]}", picture_bytes(form, size=(13, 9)))
    for whole in (False, True):
        sizes, wrong = check.check([path], Decoders(1), whole)
        assert sizes.tolist() == [[13, 9]] and wrong == {}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_that_was_cut_off_is_found_without_decoding_all(tmp_path, form, share):
    data = picture_bytes(form, size=(40, 30))
    path = write(tmp_path / f"a{SUFFIXES[form]}", data[:round(len(data) * share)])
    assert f"{path} cannot be read as a picture" in complaints(path)[path]


@pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"<html>404</html>"])
def test_what_is_no_picture_is_found(tmp_path, data):
    path = write(tmp_path / "a.png", data)
    assert complaints(path) == complaints(path, whole=True) and len(complaints(path)) == 1


def test_bytes_after_the_end_do_no_harm(tmp_path):
    path = write(tmp_path / "a.jpg", picture_bytes("JPEG") + b"\0\0 appended by a camera")
    assert complaints(path) == {}


def test_only_reading_all_finds_damage_in_the_middle(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG")
    data = bytearray(stream.getvalue())
    data[len(data) // 2] ^= 255
    path = write(tmp_path / "a.png", bytes(data))
    assert complaints(path) == {} and len(complaints(path, whole=True)) == 1


def test_processes_find_the_same_as_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr(check, "FEW", 0)
    monkeypatch.setattr(check, "AT_ONCE", 3)
    write_pictures(tmp_path / "all", [f"{i}.png" for i in range(10)])
    write(tmp_path / "all" / "4.png", b"no picture")
    paths = [str(tmp_path / "all" / f"{i}.png") for i in range(10)]
    with Decoders(2) as decoders:
        sizes, wrong = check.check(paths, decoders)
    alone = check.check(paths, Decoders(1))
    assert wrong == alone[1] and list(wrong) == [paths[4]]
    np.testing.assert_array_equal(sizes, alone[0])


def test_what_is_refused_names_the_first_files_and_the_command(tmp_path):
    check.refuse({}, tmp_path)
    message = refusal(check.refuse, {f"{i}.png": f"{i}.png cannot be read" for i in range(30)},
                      tmp_path)
    assert "9.png cannot be read; and 20 more" in message
    assert f"python -m vitnp.data check {tmp_path}" in message


def test_sizes_are_described():
    assert check.describe(np.array([[4, 3]] * 3)) == "sizes: all 4 x 3"
    assert check.describe(np.array([[4, 3], [4, 3], [10, 2], [9, 9]])) == (
        "sizes: from 4 x 3 to 9 x 9, most often 4 x 3 (2 pictures)")


def test_the_command_lists_the_bad_ones_and_says_so_by_its_code(tmp_path):
    for name in ("ant", "cat"):
        write_pictures(tmp_path / "train" / name, [f"{i:02}.png" for i in range(12)])

    def run():
        return subprocess.run([sys.executable, "-m", "vitnp.data", "check", tmp_path, "--workers",
                               "1"], check=False, capture_output=True, text=True)

    done = run()
    assert done.returncode == 0 and done.stdout.endswith("all 24 pictures can be read\n")
    bad = write(tmp_path / "train" / "cat" / "03.png", b"no picture")
    done = run()
    assert done.returncode == 1 and f"\n{bad} cannot be read as a picture: " in done.stdout
    assert done.stdout.endswith("1 of 24 pictures cannot be read\n")
