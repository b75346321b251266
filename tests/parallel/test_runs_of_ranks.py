"""Whole runs on ranks of MPI: equal to the bit, also killed and gone on with in other numbers."""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from parallel.under_mpi import needed, run, start
from PIL import Image
from safetensors.numpy import load_file

pytestmark = [pytest.mark.slow, needed]
DIGITS = {"model": "micro/4", "epochs": 3, "batch-size": 32, "micro-batch": 5, "train-images": 200,
          "dropout": 0.1, "ema": 0.9, "mixup": 0.5, "threads": 1}
PICTURES = {"data": "folder", "image-size": 16, "model": "micro/8", "epochs": 2, "batch-size": 8,
            "micro-batch": 3, "cutmix": 1, "randaugment": 1, "threads": 1, "workers": 1}
PRETRAIN = {"model": "micro/4", "epochs": 2, "batch-size": 64, "micro-batch": 9,
            "train-images": 300}


def options(given, **changes):
    """Return a dict of options as the arguments of a command."""
    return [text for name, value in (given | changes).items() for text in (f"--{name}", value)]


def tensors(folder):
    """Return the tensors of a run's last checkpoint, and what its epochs came to."""
    return load_file(folder / "checkpoint.safetensors")


def check_equal(folder, other):
    """Check that two runs ended with the same numbers, to the bit."""
    found, expected = tensors(folder), tensors(other)
    assert found.keys() == expected.keys() and len(found) > 90
    assert [name for name in found if (found[name] != expected[name]).any()] == []
    assert (folder / "curves.png").read_bytes() == (other / "curves.png").read_bytes()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Return a folder of pictures of two classes."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for part, label in (("train", "bright"), ("train", "dark"), ("test", "bright")):
        (folder / part / label).mkdir(parents=True)
        for i in range(30):
            noise = rng.integers(0, 120, (20, 20, 3)) + 120 * (label == "bright")
            Image.fromarray(noise.astype(np.uint8)).save(folder / part / label / f"{i}.png")
    return folder


@pytest.mark.parametrize("name", ("digits", "pictures", "pretrain"))
def test_the_weights_do_not_depend_on_the_number_of_ranks(name, pictures, tmp_path):
    command, given = {"digits": ("vitnp.train", DIGITS), "pretrain": ("vitnp.pretrain", PRETRAIN),
                      "pictures": ("vitnp.train", PICTURES | {"data-dir": pictures})}[name]
    for ranks in (1, 2, 3):
        code, out, err = run(ranks, "-m", command, *options(given), "--out", tmp_path / str(ranks))
        assert code == 0 and out.splitlines()[-1] == str(tmp_path / str(ranks)), err
        assert err.count("epoch 1/") == 1
        check_equal(tmp_path / str(ranks), tmp_path / "1")
    shown = [run(ranks, "-m", "vitnp.evaluate", tmp_path / "1", *(
        ["--few-shot", "2"] if name == "pretrain" else []))[1] for ranks in (1, 3)]
    drop = [[line for line in text.splitlines() if "images/s" not in line] for text in shown]
    assert drop[0] == drop[1]


def children(process):
    """Return the numbers of the processes that an mpiexec started."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(number) for number in path.read_text().split()] if path.exists() else []


@pytest.mark.parametrize("seed", range(10))
def test_a_run_that_is_killed_goes_on_with_another_number_of_ranks(seed, tmp_path_factory, whole):
    """One rank is killed, or all, or asked to stop, at a moment drawn by the seed."""
    rng, folder = random.Random(seed), tmp_path_factory.mktemp("killed") / "run"
    arguments, ends = ["-m", "vitnp.train", *options(DIGITS, epochs=15), "--out", folder], 0
    for _ in range(8):
        ranks = rng.choice((2, 3))
        process = start(ranks, *arguments)
        while process.poll() is None and not (folder / "checkpoint.safetensors").exists():
            time.sleep(0.05)
        time.sleep((2.5 if ends else 0.8) * rng.random())      # a run takes about 3 seconds
        alive = children(process) if process.poll() is None else []
        if alive and ends < 3:              # none where the run ends in this moment
            ends += 1
            kind = rng.choice(("one", "all", "stop"))
            if kind == "one":
                ask(rng.choice(alive), signal.SIGKILL)
            elif kind == "all":
                for number in alive:
                    ask(number, signal.SIGKILL)
            else:
                ask(rng.choice(alive), signal.SIGTERM)
        _, err = process.communicate(timeout=120)
        assert "Traceback" not in err, err
        if process.returncode == 0:
            break
        arguments = ["-m", "vitnp.train", "--resume", folder]
    assert ends and process.returncode == 0, err
    check_equal(folder, whole)


def ask(number, what):
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, what)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of the run that nobody killed, of one process."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert run(1, "-m", "vitnp.train", *options(DIGITS, epochs=15), "--out", folder)[0] == 0
    return folder
