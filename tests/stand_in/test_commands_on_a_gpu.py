"""Every command with --device gpu, on the real CuPy: its work, and its sentences where it fails."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitnp import backend
from vitnp.common import command

stand_in = sys.modules.get("stand_in")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    stand_in is None, reason="they run by python tests/stand_in")]
TINY = ["--model", "micro/4", "--train-images", "60", "--batch-size", "20", "--epochs", "1",
        "--device", "gpu"]


@pytest.fixture
def call(monkeypatch, capsys):
    """Return a function that runs a command, and returns its exit code, output and messages."""
    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module, *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            command.run(importlib.import_module(f"vitnp.{module}").main)
        return left.value.code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a run that was trained on the GPU."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    train = importlib.import_module("vitnp.train").main
    assert train([*TINY, "--dropout", "0.1", "--mixup", "0.5", "--ema", "0.9", "--out",
                  str(folder)]) == 0
    return folder


def test_a_run_is_evaluated_predicts_and_goes_on_elsewhere(trained, tmp_path, call):
    assert json.loads((trained / "config.json").read_text())["recipe"]["ops"] == "fused"
    for device in ("gpu", "cpu"):
        code, out, _ = call("evaluate", trained, "--device", device)
        assert code == 0 and "test accuracy" in out
    results = [call("evaluate", trained, "--few-shot", "2", "--device", device)[1]
               for device in ("gpu", "cpu")]
    assert results[0] == results[1]
    picture = tmp_path / "picture.png"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(picture)
    code, out, _ = call("predict", trained, picture, "--device", "gpu", "--json")
    assert code == 0 and json.loads(out)[0]["predictions"]


def test_a_run_goes_on_on_the_other_device(tmp_path, call, monkeypatch):
    from vitnp.training import loop

    monkeypatch.setattr(loop, "finish", lambda *run: (_ for _ in ()).throw(KeyboardInterrupt))
    folder = tmp_path / "run"
    assert call("train", *TINY, "--out", folder)[0] == 130
    monkeypatch.undo()
    assert call("train", "--resume", folder, "--device", "cpu")[0] == 0


def test_pre_training(tmp_path, call):
    code, out, _ = call("pretrain", *TINY, "--out", tmp_path / "run")
    assert code == 0 and "validation" in out


@pytest.fixture
def little_memory():
    """Let the GPU be full after a few megabytes more."""
    import cupy

    backend.load_cupy()                     # its first products fit
    cupy.cuda.set_allocator(cupy.cuda.MemoryPool().malloc)          # what others left is not used
    stand_in.set_number("bytes_of_gpu", stand_in.number("bytes") + 2048)
    yield
    stand_in.set_number("bytes_of_gpu", 2**37)
    cupy.cuda.set_allocator(cupy.get_default_memory_pool().malloc)


COMMANDS = ("train", "pretrain", "evaluate", "few-shot", "predict", "gradcheck", "figures")


def arguments_of(name, trained, tmp_path):
    """Return a command's module and arguments."""
    picture = tmp_path / "picture.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(picture)
    return {"train": ("train", *TINY, "--out", tmp_path / "run"),
            "pretrain": ("pretrain", *TINY, "--out", tmp_path / "run"),
            "evaluate": ("evaluate", trained, "--device", "gpu"),
            "few-shot": ("evaluate", trained, "--few-shot", "2", "--device", "gpu"),
            "predict": ("predict", trained, picture, "--device", "gpu"),
            "figures": ("visualize", "figures", trained, "--device", "gpu"),
            "gradcheck": ("gradcheck.__main__", "--device", "gpu", "--only", "mlp")}[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_gpu_is_one_sentence(name, trained, tmp_path, call, little_memory):
    code, _, err = call(*arguments_of(name, trained, tmp_path))
    last = err.splitlines()[-1]
    assert code == 2 and last.startswith("error: ") and "memory" in last, err
    assert "Traceback" not in err


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("status", (719, 700, 2))
def test_a_lost_gpu_is_one_sentence(name, status, trained, tmp_path, call):
    """The launch after the first few answers as it does when one before it went wrong."""
    stand_in.set_number("fails_at", stand_in.driver.how_many() + 40)
    stand_in.set_number("fails_with", status)
    try:
        code, _, err = call(*arguments_of(name, trained, tmp_path))
    finally:
        stand_in.set_number("fails_at", -1)
    last = err.splitlines()[-1]
    words = "no memory left" if status == 2 else "the GPU stopped working (cudaError"
    assert code == 2 and words in last and "Traceback" not in err, err


@pytest.mark.parametrize("kind", ("file", "read-only"))
def test_a_folder_of_kernels_that_cannot_be_made(kind, tmp_path):
    """CuPy makes it when it is imported."""
    import os
    import subprocess

    place = tmp_path / "file"
    place.write_text("")
    program = ("import sys\nsys.argv[1:] = ['--device', sys.argv[1], '--only', 'softmax']\n"
               "from vitnp.common import command\nfrom vitnp.gradcheck.__main__ import main\n"
               "command.run(main)")
    target = place / "cupy" if kind == "file" else "/proc/cupy"
    for device, code in (("gpu", 2), ("auto", 0)):
        done = subprocess.run(
            [sys.executable, "-c", program, device], capture_output=True, text=True, check=False,
            env=os.environ | {"CUPY_CACHE_DIR": str(target)})
        assert done.returncode == code, done.stderr
        assert "set CUPY_CACHE_DIR to another folder" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_disk_that_is_full_at_a_kernel(trained, call, monkeypatch):
    import cupy
    from cupy.cuda import compiler

    def full(*arguments):
        raise OSError(28, "No space left on device", "/cache/kernel")

    monkeypatch.setattr(compiler._kernel_cache_backend, "load", lambda name: None)
    monkeypatch.setattr(compiler._kernel_cache_backend, "save", full)
    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    cupy._core.core  # noqa: B018
    cupy.clear_memo()
    code, _, err = call("evaluate", trained, "--device", "gpu")
    assert code == 2 and "No space left on device" in err and "CUPY_CACHE_DIR" in err, err


def test_figures_of_a_run_are_drawn(trained, call):
    code, out, _ = call("visualize", "figures", trained, "--device", "gpu")
    assert code == 0 and all(Path(line).exists() for line in out.split())
