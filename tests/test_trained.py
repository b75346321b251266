"""Networks that come along: by name, offline, in 32 bits, and never written to."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import vitnp
from tutorials import ship
from vitnp import data, evaluate, params, predict, trained, visualize
from vitnp.analysis import evaluation
from vitnp.runs import presets, run_folder
from vitnp.runs.recipe import Recipe

PICTURES = Path(__file__).parents[1] / "tutorials" / "pictures"


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", trained.names())
@pytest.mark.parametrize("which", ["last", "best"])
def test_a_name_loads_in_32_bits(name, which):
    model = vitnp.load(name, which)
    tensors = params.flatten(model.params)
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float32)}
    for path, tensor in tensors.items():        # and no number was too large or small for 16
        assert np.isfinite(tensor).all(), path
    assert model.class_names == data.load("digits").class_names or name != "digits"


@pytest.mark.parametrize("name", trained.names())
def test_what_stands_beside_a_network_is_what_its_run_left(name):
    folder = trained.HERE / name
    recipe = run_folder.read_recipe(folder)
    assert recipe.data_dir is None
    *epochs, last = run_folder.read_metrics(folder)
    assert len(epochs) <= recipe.epochs
    words = (folder / "README.md").read_text()
    assert f"{100 * last['test_accuracy']:.2f} %" in words and ship.command_of(recipe) in words
    assert "Licence: MIT" in words
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size < 3_500_000


def test_the_digits_are_as_good_as_is_said():
    digits = data.load("digits")
    score = evaluation.score(vitnp.load("digits"), digits.test_images, digits.test_labels)
    assert f"Test accuracy: {100 * score.accuracy:.2f} %" in (
        trained.HERE / "digits" / "README.md").read_text()


def test_commands_take_a_name_and_write_nothing_to_the_package(capsys, work):
    before = sorted(trained.HERE.rglob("*"))
    three = str(PICTURES / "three.png")
    assert predict.main(["digits", three, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["predictions"][0]["name"] == "3"
    assert evaluate.main(["digits"]) == 0
    assert capsys.readouterr().out.startswith("test accuracy ")
    assert visualize.main(["figures", "digits"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "figures"
    assert visualize.main(["explore", "digits", three]) == 0
    assert sorted(trained.HERE.rglob("*")) == before
    assert evaluate.main(["digits", "--out", "mine"]) == 0
    assert (work / "mine" / "confusion.png").exists()


def test_a_path_of_that_name_goes_first_and_it_is_said(work, capsys):
    other = vitnp.load("digits")
    other.params["head"]["weight"][:] = other.params["head"]["bias"][:] = 0
    other.save("digits")
    assert not vitnp.load("digits").params["head"]["weight"].any()
    predict.main(["digits", str(PICTURES / "three.png"), "--top", "1"])
    out, messages = capsys.readouterr()
    assert "10.00 %" in out
    assert messages == (f"digits is a file or folder here; it is taken, and not the network of "
                        f"that name that comes along; that one is {trained.HERE / 'digits'}\n")
    assert vitnp.load(trained.HERE / "digits").params["head"]["weight"].any()


def test_other_names_stand_for_nothing():
    with pytest.raises(vitnp.Error, match="there is no file digit"):
        vitnp.load("digit")
    with pytest.raises(vitnp.Error, match="which is 'first'"):
        vitnp.load("digits", "first")


def test_a_run_is_shipped_as_it_is(work, capsys):
    shutil.copytree(trained.HERE / "digits", "run")
    model = vitnp.load("run", "best")
    with pytest.raises(vitnp.Error, match="run is not finished"):
        ship.main(["run", "again", "--out", "."])
    assert not (work / "again").exists()
    model.save("run/checkpoint.safetensors")
    finish("run")
    assert ship.main(["run", "again", "--out", ".", "--processor", "a processor"]) == 0
    for name in ("best.safetensors", "metrics.jsonl", "config.json"):
        assert (work / "again" / name).read_bytes() == (trained.HERE / "digits" / name).read_bytes()
    assert "on a processor." in (work / "again" / "README.md").read_text()


def finish(folder):
    """Write to a run's checkpoint that it is finished."""
    from vitnp.checkpoint import native

    path = Path(folder) / "checkpoint.safetensors"
    tensors, facts = native.load(path)
    standing = {"sums": {}, "best_accuracy": 1.0, "best_epoch": 1, "finished": True}
    native.save(path, tensors, facts | {"standing": standing, "step": 1, "metrics_length": 1})


def test_the_command_of_a_run_is_the_shortest():
    assert ship.command_of(Recipe()) == "python -m vitnp.train"
    assert ship.command_of(Recipe(epochs=3, threads=2)) == "python -m vitnp.train --epochs 3"
    fields = presets.find("cifar10-small")
    assert ship.command_of(Recipe(**fields)) == "python -m vitnp.train --preset cifar10-small"
    assert ship.command_of(Recipe(**fields | {"data_dir": "/x", "seed": 4})) == (
        "python -m vitnp.train --preset cifar10-small --seed 4")
