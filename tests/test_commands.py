"""The commands as a user runs them: good runs, and each mistake as one line on stderr."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data.idx_files import idx_bytes, write_set
from PIL import Image

import vitnp
from vitnp.data import idx

ENVIRONMENT = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
QUICK = ("--model", "micro/4", "--epochs", "1", "--pooling", "token")


def call(folder, *arguments):
    """Run python with these arguments in a folder; returns the finished process."""
    return subprocess.run([sys.executable, *map(str, arguments)], cwd=folder, env=ENVIRONMENT,
                          capture_output=True, text=True, timeout=120, check=False)


def train(folder, *arguments):
    return call(folder, "-m", "vitnp.train", *arguments)


def evaluate(folder, *arguments):
    return call(folder, "-m", "vitnp.evaluate", *arguments)


def content(folder):
    """Return everything in a folder: path → bytes, or None for a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
            for path in folder.rglob("*")}


def check_refusal(command, folder, arguments, words):
    """Assert that a command answers in one line with these words, and touches nothing."""
    before = content(folder)
    done = command(folder, *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == "" and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ") and words in done.stderr, done.stderr
    assert content(folder) == before


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder in which two runs were trained, and what they printed."""
    folder = tmp_path_factory.mktemp("work")
    return folder, [train(folder, *QUICK), train(folder, *QUICK, "--seed", "1")]


def test_a_run_leaves_a_folder_and_prints_its_name_last(runs):
    folder, finished = runs
    for number, done in enumerate(finished, start=1):
        assert done.returncode == 0, done.stderr
        score, name = done.stdout.splitlines()
        assert score.startswith("test accuracy ") and score.endswith(", 360 images")
        assert Path(name) == Path(f"runs/digits-00{number}")
        assert sorted(path.name for path in (folder / name).iterdir()) == [
            "best.safetensors", "checkpoint.safetensors", "config.json", "confusion.png",
            "curves.png", "metrics.jsonl", "mistakes.png", "previous.safetensors"]
        for picture in (folder / name).glob("*.png"):
            Image.open(picture).load()
        assert json.loads((folder / name / "config.json").read_text())["recipe"]["epochs"] == 1
        epoch, test = [json.loads(line) for line in
                       (folder / name / "metrics.jsonl").read_text().splitlines()]
        assert epoch["epoch"] == 1 and f"accuracy {100 * test['test_accuracy']:.2f} %" in score
        assert vitnp.load(folder / name).config.patch_size == 4
    assert finished[0].stdout != finished[1].stdout


def test_progress_without_a_terminal_is_a_line_an_epoch_on_stderr(runs):
    for done in runs[1]:
        first, epoch = done.stderr.splitlines()
        assert "18,218 parameters" in first and "1,293 images to train on, 144 to" in first
        assert epoch.startswith("epoch 1/1  loss ") and epoch.endswith(" images/s")


def test_evaluate_finds_what_train_printed(runs):
    folder, finished = runs
    score, name = finished[0].stdout.splitlines()
    done = evaluate(folder, name)
    assert done.returncode == 0 and done.stderr == ""
    first, second, header, *rows, confusion, mistakes = done.stdout.splitlines()
    assert first == score
    assert second.startswith("top-5 accuracy ") and second.endswith(" images/s")
    assert header.split() == ["label", "right", *"0123456789"]
    assert [row.split()[0] for row in rows] == list("0123456789")
    counts = np.array([[int(count) for count in row.split()[3:]] for row in rows])
    shares = [float(row.split()[1]) for row in rows]
    np.testing.assert_allclose(shares, 100 * np.diag(counts) / counts.sum(axis=1), atol=0.05)
    assert counts.shape == (10, 10) and counts.sum() == 360
    assert f"accuracy {100 * np.trace(counts) / 360:.2f} %" in first
    assert len({len(row) for row in rows}) == 1
    assert Path(confusion) == Path(name) / "confusion.png"
    assert Path(mistakes) == Path(name) / "mistakes.png"
    Image.open(folder / mistakes).load()


def test_evaluate_splits_as_training_did(runs):
    folder, finished = runs
    name = finished[1].stdout.splitlines()[-1]
    before = content(folder / name)
    done = evaluate(folder, name, "--part", "validation", "--which", "last")
    assert done.stdout.endswith("mistakes-validation-last.png\n")
    assert content(folder / name).items() >= before.items()
    epoch = json.loads((folder / name / "metrics.jsonl").read_text().splitlines()[0])
    assert done.stdout.startswith(
        f"validation accuracy {100 * epoch['validation_accuracy']:.2f} %, "
        f"loss {epoch['validation_loss']:.4f}, 144 images\n")


def test_mnist_files_are_trained_on_and_may_move(tmp_path):
    (tmp_path / "here").mkdir()
    write_set(tmp_path / "here")
    options = ("--model", "micro/1", "--epochs", "1", "--out", "run", "--data", "mnist")
    done = train(tmp_path, *options, "--data-dir", "here")
    assert done.returncode == 0 and done.stdout.splitlines()[1] == "run", done.stderr
    (tmp_path / "here").rename(tmp_path / "there")
    check_refusal(evaluate, tmp_path, ["run"], "here is not a folder; --data-dir names the one")
    again = evaluate(tmp_path, "run", "--data-dir", "there")
    assert again.stdout.splitlines()[0] == done.stdout.splitlines()[0]


@pytest.mark.parametrize(("arguments", "words"), [
    ("--model micro/3", "images of 8 x 8 cannot be cut into patches of side 3"),
    ("--model giant/2", "unknown model 'giant/2'; write VARIANT/PATCH"),
    ("--data cifar", "there is no data set 'cifar'; possible are digits, mnist"),
    ("--device tpu", "unknown device 'tpu'; possible are cpu, gpu and auto"),
    ("--preset finetune", "goes on with trained weights, but there is no --init-from; give one"),
    ("--preset digits", "there is no preset 'digits'; possible are finetune, mnist"),
    ("--colour red", "unrecognized arguments: --colour red; --help lists"),
    ("--learning-rate -1", "--learning-rate is -1.0; it must be a number above 0"),
    ("--learning-rate 0", "--learning-rate is 0.0"),
    ("--learning-rate nan", "--learning-rate is nan"),
    ("--learning-rate inf", "--learning-rate is inf"),
    ("--batch-size 0", "--batch-size is 0; it must be a whole number of at least 1"),
    ("--epochs 0", "--epochs is 0"),
    ("--epochs 1.5", "invalid int value: '1.5'"),
    ("--warmup-epochs 1e308", "--warmup-epochs is 1e+308"),
    ("--crop-padding 8", "--crop-padding is 8; it must be below the sides"),
    ("--stochastic-depth 1", "stochastic_depth is 1.0"),
    ("--data mnist", "fetch it with python -m vitnp.data fetch mnist, or"),
    ("--data npz", "--data npz needs --data-dir, the place of the arrays"),
    ("--image-size 30", "images of 30 x 30 cannot be cut into patches of side 4"),
    ("--init-from thesis --model tiny/4 --gelu erf",
     "--model, --gelu cannot be given with --init-from: they are those of the weights"),
    ("--resume nowhere", "with --resume only --data-dir, --device, --threads, --workers can be"),
    ("--data mnist --data-dir nowhere", "nowhere is not a folder"),
    ("--data mnist --data-dir .", "holds no file train-images-idx3-ubyte"),
    ("--data-dir .", "leave out --data-dir"),
    ("--out full", "the folder full is not empty; choose another --out"),
    ("--out thesis", "the folder thesis cannot be made: File exists"),
    ("--out thesis/run", "the folder thesis/run cannot be made: File exists"),
])
def test_train_refuses_in_one_line_and_makes_nothing(tmp_path, arguments, words):
    (tmp_path / "thesis").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis").write_text("mine too")
    check_refusal(train, tmp_path, ["--model", "micro/4", "--epochs", "1", *arguments.split()],
                  words)


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_a_gpu_without_cupy_is_refused(tmp_path):
    check_refusal(train, tmp_path, ["--device", "gpu"], "error: CuPy is not installed; pip install")


def cut(data):
    return data[:-3]


def damage(path, change):
    """Change a file's bytes by a function, or delete the file where there is none."""
    if change:
        path.write_bytes(change(path.read_bytes()))
    else:
        path.unlink()


@pytest.mark.parametrize(("position", "change", "words"), [
    (0, None, "holds no file train-images-idx3-ubyte"),
    (2, cut, "announces 36 bytes in the shape 3 x 3 x 4, but holds only 33"),
    (1, lambda data: data[:-1] + b"\x0a", "the label 10 at position 4, but the labels of 10"),
    (3, lambda data: idx_bytes(np.zeros(2, np.uint8)), "holds 3 images, but"),
])
def test_data_files_that_do_not_fit_are_refused(tmp_path, position, change, words):
    write_set(tmp_path)
    damage(tmp_path / idx.FILES[position], change)
    check_refusal(train, tmp_path, ["--model", "micro/1", "--data", "mnist", "--data-dir", "."],
                  words)


@pytest.mark.parametrize(("arguments", "words"), [
    ("", "arguments are required: CHECKPOINT"),
    ("nowhere", "there is no file nowhere; give a run folder or a checkpoint"),
    ("run/config.json", "run/config.json is damaged or no safetensors file"),
    ("run/best.safetensors", "is no run folder, which would tell what it was trained on; give a"),
    ("run --part training", "there is no part 'training'; possible are test, validation"),
    ("run --threads 0", "--threads is 0; it must be a whole number of at least 1"),
    ("run --device tpu", "unknown device 'tpu'"),
    ("run --data-dir .", "leave out --data-dir"),
])
def test_evaluate_refuses_in_one_line_and_makes_nothing(runs, tmp_path, arguments, words):
    shutil.copytree(runs[0] / "runs" / "digits-002", tmp_path / "run")
    check_refusal(evaluate, tmp_path, arguments.split(), words)


@pytest.mark.parametrize(("name", "change", "words"), [
    ("config.json", None, "run is no run folder"), ("config.json", cut, "config.json is damaged"),
    ("config.json", lambda data: data.replace(b'"seed"', b'"speed"'), "'speed'"),
    ("best.safetensors", None, "there is no file run/best.safetensors"),
    ("best.safetensors", cut, "is damaged or no safetensors file"),
    ("best.safetensors", lambda data: data[:-9] + b"\xff" + data[-8:],
     "is damaged: its checksum does not fit"),
])
def test_a_damaged_run_is_refused_and_left_as_it_is(runs, tmp_path, name, change, words):
    shutil.copytree(runs[0] / "runs" / "digits-002", tmp_path / "run")
    damage(tmp_path / "run" / name, change)
    check_refusal(evaluate, tmp_path, ["run"], words)


def test_help_is_quick_and_loads_nothing_heavy(tmp_path):
    """Help that waits for matplotlib is help that nobody asks for twice."""
    code = """if True:
        import runpy, sys
        import vitnp.training.loop
        runpy.run_module('vitnp.train')
        sys.argv = ['', '--help']
        for name in ('train', 'evaluate', 'gradcheck'):
            try:
                runpy.run_module('vitnp.' + name, run_name='__main__')
            except SystemExit as stopped:
                print('exit code', stopped.code)
        print(set(sys.modules) & {'matplotlib', 'PIL', 'safetensors', 'tqdm'} or 'none loaded')
    """
    done = call(tmp_path, "-c", code)
    assert done.returncode == 0 and done.stderr == ""
    for name in ("train", "evaluate", "gradcheck"):
        assert f"usage: python -m vitnp.{name} " in done.stdout
    assert done.stdout.count("exit code 0\n") == 3 and done.stdout.endswith("none loaded\n")


def test_an_empty_text_is_no_default(tmp_path):
    """An unset variable of a shell once trained a whole new run on the digits."""
    for arguments in (["--resume", ""], ["--out", ""], ["--data-dir", ""], ["--init-from", ""]):
        check_refusal(train, tmp_path, arguments, f"{arguments[0][2:]} is an empty text")


def test_a_reader_that_leaves_early_is_no_traceback(tmp_path):
    code = f"{sys.executable} -m vitnp.data list | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          check=True)
    assert done.stderr == "" and done.stdout.splitlines()[0] == "mnist"
    code = f"{sys.executable} -m vitnp.data list | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          check=True)
    assert done.stderr == "" and done.stdout.strip() in ("0", "141")


def test_a_terminal_that_knows_only_ascii_gets_escapes(tmp_path):
    (tmp_path / "Bäume").mkdir()
    done = subprocess.run([sys.executable, "-m", "vitnp.data", "check", "Bäume"], cwd=tmp_path,
                          capture_output=True, check=False,
                          env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 2 and b"B\\xe4ume holds no folder train" in done.stderr
