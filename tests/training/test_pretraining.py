"""Pre-training without labels: the loop, its resumption, and what is fine-tuned from it."""

import signal
from dataclasses import replace

import numpy as np
import pytest
import strict_cupy

import vitnp
from vitnp import backend, data, model, params, pretrain
from vitnp.backend import to_host
from vitnp.checkpoint import native
from vitnp.layers import textbook
from vitnp.networks import masked
from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe
from vitnp.training import loop, pretraining
from vitnp.training.signals import Stopped

RECIPE = Recipe(model="micro/2", epochs=3, batch_size=30, warmup_epochs=1, ema=0.9, threads=1,
                dropout=0.1, stochastic_depth=0.1, learning_rate=1e-3, ops="textbook")


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    """Let every run here train on 135 digits."""
    digits = data.load("digits")
    few = replace(digits, train_images=digits.train_images[:150],
                  train_labels=digits.train_labels[:150], test_images=digits.test_images[:20],
                  test_labels=digits.test_labels[:20])
    monkeypatch.setattr(data, "load", lambda *arguments: few)
    return few


def tensors(folder, name="checkpoint"):
    return native.load(folder / f"{name}.safetensors")[0]


def assert_equal(one, other):
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_labels_have_no_influence_and_threads_change_no_bit(tmp_path, monkeypatch, few_images):
    first = pretraining.pretrain(replace(RECIPE, micro_batch=8), tmp_path / "a")
    shuffled = replace(few_images, train_labels=few_images.train_labels[::-1].copy())
    monkeypatch.setattr(data, "load", lambda *arguments: shuffled)
    second = pretraining.pretrain(replace(RECIPE, micro_batch=8, threads=2), tmp_path / "b")
    assert_equal(tensors(first), tensors(second))


def test_micro_batches_change_roundings_alone(tmp_path):
    """Without dropout, which is drawn for each of them."""
    plain = replace(RECIPE, dropout=0.0, stochastic_depth=0.0)
    whole = tensors(pretraining.pretrain(replace(plain, micro_batch=30), tmp_path / "d"))
    parts = tensors(pretraining.pretrain(replace(plain, micro_batch=7), tmp_path / "e"))
    for name, tensor in whole.items():
        np.testing.assert_allclose(parts[name], tensor, atol=2e-4, err_msg=name)


def test_it_learns_colours(tmp_path):
    recipe = replace(RECIPE, epochs=40, dropout=0.0, stochastic_depth=0.0, ema=0.0)
    records = run_folder.read_metrics(pretraining.pretrain(recipe, tmp_path / "run"))
    first, last = records[0], records[-1]
    assert last["validation_loss"] < 0.8 * first["validation_loss"] < 1.1 * np.log(8)
    assert last["validation_accuracy"] > first["validation_accuracy"] + 0.05


def test_a_stopped_run_goes_on_to_the_bit(tmp_path, monkeypatch):
    whole = pretraining.pretrain(RECIPE, tmp_path / "whole")
    step = pretraining.step

    def stop_at_seven(run, state, *others):
        if state.step == 6:
            signal.raise_signal(signal.SIGTERM)
        return step(run, state, *others)

    monkeypatch.setattr(pretraining, "step", stop_at_seven)
    with pytest.raises(Stopped, match="stopped in epoch 2; to go on .* --resume"):
        pretraining.pretrain(RECIPE, tmp_path / "stopped")
    assert tensors(tmp_path / "stopped")
    monkeypatch.setattr(pretraining, "step", step)
    pretraining.resume(tmp_path / "stopped")
    assert_equal(tensors(whole), tensors(tmp_path / "stopped"))
    assert_equal(tensors(whole, "best"), tensors(tmp_path / "stopped", "best"))
    kept = [[{key: value for key, value in record.items() if "second" not in key}
             for record in run_folder.read_metrics(folder)]
            for folder in (whole, tmp_path / "stopped")]
    assert kept[0] == kept[1] and len(kept[0]) == 3


def test_the_run_is_a_checkpoint_of_the_plain_network(tmp_path, few_images):
    folder = pretraining.pretrain(RECIPE, tmp_path / "run")
    found = model.load(folder, "best")
    assert type(found.config) is vitnp.ViTConfig and found.config.classes is None
    average = {name.removeprefix("masked/ema/"): tensor for name, tensor in tensors(folder).items()
               if name.startswith("masked/ema/")}
    for path, tensor in params.flatten(found.params).items():
        np.testing.assert_array_equal(tensor, average[path])
    assert found.features(few_images.test_images).shape == (20, 32)
    tuned = Recipe(init_from=str(folder), epochs=1, batch_size=30, threads=1, train_images=40)
    _, trained, _ = loop.train(tuned, tmp_path / "tuned")
    assert trained.config.classes == 10


def test_the_loss_is_the_mean_over_all_corrupted_patches(few_images):
    run, state = pretraining.prepare(RECIPE)
    state.params[:] = 0.2 * np.random.default_rng(0).standard_normal(state.params.size)
    images = few_images.train_images[:10]
    corruption = masked.corrupt(10, 16, np.random.default_rng(1))
    gradients = params.views(state.gradients, masked.shapes(run.trained.config))
    losses, hits = pretraining.loss_and_gradients(run.trained, images, corruption, gradients,
                                                  micro_batch=4)
    scaled = run.trained.preprocess.scale(images)
    logits, cache = masked.forward(scaled, corruption, run.trained.params, run.trained.config)
    targets = masked.colours(images, 2)[np.arange(10)[:, None], corruption.chosen]
    expected, loss_cache = textbook.cross_entropy.forward(logits.reshape(80, 8),
                                                          targets.reshape(80))
    np.testing.assert_allclose(losses.reshape(80), expected, rtol=1e-5)
    np.testing.assert_array_equal(hits, logits.argmax(axis=2) == targets)
    dlogits = textbook.cross_entropy.backward(np.full(80, 1 / 80, np.float32), loss_cache)
    wanted = params.flatten(masked.backward(dlogits.reshape(10, 8, 8), cache))
    for path, gradient in params.flatten(gradients).items():
        np.testing.assert_allclose(gradient, wanted[path], rtol=1e-4, atol=1e-6)


def test_steps_on_a_gpu_give_what_they_give_on_the_cpu(monkeypatch, few_images):
    monkeypatch.setattr(backend, "load_cupy", lambda: strict_cupy)
    weights = []
    for device in ("cpu", "gpu"):
        recipe = replace(RECIPE, device=device, dropout=0.0, stochastic_depth=0.0)
        run, state = pretraining.prepare(recipe)
        xp = backend.get_xp(state.params)
        for i in range(3):
            images = backend.to_device(few_images.train_images[20 * i:20 * i + 20], xp)
            pretraining.step(run, state, images, 0, i)
        weights.append(to_host(state.params))
        result = pretraining.validate(run)
        assert result.count == 15 * 8
    np.testing.assert_allclose(weights[1], weights[0], atol=1e-6)


def test_a_step_that_is_not_finite_changes_nothing(few_images):
    run, state = pretraining.prepare(RECIPE)
    state.params[:5] = np.nan
    before = state.params.copy()
    with pytest.raises(vitnp.Error, match="step 1 was not taken: .* smaller --learning-rate"):
        pretraining.step(run, state, few_images.train_images[:9], 0, 0)
    np.testing.assert_array_equal(state.params, before)
    assert state.step == 0


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vitnp.parallel.lanes.prepare_process", lambda: None)
    options = ["--model", "micro/2", "--epochs", "1", "--out", str(tmp_path / "run")]
    assert pretrain.main(options) == 0
    score, folder = capsys.readouterr().out.splitlines()
    assert folder == str(tmp_path / "run") and "of the corrupted patches have the right" in score
    assert (tmp_path / "run" / "curves.png").exists()
    assert pretrain.main(["--resume", folder]) == 0
    assert capsys.readouterr().out.splitlines() == [score, folder]
    for wrong, words in ((["--resume", folder, "--epochs", "3"], "nothing else can be given, not"),
                         (["--label-smoothing", "0.1"], "unrecognized arguments: --label-smooth"),
                         (["--model", "resnet-8"], "is for Vision Transformers, not for"),
                         (["--resume", str(tmp_path)], "is no run folder")):
        with pytest.raises(vitnp.Error, match=words):
            pretrain.main(wrong)


def test_a_run_with_labels_is_not_gone_on_with(tmp_path):
    folder, _, _ = loop.train(replace(RECIPE, epochs=1), tmp_path / "run")
    with pytest.raises(vitnp.Error, match="was trained with labels; .*vitnp.train --resume"):
        pretraining.resume(folder)
    without = pretraining.pretrain(replace(RECIPE, epochs=1), tmp_path / "masked")
    with pytest.raises(vitnp.Error, match="was trained without labels; .*vitnp.pretrain --resume"):
        loop.resume(without)
