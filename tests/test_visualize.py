"""python -m vitnp.visualize: the batch that a run sees, and several runs in a table and curves."""

import dataclasses
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import vitnp
from vitnp import data, visualize
from vitnp.analysis.drawing import figures, sheets
from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe
from vitnp.training import loop, steps

RECIPE = Recipe(model="micro/4", epochs=2, batch_size=30, seed=3, mixup=0.4, cutmix=1.0, flip=0.5,
                randaugment=1, erase=0.3, resized_crop=0.5, threads=1)
OPTIONS = ("--model micro/4 --epochs 2 --batch-size 30 --seed 3 --mixup 0.4 --cutmix 1 --flip 0.5 "
           "--randaugment 1 --erase 0.3 --resized-crop 0.5")


def call(words):
    """Call the command with these words as its arguments."""
    return visualize.main(words.split())


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def few_images(monkeypatch):
    """Let the digits be 130 images to train on: 117, in 4 steps an epoch, and 13 to validate."""
    digits = data.load("digits")
    few = replace(digits, train_images=digits.train_images[:130],
                  train_labels=digits.train_labels[:130])
    monkeypatch.setattr(data, "load", lambda *arguments: few)
    return few


def record(epoch, accuracy=0.5, seconds=2.0):
    return {"epoch": epoch, "train_loss": 1 / epoch, "validation_loss": 1.0, "seconds": seconds,
            "validation_accuracy": accuracy}


TEST = {"test_loss": 0.5, "test_accuracy": 0.8125, "test_images": 16, "best_epoch": 2}


def make_run(folder, records, **options):
    """Make the folder of a run with these records, or without metrics where they are None."""
    folder.mkdir(parents=True)
    recipe = Recipe(**{"model": "tiny/4", "epochs": 4} | options)
    run_folder.write_config(folder, {}, dataclasses.asdict(recipe), {})
    if records is not None:
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (folder / run_folder.METRICS).write_text(lines)


def test_the_batch_is_the_one_that_a_run_trains_on(work, monkeypatch, few_images):
    """Every draw counts: order, augmentation and mixing, by seed, epoch and step."""
    seen, shown = [], []
    step = steps.train_step

    def spy(state, trained, images, targets, *others):
        seen.append((images, targets))
        return step(state, trained, images, targets, *others)

    monkeypatch.setattr(steps, "train_step", spy)
    monkeypatch.setattr(sheets, "batch", lambda *arguments: shown.append(arguments))
    loop.train(RECIPE, work / "run")
    assert len(seen) == 8
    for number, (images, targets) in enumerate(seen):
        epoch, i = divmod(number, 4)
        call(f"batch {OPTIONS} --epoch {epoch + 1} --step {i + 1}")
        before, after, labels, found, names, path, title = shown[-1]
        np.testing.assert_array_equal(after, images)
        np.testing.assert_array_equal(found, targets)
        assert len(before) == len(labels) == len(after) == (27 if i == 3 else 30)
        assert names == few_images.class_names and path == "batch.png"
        assert title.startswith(f"digits, epoch {epoch + 1}, step {i + 1}: {len(after)} training")


def test_the_pictures_before_are_those_of_the_batch(monkeypatch):
    """Without augmentation both are the same; of a large batch the first 64."""
    shown = []
    monkeypatch.setattr(sheets, "batch", lambda *arguments: shown.append(arguments))
    call("batch --rotate 0 --rescale 0 --crop-padding 0 --batch-size 80")
    before, after, labels, targets, *_, title = shown[0]
    assert len(before) == 64 and len(after) == 80 and "the first 64 of 80 training" in title
    np.testing.assert_array_equal(before, after[:64])
    np.testing.assert_array_equal(labels, targets)


def test_a_batch_becomes_a_picture_whose_path_is_printed_last(work, capsys):
    (work / "old.png").write_text("over this")
    assert call(f"batch {OPTIONS} --figure old.png") == 0
    assert capsys.readouterr().out == "old.png\n"
    with Image.open("old.png") as image:
        image.load()
    assert [path.name for path in work.iterdir()] == ["old.png"]


def test_runs_are_compared_in_a_table_and_a_picture(work, capsys, monkeypatch):
    make_run(work / "a" / "first", [record(1), record(2, 0.75), record(3, 0.625), TEST])
    make_run(work / "a" / "second", [record(1, seconds=3725.4)], model="small/4", epochs=120)
    make_run(work / "b" / "second", [{"epoch": 1, "train_loss": 2.0, "seconds": 1.6}])
    make_run(work / "young", None)
    shown = []
    compare = figures.compare

    def keep(compared, path):
        shown.append(compared)
        compare(compared, path)

    monkeypatch.setattr(figures, "compare", keep)
    assert call("compare a/first a/second b/second young") == 0
    out, messages = capsys.readouterr()
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "run model epochs best validation test accuracy training time",
        "first tiny/4 3 of 4 75.00 % 81.25 % 0:00:06",
        "a/second small/4 1 of 120 50.00 % - 1:02:05",
        "b/second tiny/4 1 of 4 - - 0:00:02",
        "young tiny/4 0 of 4 - - 0:00:00",
        "compare.png"]
    assert len({len(line) for line in out.splitlines()[:-1]}) == 1
    assert messages == "young has no finished epoch yet, and no curve\n"
    assert [(name, len(records)) for name, records in shown[0]] == [
        ("first", 4), ("a/second", 1), ("b/second", 1)]
    with Image.open("compare.png") as image:
        image.load()


@pytest.mark.parametrize(("arguments", "words"), [
    ("", "the following arguments are required: batch | compare"),
    ("loss", "invalid choice: 'loss'"),
    ("batch --epoch 0", "--epoch is 0; it must be a whole number of at least 1"),
    ("batch --epoch 121", "--epoch is 121, but the run has 120 epochs"),
    ("batch --step 22", "--step is 22, but the epochs of the run have 21 steps"),
    ("batch --step 0", "--step is 0; it must be"),
    ("batch --figure a.jpg", "--figure is a.jpg, but the picture is a PNG file"),
    ("batch --figure nowhere/a.png", "nowhere/a.png cannot be written: No such file"),
    ("batch --preset digits", "there is no preset 'digits'"),
    ("batch --data mnist", "fetch it with python -m vitnp.data fetch mnist"),
    ("batch --model tiny/3", "images of 8 x 8 cannot be cut into patches of side 3"),
    ("batch --crop-padding 8", "--crop-padding is 8"),
    ("compare", "the following arguments are required: RUN"),
    ("compare run nowhere", "nowhere is no run folder"),
    ("compare young", "none of the runs has a finished epoch"),
    ("compare run --figure run", "--figure is run, but the picture is a PNG file"),
    ("compare run broken", "broken/metrics.jsonl is damaged: a line of it is no JSON"),
    ("compare run list", "list/metrics.jsonl is damaged: a line of it is not the record"),
    ("compare words", "words/metrics.jsonl is damaged: a line of it is not the record"),
])
def test_mistakes_are_refused_and_nothing_is_written(work, arguments, words):
    make_run(work / "run", [record(1)])
    make_run(work / "young", None)
    make_run(work / "broken", [record(1)])
    (work / "broken" / run_folder.METRICS).write_text('{"epoch": 1')
    make_run(work / "list", [record(1), [1, 2]])
    make_run(work / "words", [record(1) | {"epoch": "one"}])
    before = sorted(work.rglob("*"))
    with pytest.raises(vitnp.Error) as caught:
        call(arguments)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert sorted(work.rglob("*")) == before


def test_the_command_answers_in_one_line_and_loads_nothing_for_its_help():
    code = ("import runpy, sys\nsys.argv[1:] = sys.argv[2:]\n"
            "try:\n    runpy.run_module('vitnp.visualize', run_name='__main__')\n"
            "except SystemExit as stopped:\n"
            "    print(stopped.code, set(sys.modules) & {'matplotlib', 'PIL'} or 'none loaded')\n")
    for arguments, expected in (("batch --help", "0 none loaded\n"),
                                ("compare nowhere", "2 none loaded\n")):
        done = subprocess.run([sys.executable, "-W", "error", "-c", code, "-", *arguments.split()],
                              capture_output=True, text=True, check=False, timeout=60)
        assert done.stdout.endswith(expected), done
        errors = "error: nowhere is no run folder: it has no config.json\n"
        assert done.stderr == (errors if "nowhere" in arguments else "")
    assert done.stdout == expected
