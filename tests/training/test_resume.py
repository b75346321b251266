"""Runs that are stopped, killed or spoilt, and go on as if nothing had been."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

import vitnp
from vitnp import data
from vitnp.checkpoint import native
from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe
from vitnp.training import labels, loop
from vitnp.training.signals import Stopped

RECIPE = Recipe(model="micro/4", epochs=4, batch_size=30, warmup_epochs=1, dropout=0.1,
                stochastic_depth=0.1, pooling="token", ema=0.9, cutmix=1.0, mixup=0.2,
                randaugment=1, erase=0.3, threads=1)
TIMES = ("seconds", "images_per_second", "waiting", "validation_seconds")


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    """Let every run in this process train on 130 digits: 4 steps an epoch."""
    digits = data.load("digits")
    few = replace(digits, train_images=digits.train_images[:130],
                  train_labels=digits.train_labels[:130])
    monkeypatch.setattr(data, "load", lambda *arguments: few)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of a run that nothing disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        few_images.__wrapped__(patch)
        return loop.train(RECIPE, tmp_path_factory.mktemp("whole") / "run")[0]


def records(folder):
    """Return the metrics of a run without what differs from time to time."""
    return [{key: value for key, value in record.items() if key not in TIMES}
            for record in run_folder.read_metrics(folder)]


def check_equal_runs(one, other, files=8):
    """Assert that two run folders hold the same tensors to the bit, and the same metrics."""
    for name in ("checkpoint.safetensors", "best.safetensors"):
        (tensors, facts), (others, other_facts) = (native.load(run / name) for run in (one, other))
        assert tensors.keys() == others.keys() and facts["step"] == other_facts["step"]
        for key, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, others[key], key)
    assert records(one) == records(other)
    assert len(list(other.iterdir())) == files, sorted(path.name for path in other.iterdir())


def stop_after(monkeypatch, step, number=signal.SIGTERM):
    """Let this process be sent a signal while it takes the step of this number, from 1."""
    take = loop.steps.train_step

    def interrupted(state, *others):
        if state.step == step - 1:
            os.kill(os.getpid(), number)
        return take(state, *others)

    monkeypatch.setattr(loop.steps, "train_step", interrupted)


@pytest.mark.parametrize("step", (1, 3, 4, 5, 8, 15, 16))
def test_a_run_that_was_stopped_goes_on_to_the_bit(tmp_path, monkeypatch, whole, step):
    """In the middle of an epoch, at its end, in its first step; masks, mixing, average too."""
    with monkeypatch.context() as patch:
        stop_after(patch, step)
        with pytest.raises(Stopped, match=f"stopped after step {step}; .* --resume ") as stopped:
            loop.train(RECIPE, tmp_path / "run")
    assert stopped.value.code == 128 + signal.SIGTERM
    assert run_folder.last_checkpoint(tmp_path / "run")[1]["step"] == step
    loop.resume(tmp_path / "run")
    check_equal_runs(whole, tmp_path / "run")


def test_the_second_signal_stops_at_once(tmp_path, monkeypatch):
    def twice(*others):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop.steps, "train_step", twice)
    with pytest.raises(KeyboardInterrupt) as stopped:
        loop.train(RECIPE, tmp_path / "run")
    assert not isinstance(stopped.value, Stopped)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_run_without_a_checkpoint_starts_anew(tmp_path, monkeypatch, whole):
    """Killed before its first checkpoint, or even before config.json had company."""
    shutil.copy(whole / "config.json", tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1, "tra')
    (tmp_path / ".checkpoint.safetensors.123").write_bytes(b"half")
    loop.resume(tmp_path)
    check_equal_runs(whole, tmp_path)


def cut(data):
    return data[:len(data) // 2]


def flip(data):
    return data[:-40] + bytes([data[-40] ^ 1]) + data[-39:]


@pytest.mark.parametrize("change", [cut, flip, lambda data: b""])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_is_taken(
        tmp_path, monkeypatch, capsys, whole, change):
    with monkeypatch.context() as patch:
        stop_after(patch, 10)
        with pytest.raises(Stopped):
            loop.train(RECIPE, tmp_path / "run")
    path = tmp_path / "run" / "checkpoint.safetensors"
    path.write_bytes(change(path.read_bytes()))
    capsys.readouterr()
    loop.resume(tmp_path / "run")
    shown = capsys.readouterr().err
    assert f"{path} is damaged" in shown and "goes on after step 8" in shown
    check_equal_runs(whole, tmp_path / "run")


def test_a_damaged_best_checkpoint_is_reported_and_replaced(tmp_path, monkeypatch, capsys, whole):
    with monkeypatch.context() as patch:
        stop_after(patch, 12)
        with pytest.raises(Stopped):
            loop.train(RECIPE, tmp_path / "run")
    path = tmp_path / "run" / "best.safetensors"
    path.write_bytes(cut(path.read_bytes()))
    loop.resume(tmp_path / "run")
    assert "the present weights take its place" in capsys.readouterr().err
    last, best = run_folder.read_metrics(tmp_path / "run")[-1], native.load(path)[1]
    assert last["best_epoch"] == best["epoch"] >= 3


def test_where_all_checkpoints_are_damaged_the_run_is_refused_and_left_alone(tmp_path, whole):
    shutil.copytree(whole, tmp_path / "run")
    for name in ("checkpoint.safetensors", "previous.safetensors"):
        (tmp_path / "run" / name).write_bytes(b"noise")
    with pytest.raises(vitnp.Error, match="no checkpoint in .* is whole"):
        loop.resume(tmp_path / "run")
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (
        whole / "metrics.jsonl").read_bytes()


def test_only_one_process_trains_in_a_folder(tmp_path, whole):
    shutil.copytree(whole, tmp_path / "run")
    with run_folder.locked(tmp_path / "run"), pytest.raises(vitnp.Error, match="another process"):
        loop.resume(tmp_path / "run")


def test_a_disk_without_room_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 1_000))
    with pytest.raises(vitnp.Error, match=r"needs up to \d+ MB in .*, but only 0 MB are free"):
        loop.train(RECIPE, tmp_path / "run")


@pytest.mark.parametrize("call", ["append_metrics", "save_checkpoint"])
def test_a_disk_that_fills_up_later_stops_the_run_which_can_go_on(
        tmp_path, monkeypatch, whole, call):
    write, calls = getattr(run_folder, call), []

    def fill(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise vitnp.Error("a file cannot be written: No space left on device")
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(run_folder, call, fill)
        with pytest.raises(vitnp.Error, match="No space left .* --resume "):
            loop.train(RECIPE, tmp_path / "run")
    loop.resume(tmp_path / "run")
    check_equal_runs(whole, tmp_path / "run")


def test_threads_of_training_in_a_thread_leave_signals_alone(tmp_path):
    found = []
    thread = threading.Thread(
        target=lambda: found.append(loop.train(replace(RECIPE, epochs=1), tmp_path / "run")))
    thread.start()
    thread.join()
    assert len(found) == 1


def test_a_run_ends_when_its_patience_does(tmp_path, monkeypatch):
    scores = iter([0.5, 0.7, 0.6, 0.7, 0.6, 0.6, 0.6, 0.6, 0.6])
    score = labels.evaluation.score

    def scripted(*arguments, world):
        found = score(*arguments, world=world)
        return replace(found, accuracy=next(scores)) if len(arguments) == 4 else found

    monkeypatch.setattr(labels.evaluation, "score", scripted)
    folder, _, _ = loop.train(replace(RECIPE, epochs=20, patience=2), tmp_path / "run")
    *epochs, test = run_folder.read_metrics(folder)
    assert len(epochs) == 6 and test["best_epoch"] == 4        # of two equal ones the later
    assert vitnp.load(folder, "best").threads == 1
    assert native.load(folder / "best.safetensors")[1]["epoch"] == 4


def test_evaluating_each_third_epoch_and_after_the_last(tmp_path):
    folder, _, _ = loop.train(replace(RECIPE, evaluate_every=3), tmp_path / "run")
    *epochs, _ = run_folder.read_metrics(folder)
    assert [("validation_loss" in record) for record in epochs] == [False, False, True, True]


def test_the_average_is_what_is_validated_and_loaded(whole):
    tensors, _ = native.load(whole / "checkpoint.safetensors")
    loaded = vitnp.load(whole)
    np.testing.assert_array_equal(loaded.params["head"]["weight"], tensors["ema/head/weight"])
    assert (tensors["ema/head/weight"] != tensors["params/head/weight"]).any()


COMMAND = ("--model", "micro/4", "--epochs", "5", "--ema", "0.9", "--dropout", "0.1", "--mixup",
           "0.2", "--threads", "2", "--crop-padding", "1", "--randaugment", "1")


def train(folder, *arguments):
    return subprocess.Popen([sys.executable, "-m", "vitnp.train", *map(str, arguments)], cwd=folder,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_ten_kills_at_random_moments_lose_nothing(tmp_path, seed):
    numbers = random.Random(seed)
    began = time.monotonic()
    process = train(tmp_path, *COMMAND, "--out", "whole")
    assert process.communicate() and process.returncode == 0
    duration = time.monotonic() - began
    kills = 0
    while kills < 10:
        fresh = not (tmp_path / "run").exists()
        process = train(tmp_path, *(COMMAND + ("--out", "run") if fresh else ("--resume", "run")))
        time.sleep(numbers.uniform(0.0, 0.7 * duration))
        process.kill()
        _, shown = process.communicate()
        if process.returncode == 0:         # finished before the kill: once more from the start
            check_equal_runs(tmp_path / "whole", tmp_path / "run")
            shutil.rmtree(tmp_path / "run")
            continue
        assert process.returncode == -signal.SIGKILL, shown
        kills += 1
    fresh = not (tmp_path / "run").exists()
    process = train(tmp_path, *(COMMAND + ("--out", "run") if fresh else ("--resume", "run")))
    printed, shown = process.communicate()
    assert process.returncode == 0, shown
    check_equal_runs(tmp_path / "whole", tmp_path / "run")
    again = train(tmp_path, "--resume", "run")
    assert again.communicate() == (
        printed, "run is finished; to train further, start another run\n")
