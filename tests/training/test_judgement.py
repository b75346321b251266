"""Classes of unequal size, the choice of the best weights, seeds, and what is said of a run."""

import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import vitnp
from vitnp import data, params
from vitnp.config import ViTConfig
from vitnp.layers import textbook
from vitnp.networks import of
from vitnp.parallel import lanes
from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe
from vitnp.training import forecast, labels, loop

QUICK = Recipe(model="micro/4", epochs=2, batch_size=30, warmup_epochs=0.5, threads=1)


@pytest.fixture
def unequal(monkeypatch):
    """Let every run train on digits of which one class is rare."""
    digits = data.load("digits")
    chosen = np.flatnonzero(digits.train_labels[:300] != 3)
    chosen = np.concatenate([chosen, np.flatnonzero(digits.train_labels == 3)[:8]])
    few = replace(digits, train_images=digits.train_images[chosen],
                  train_labels=digits.train_labels[chosen])
    monkeypatch.setattr(data, "load", lambda *arguments: few)
    return few


def test_the_weights_let_every_class_count_alike():
    counts = np.array([40, 10, 50])
    weights = labels.class_weights(replace(QUICK, balance=True), np.repeat(np.arange(3), counts), 3)
    np.testing.assert_allclose(weights * counts, counts.sum() / 3, rtol=1e-6)
    assert labels.class_weights(QUICK, np.repeat(np.arange(3), counts), 3) is None
    missing = labels.class_weights(replace(QUICK, balance=True), np.zeros(5, int), 3)
    assert np.isfinite(missing).all()


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("micro_batch", [2, 5])
def test_gradients_are_the_weighted_sum_of_those_of_single_images(mixed, micro_batch):
    config = ViTConfig.named("micro/4", image_size=8, channels=1, classes=3)
    network, rng = of(config), np.random.default_rng(0)
    shapes = network.shapes(config)
    tree = params.views(network.init(config, rng), shapes)
    images = rng.normal(size=(5, 8, 8, 1)).astype(np.float32)
    targets = np.array([0, 2, 1, 1, 0])
    if mixed:
        targets = rng.dirichlet(np.ones(3), 5).astype(np.float32)
    weights = np.array([0.5, 2.0, 3.0], np.float32)

    def gradients(some, aims, class_weights=None):
        flat = params.allocate(shapes, np.float32, np)
        lanes.loss_and_gradients(some, aims, tree, params.views(flat, shapes), config, textbook,
                                 micro_batch=micro_batch, class_weights=class_weights)
        return flat.astype(np.float64)

    factors = targets @ weights if mixed else weights[targets]
    alone = sum(factor * gradients(images[i:i + 1], targets[i:i + 1])
                for i, factor in enumerate(factors)) / 5
    np.testing.assert_allclose(gradients(images, targets, weights), alone, atol=1e-6)


def test_a_balanced_run_differs_goes_on_and_is_as_long(tmp_path, unequal):
    plain, _, _ = loop.train(QUICK, tmp_path / "plain")
    balanced, _, _ = loop.train(replace(QUICK, balance=True), tmp_path / "balanced")
    heads = [vitnp.load(folder).params["head"]["weight"] for folder in (plain, balanced)]
    assert (heads[0] != heads[1]).any()
    one, other = (run_folder.read_metrics(folder)[0] for folder in (plain, balanced))
    assert one["step"] == other["step"]


def test_the_mean_of_the_classes_may_choose_the_best_weights(tmp_path, monkeypatch, unequal):
    scores = iter([(0.9, [0.9, 0.1]), (0.8, [0.7, 0.7]), (0.85, [0.8, 0.2])])
    score = labels.evaluation.score

    def scripted(*arguments, world):
        accuracy, classes = next(scores)
        found = score(*arguments, world=world)
        confusion = np.zeros((10, 10), int)
        for k, share in enumerate(classes):
            confusion[k, k], confusion[k, 9] = 10 * share, 10 - 10 * share
        return replace(found, accuracy=accuracy, confusion=confusion)

    monkeypatch.setattr(labels.evaluation, "score", scripted)
    folder, _, _ = loop.train(replace(QUICK, epochs=3, best="class-mean"), tmp_path / "run")
    records = run_folder.read_metrics(folder)
    assert records[-1]["best_epoch"] == 2
    assert records[1]["validation_class_mean"] == pytest.approx(0.7)


def test_a_run_that_learns_nothing_gets_a_hint(tmp_path, capsys):
    loop.train(replace(QUICK, epochs=2, learning_rate=1e-12), tmp_path / "run")
    said = capsys.readouterr().err
    assert said.count("ln 10 = 2.303, that of guessing") == 2
    loop.train(replace(QUICK, epochs=3, learning_rate=3e-3), tmp_path / "learns")
    assert "guessing" not in capsys.readouterr().err


@pytest.mark.parametrize("loss", [2.0, 2.4, 0.1])
def test_other_losses_get_none(loss):
    run = type("Run", (), {"recipe": QUICK, "trained": type("T", (), {
        "config": type("C", (), {"classes": 10})})})
    assert labels.remark(run, {"epoch": 2, "train_loss": loss}) is None
    assert labels.remark(run, {"epoch": 2, "train_loss": math.log(10)})


def test_long_sequences_and_slow_steps_are_told_before_them(monkeypatch):
    monkeypatch.setattr(forecast, "multiplications_a_second", lambda: 1e11)
    small = ViTConfig.named("mini/8", image_size=64, classes=2)
    assert forecast.warnings(small, 300_000, 64) == []
    large = ViTConfig.named("tiny/4", image_size=224, classes=2)
    tokens, seconds = forecast.warnings(large, 250_000, 64)
    assert "3,136 tokens of 4 x 4" in tokens and "a step of 64 images will take about " in seconds
    assert len(forecast.warnings(large, 250_000, 64, xp="a GPU")) == 1


def test_seeds_end_with_mean_and_spread(tmp_path):
    def call(*arguments):
        return subprocess.run([sys.executable, "-m", "vitnp.train", "--model", "micro/4",
                               "--epochs", "1", *arguments], cwd=tmp_path, capture_output=True,
                              text=True, check=False, env=os.environ)

    done = call("--seeds", "0,5", "--out", "run")
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[1] == "run-0" and lines[3] == "run-5"
    found = [float(line.split()[2]) for line in (lines[0], lines[2])]
    assert lines[4].startswith(f"2 seeds: test accuracy {sum(found) / 2:.2f} % (mean), from "
                               f"{min(found):.2f} to {max(found):.2f} %, standard deviation ")
    for arguments, words in ((("--seeds", "0,0"), "different whole numbers"),
                             (("--seeds", "x"), "different whole numbers"),
                             (("--seeds", "0", "--seed", "1"), "cannot be given with --seed")):
        done = call(*arguments)
        assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1
