"""Runs on folders of pictures: whatever happens to the pictures, nothing is mixed up silently."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from training.test_resume import check_equal_runs, stop_after

import vitnp
from vitnp.data import fingerprint, folder, pack, scan
from vitnp.data.preprocess import whole
from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe
from vitnp.training import loop, saving
from vitnp.training.signals import Stopped


def write_set(path, count=30, parts=("train",)):
    for part in parts:
        for k, name in enumerate(("ant", "cat")):
            (path / part / name).mkdir(parents=True)
            for i in range(count):
                rng = np.random.default_rng([k, i, len(part)])
                Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(
                    path / part / name / f"{i:02}.jpg", quality=90)
    return path


def recipe_for(path, **changes):
    return Recipe(**{"data": "folder", "data_dir": str(path), "image_size": 8, "model": "micro/4",
                     "epochs": 3, "batch_size": 16, "threads": 1, "workers": 1, "flip": 0.5,
                     "resized_crop": 0.6, "crop_padding": 0} | changes)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """Return the folders of a set of pictures and of a run on it that nothing disturbed."""
    path = tmp_path_factory.mktemp("folders")
    write_set(path / "set")
    loop.train(recipe_for(path / "set"), path / "run")
    return path


def stopped_run(path, out, monkeypatch, step=3):
    with monkeypatch.context() as patch:
        stop_after(patch, step)
        with pytest.raises(Stopped):
            loop.train(recipe_for(path), out)
    return out


def used(monkeypatch):
    """Return a list to which the parts of each run that goes on are added, as names."""
    seen, load = [], loop.run_data.load

    def noted(*arguments, **options):
        dataset = load(*arguments, **options)
        paths = np.array([scan.identity_of("train/" + path.split("/train/")[1])
                          for path in dataset.train_images.paths])
        seen.append([sorted(paths[part].tolist()) for part in dataset.parts()])
        return dataset

    monkeypatch.setattr(loop.run_data, "load", noted)
    return seen


def test_what_was_found_is_said_before_training(tmp_path, capsys):
    write_set(tmp_path / "set")
    (tmp_path / "set" / "train" / "cat" / "a.tga").write_bytes(b"")
    loop.train(recipe_for(tmp_path / "set", epochs=1), tmp_path / "run")
    said = capsys.readouterr().err
    for words in ("2 classes, 60 pictures, 30 in each", "train: ", "validation: ", "test: ",
                  "left out, names that end in .tga: 1 (train/cat/a.tga)", "sizes: all 30 x 20"):
        assert words in said[:said.index("parameters")]


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_picture_that_cannot_be_read_is_found_before_training(tmp_path, part):
    write_set(tmp_path / "set", parts=("train", "test"))
    path = tmp_path / "set" / part / "cat" / "07.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(vitnp.Error, match="07.jpg cannot be read .* python -m vitnp.data check"):
        loop.train(recipe_for(tmp_path / "set"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_removed_picture_changes_no_parts(tmp_path, monkeypatch, capsys):
    """One picture fewer once put others into the validation part, which had been trained on."""
    path = write_set(tmp_path / "set")
    seen = used(monkeypatch)
    run = stopped_run(path, tmp_path / "run", monkeypatch)
    training, validation = seen[0]
    (path / "train" / training[0]).unlink()
    (path / "train" / validation[0]).unlink()
    shutil.copy(path / "train" / training[1], path / "train" / "ant" / "!early.jpg")
    loop.resume(run)
    assert set(seen[1][0]) == set(training) - {training[0]}
    assert len(seen[1][0]) == len(training)             # another one of its class twice
    assert seen[1][1] == validation[1:]
    said = capsys.readouterr().err
    assert "2 pictures removed since the run began" in said
    assert "1 picture added since the run began: train/ant/!early.jpg" in said
    assert len(run_folder.read_metrics(run)) == 4


def test_an_added_picture_leaves_a_run_as_it_was(tmp_path, monkeypatch, whole_run):
    path = write_set(tmp_path / "set")
    run = stopped_run(path, tmp_path / "run", monkeypatch)
    for i in range(9):
        shutil.copy(path / "train/ant/00.jpg", path / f"train/cat/!{i}.jpg")
    kept = fingerprint.read(run)
    data = folder.load(path, 8, 1, kept=kept)
    before = folder.load(whole_run / "set", 8, 1)
    for one, other in zip(data.parts(), before.parts(), strict=True):
        names = [[images.paths[i].rsplit("/set/")[1] for i in part if "!" not in images.paths[i]]
                 for part, images in ((one, data.train_images), (other, before.train_images))]
        assert names[0] == names[1]
    loop.resume(run)
    for name in ("params/head/weight", "moment1/head/weight"):
        found = [vitnp.checkpoint.native.load(place / "checkpoint.safetensors")[0][name]
                 for place in (run, whole_run / "run")]
        np.testing.assert_array_equal(*found)


def test_a_renamed_class_is_refused(tmp_path, monkeypatch):
    path = write_set(tmp_path / "set")
    run = stopped_run(path, tmp_path / "run", monkeypatch)
    (path / "train" / "cat").rename(path / "train" / "aardvark")
    with pytest.raises(vitnp.Error, match="class 'cat' that the run was trained on are gone"):
        loop.resume(run)


def test_an_old_run_goes_on_as_it_was(tmp_path, monkeypatch):
    """Runs from before there were fingerprints split by position, and knew no deeper folders."""
    path = write_set(tmp_path / "set")
    run = stopped_run(path, tmp_path / "run", monkeypatch)
    (run / fingerprint.NAME).unlink()
    for name in ("checkpoint", "previous", "best"):
        (run / f"{name}.safetensors").unlink(missing_ok=True)
    (path / "train" / "cat" / "deeper").mkdir()
    shutil.copy(path / "train" / "cat" / "00.jpg", path / "train" / "cat" / "deeper")
    seen = used(monkeypatch)
    loop.resume(run)
    training, validation = seen[0]
    assert (len(training), len(validation)) == (49, 5)
    assert not [name for name in training + validation if "deeper" in name]
    assert run_folder.read_metrics(run)[-1]["test_images"] == 6


def test_a_pack_trains_to_the_same_weights(tmp_path, whole_run):
    pack.write(whole_run / "set", tmp_path / "packed", whole((8, 8)), 1)
    loop.train(recipe_for(tmp_path / "packed"), tmp_path / "run")
    shutil.copytree(whole_run / "run", tmp_path / "whole")
    check_equal_runs(tmp_path / "whole", tmp_path / "run", files=9)


def test_a_run_on_a_folder_goes_on_with_its_pack(tmp_path, monkeypatch, whole_run):
    shutil.copytree(whole_run / "set", tmp_path / "set")
    run = stopped_run(tmp_path / "set", tmp_path / "run", monkeypatch)
    pack.write(tmp_path / "set", tmp_path / "packed", whole((8, 8)), 1)
    loop.resume(run, {"data_dir": str(tmp_path / "packed")})
    check_equal_runs(whole_run / "run", run, files=9)


@pytest.mark.parametrize("length", [100, 0, 1, 1000])
@pytest.mark.parametrize("finished", [False, True])
def test_cut_metrics_are_mended_and_the_run_can_be_resumed_again(
        tmp_path, monkeypatch, capsys, whole_run, length, finished):
    if finished:
        shutil.copytree(whole_run / "run", tmp_path / "run")
    else:
        stopped_run(whole_run / "set", tmp_path / "run", monkeypatch, step=8)
    path = tmp_path / "run" / "metrics.jsonl"
    os.truncate(path, min(length, path.stat().st_size))
    for _ in range(2):
        if saving.result_of(tmp_path / "run") is None:
            loop.resume(tmp_path / "run")
        last = run_folder.read_metrics(tmp_path / "run")[-1]
        assert last["test_images"] == run_folder.read_metrics(whole_run / "run")[-1]["test_images"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_signals_save_and_stop(tmp_path, monkeypatch, whole_run, name):
    number = getattr(signal, name)
    before = signal.signal(number, signal.default_int_handler)      # nohup has it ignored
    with monkeypatch.context() as patch:
        stop_after(patch, 4, number)
        with pytest.raises(Stopped) as stopped:
            loop.train(recipe_for(whole_run / "set"), tmp_path / "run")
    signal.signal(number, before)
    assert stopped.value.code == 128 + number
    assert run_folder.last_checkpoint(tmp_path / "run")[1]["step"] == 4
    loop.resume(tmp_path / "run")
    check_equal_runs(whole_run / "run", tmp_path / "run", files=9)


def test_sigusr2_saves_and_goes_on(tmp_path, monkeypatch, whole_run):
    saved, save = [], loop.save

    def noted(run, state, *others):
        saved.append(state.step)
        save(run, state, *others)

    monkeypatch.setattr(loop, "save", noted)
    stop_after(monkeypatch, 5, signal.SIGUSR2)
    loop.train(recipe_for(whole_run / "set"), tmp_path / "run")
    assert saved.count(5) == 1
    check_equal_runs(whole_run / "run", tmp_path / "run", files=9)


def test_what_nohup_ignores_stays_ignored(tmp_path, monkeypatch, whole_run):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with monkeypatch.context() as patch:
            stop_after(patch, 4, signal.SIGHUP)
            loop.train(recipe_for(whole_run / "set"), tmp_path / "run")
    finally:
        signal.signal(signal.SIGHUP, before)
    check_equal_runs(whole_run / "run", tmp_path / "run", files=9)


@pytest.mark.slow
def test_one_command_trains_on_photographs_and_says_what_it_chose(tmp_path):
    for k, name in enumerate(("ant", "cat")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(30):
            rng = np.random.default_rng([k, i])
            Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize(
                (500, 375)).save(tmp_path / "set" / name / f"{i}.jpg")
    done = subprocess.run([sys.executable, "-m", "vitnp.train", "--data", "folder", "--data-dir",
                           "set", "--epochs", "1"], cwd=tmp_path, capture_output=True, text=True,
                          check=True, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert "--model mini/8" in done.stderr and "runs/folder-001" in done.stdout
