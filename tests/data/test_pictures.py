"""Pictures: files of all kinds read like one array, in this process or in several."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from idx_files import refusal, write
from picture_files import (
    PIXELS,
    SUFFIXES,
    animation_bytes,
    announcing,
    picture_bytes,
    turned_bytes,
    write_pictures,
)
from PIL import Image

from vitnp.data import picture, pictures
from vitnp.data.pictures import Decoders, Pictures
from vitnp.data.preprocess import whole
from vitnp.errors import Error

COUNT = 23


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "all"
    names = [f"{number:02}.png" for number in range(COUNT)]
    write_pictures(folder, names)
    return tuple(str(folder / name) for name in names)


@pytest.fixture(scope="module")
def several():
    """Two processes, started once for all tests."""
    with Decoders(2) as decoders:
        yield decoders


NUMBERS = np.arange(COUNT)


@pytest.mark.parametrize("key", [
    slice(None), slice(3, 20, 4), slice(None, None, -1), slice(5, 5), [4, 0, 4, 22, 1], [7], [],
    np.array([9, -1]), np.array([[1, 2, 3], [4, 5, 6]]), NUMBERS % 3 == 0, 5, -1, np.int64(2),
], ids=str)
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_indexing_is_that_of_an_array(paths, several, key, workers):
    pictures = Pictures(paths, whole((4, 4)), several if workers == 2 else Decoders(workers))
    key = np.array(key, int) if isinstance(key, list) else key
    images, expected = pictures[key], NUMBERS[key]
    assert images.dtype == pictures.dtype == np.uint8
    assert images.shape == (*expected.shape, *pictures.shape[1:])
    np.testing.assert_array_equal(images[..., 0], np.broadcast_to(
        expected[..., None, None], images.shape[:-1]))
    if images.size:
        images[...] = 1                                     # augmentation may work in place


@pytest.mark.parametrize("key", [COUNT, -COUNT - 1, [0, COUNT]])
def test_what_is_not_there_is_an_index_error(paths, key):
    with pytest.raises(IndexError):
        Pictures(paths, whole((4, 4)), Decoders(1))[key]


def test_it_looks_like_an_array(paths):
    pictures = Pictures(paths, whole((5, 5)), Decoders(1))
    assert len(pictures) == COUNT and pictures.shape == (COUNT, 5, 5, 3) and pictures.ndim == 4
    assert [int(image[0, 0, 0]) for image in pictures] == list(range(COUNT))
    with pytest.raises(AttributeError):
        pictures.preprocess = 3


def test_a_damaged_picture_is_named_by_each_way(paths, several, tmp_path):
    bad = str(tmp_path / "bad.png")
    for workers in (Decoders(1), several):
        for place in (0, 11, COUNT - 1):
            with_bad = Pictures((*paths[:place], bad, *paths[place:]), whole((4, 4)), workers)
            message = refusal(with_bad.__getitem__, slice(None))
            assert message == f"{bad} cannot be read as a picture: No such file or directory"
        assert with_bad[:4].shape == (4, 4, 4, 3)           # and the processes go on


def test_no_process_is_started_before_it_is_needed(paths):
    decoders = Decoders(2)
    Pictures(paths, whole((4, 4)), decoders)[:1]
    assert decoders._executor is None
    decoders.close()


def test_several_threads_may_share_the_processes(paths, several):
    pictures = Pictures(paths, whole((4, 4)), several)
    results = []
    threads = [threading.Thread(target=lambda: results.append(pictures[:])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and all((result == results[0]).all() for result in results)


def test_a_killed_process_is_told_and_others_are_started(paths):
    with Pictures(paths, whole((4, 4)), Decoders(2)) as pictures:
        expected = pictures[:]
        for process in list(pictures.decoders._executor._processes.values()):
            os.kill(process.pid, signal.SIGKILL)
        assert "ended before its time" in refusal(pictures.__getitem__, slice(None))
        np.testing.assert_array_equal(pictures[:], expected)


SCRIPT = """
import sys
from vitnp.data.pictures import Decoders, Pictures
from vitnp.data.preprocess import whole
{guard}
    pictures = Pictures(tuple(sys.argv[1:]), whole((500, 500)), Decoders(2))
    pids = [str(pictures[:].shape)]
    pids += [str(pid) for pid in pictures.decoders._executor._processes]
    print(*pids, sep="\\n", flush=True)
    while {forever}:
        pictures[:]
"""


def script(folder, paths, guard='if __name__ == "__main__":', forever=False):
    path = write(folder / "script.py", SCRIPT.format(guard=guard, forever=forever).encode())
    return subprocess.Popen([sys.executable, path, *paths], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, start_new_session=True)


def is_running(pid):
    """Tell whether there is such a process, and not only what a dead one leaves behind."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_script_ends_without_closing(tmp_path, paths):
    output, errors = script(tmp_path, paths).communicate(timeout=60)
    assert output.startswith("(23, 500, 500, 3)\n") and not errors


@pytest.mark.slow
def test_a_script_without_guard_is_told(tmp_path, paths):
    process = script(tmp_path, paths, guard="if True:")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert 'lacks `if __name__ == "__main__":`' in errors.splitlines()[-1]


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [
    signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
@pytest.mark.parametrize("started", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_end_by_force_leaves_no_process_and_does_not_hang(tmp_path, paths, number, started):
    """Ctrl-C goes to the whole group, and is the parent's to answer."""
    process = script(tmp_path, paths, forever=True)
    if started:
        pids = [process.stdout.readline() for _ in range(3)][1:]
    else:
        time.sleep(0.4)                                     # within the start of the others
        pids = []
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "spawn_main" not in errors and "InvalidStateError" not in errors
    deadline = time.monotonic() + 60
    while any(is_running(int(pid)) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(("form", "mode", "options"), [
    ("PNG", "RGB", {}), ("PNG", "RGBA", {}), ("PNG", "P", {}), ("PNG", "LA", {}), ("PNG", "1", {}),
    ("PNG", "P", {"transparency": bytes(range(200))}), ("JPEG", "RGB", {}), ("JPEG", "L", {}),
    ("JPEG", "CMYK", {}), ("JPEG", "RGB", {"progressive": True}), ("TIFF", "CMYK", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}), ("TIFF", "1", {}),
    ("GIF", "P", {}), ("WEBP", "RGB", {}), ("WEBP", "RGBA", {"lossless": True}),
    ("BMP", "RGB", {}), ("BMP", "1", {}), ("PPM", "RGB", {}), ("PPM", "L", {}),
])
@pytest.mark.parametrize("size", [(13, 9), (1, 1)])
def test_pictures_of_any_kind_are_read(tmp_path, form, mode, options, size):
    path = write(tmp_path / f"a{SUFFIXES[form]}", picture_bytes(form, mode, size, **options))
    image = picture.read(path, 6, 4)
    assert image.shape == (6, 4, 3) and image.dtype == np.uint8
    assert picture.read(path, 6, 4, channels=1).shape == (6, 4, 1)
    assert (image.min() < image.max()) or size == (1, 1)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP", "PPM", "WEBP"])
def test_pixels_are_those_that_were_saved(tmp_path, form):
    options = {"lossless": True} if form == "WEBP" else {}
    path = write(tmp_path / f"a{SUFFIXES[form]}", picture_bytes(form, **options))
    np.testing.assert_array_equal(picture.read(path, 9, 13), PIXELS)
    expected = Image.fromarray(PIXELS).resize((4, 6), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(picture.read(path, 6, 4), expected)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_picture(tmp_path, form):
    path = write(tmp_path / f"a{SUFFIXES[form]}", animation_bytes(form))
    assert abs(picture.read(path, 4, 4).astype(int) - 200).max() <= 2


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(("orientation", "corner"), [
    (1, (0, 0)), (2, (0, 1)), (3, (1, 1)), (4, (1, 0)), (5, (0, 0)), (6, (0, 1)), (7, (1, 1)),
    (8, (1, 0))])
def test_a_turned_picture_is_set_upright(tmp_path, form, orientation, corner):
    """The corner is where the white one comes to lie; from 5 on, width and height change too."""
    path = write(tmp_path / f"a{SUFFIXES[form]}", turned_bytes(orientation, form))
    height, width = (24, 16) if orientation >= 5 else (16, 24)
    image = picture.read(path, height, width)
    quarters = image.reshape(2, height // 2, 2, width // 2, 3).mean(axis=(1, 3, 4))
    assert np.argmax(quarters) == 2 * corner[0] + corner[1] and quarters.max() > 200


def test_damaged_exif_does_not_cost_the_picture(tmp_path):
    data = turned_bytes(6)
    place = data.index(b"Exif\0\0") + 6
    path = write(tmp_path / "a.jpg", data[:place] + b"\xff" * 8 + data[place + 8:])
    assert picture.read(path, 16, 24)[:8, :12].mean() > 200     # as it is stored


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (20_000, 10_001)])
def test_a_picture_that_announces_too_much_is_not_decoded(tmp_path, width, height):
    for form, data in announcing(width, height).items():
        path = write(tmp_path / f"a{SUFFIXES[form]}", data)
        tracemalloc.start()
        message = refusal(picture.read, path, 4, 4)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert f"{path} cannot be read as a picture: it announces {width} x {height} pixels" \
            in message, form
        assert peak < 8e6


@pytest.mark.parametrize("form", SUFFIXES)
def test_a_cut_picture_is_refused(tmp_path, form):
    data = picture_bytes(form)
    for part in (0.02, 0.5, 0.8):
        path = write(tmp_path / f"a{SUFFIXES[form]}", data[:int(part * len(data))])
        assert refusal(picture.read, path, 4, 4).startswith(f"{path} cannot be read as a picture: ")


def test_formats_that_start_other_programs_are_refused(tmp_path):
    data = picture_bytes("EPS")
    path = write(tmp_path / "a.png", data)
    assert "cannot identify image file" in refusal(picture.read, path, 4, 4)


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    assert "it is a folder or a device" in refusal(picture.read, tmp_path / "a.png", 4, 4)


def test_no_exception_but_error_leaves_the_processes(tmp_path, several):
    bad = write(tmp_path / "a.png", b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(Error) as caught:
        several.decode([str(bad)] * 4, whole((4, 4)))
    assert caught.value.__cause__ is None                   # no traceback of another process


def smooth_photograph(width, height):
    """Return a JPEG with detail at all scales, as photographs have it."""
    rng, pixels = np.random.default_rng(0), np.zeros((height, width, 3))
    for side in (4, 16, 64, 256):
        noise = rng.normal(0, 20, (side, side, 3))
        layers = [np.asarray(Image.fromarray(noise[..., c].astype(np.float32)).resize(
            (width, height), Image.BICUBIC)) for c in range(3)]
        pixels += np.stack(layers, axis=2)
    stream = io.BytesIO()
    Image.fromarray((pixels + 128).clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=92)
    return stream.getvalue()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("changes", [{}, {"resize": (40, 40), "keep_ratio": True}])
def test_a_draft_is_nearly_the_picture_and_only_for_those_to_train_on(tmp_path, turned, changes):
    data = smooth_photograph(900, 600)
    if turned:
        exif = Image.Exif()
        exif[0x0112] = 6
        stream = io.BytesIO()
        Image.open(io.BytesIO(data)).save(stream, "JPEG", exif=exif, quality=92)
        data = stream.getvalue()
    path, way = str(write(tmp_path / "a.jpg", data)), replace(whole((32, 32)), **changes)
    exact = way.read(path).astype(int)
    images = Pictures((path, path), way, Decoders(1), np.array([True, False]))[:].astype(int)
    np.testing.assert_array_equal(images[1], exact)
    assert 0 < np.abs(images[0] - exact).mean() < 2
    np.testing.assert_array_equal(Pictures((path,), way, Decoders(1))[0], exact)


def test_small_pictures_and_other_formats_have_no_draft(tmp_path):
    for form in ("PNG", "JPEG"):
        path = str(write(tmp_path / f"a{SUFFIXES[form]}", picture_bytes(form, size=(60, 40))))
        np.testing.assert_array_equal(whole((32, 32)).read(path, True), whole((32, 32)).read(path))


def test_processes_hand_over_the_same_pixels_with_and_without_shared_memory(
        paths, several, monkeypatch):
    expected = Pictures(paths, whole((5, 5)), Decoders(1))[:]
    for free in (10**12, 0):
        monkeypatch.setattr(pictures.shutil, "disk_usage", lambda path, free=free: Free(free))
        np.testing.assert_array_equal(Pictures(paths, whole((5, 5)), several)[:], expected)


class Free:
    """What shutil.disk_usage returns, as far as it is asked for."""

    def __init__(self, free):
        self.free = free


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="shared memory lies elsewhere")
def test_no_block_of_memory_is_left(paths, several, tmp_path):
    before = set(os.listdir("/dev/shm"))
    bad = write(tmp_path / "bad.png", b"no picture")
    Pictures(paths, whole((5, 5)), several)[:]
    refusal(Pictures((*paths, str(bad)), whole((5, 5)), several).__getitem__, slice(None))
    assert {name for name in os.listdir("/dev/shm") if name.startswith("psm_")} <= before
