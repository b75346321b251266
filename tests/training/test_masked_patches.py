"""Pre-training without labels: its objective, its resumption, and what is fine-tuned from it."""

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
from vitnp.training import loop, masked_patches, steps
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


def pretrained(recipe, out):
    """Return the folder of a finished run."""
    return loop.train(recipe, out, objective=masked_patches)[0]


def prepare(recipe):
    return loop.prepare(recipe, objective=masked_patches)


def step(run, state, images):
    """Take a step on the corrupted images."""
    rng = np.random.default_rng(state.step)
    corruption = masked.corrupt(len(images), 16, rng, backend.get_xp(images))
    return steps.train_step(state, run.trained, images, corruption, run.recipe, run.steps,
                            masked_patches.compute_gradients)


def tensors(folder, name="checkpoint"):
    return native.load(folder / f"{name}.safetensors")[0]


def assert_equal(one, other):
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_labels_have_no_influence_and_threads_change_no_bit(tmp_path, monkeypatch, few_images):
    first = pretrained(replace(RECIPE, micro_batch=8), tmp_path / "a")
    shuffled = replace(few_images, train_labels=few_images.train_labels[::-1].copy())
    monkeypatch.setattr(data, "load", lambda *arguments: shuffled)
    second = pretrained(replace(RECIPE, micro_batch=8, threads=2), tmp_path / "b")
    assert_equal(tensors(first), tensors(second))


def test_micro_batches_change_roundings_alone(tmp_path):
    """Without dropout, which is drawn for each of them."""
    plain = replace(RECIPE, dropout=0.0, stochastic_depth=0.0)
    whole = tensors(pretrained(replace(plain, micro_batch=30), tmp_path / "d"))
    parts = tensors(pretrained(replace(plain, micro_batch=7), tmp_path / "e"))
    for name, tensor in whole.items():
        np.testing.assert_allclose(parts[name], tensor, atol=2e-4, err_msg=name)


def test_it_learns_colours(tmp_path):
    """The 104 patches of the validation part that it does not see are few: the loss tells more."""
    recipe = replace(RECIPE, epochs=40, dropout=0.0, stochastic_depth=0.0, ema=0.0)
    records = run_folder.read_metrics(pretrained(recipe, tmp_path / "run"))
    first, last = records[0], records[-1]
    assert last["validation_loss"] < 0.75 * first["validation_loss"] < 1.1 * np.log(8)
    assert last["validation_accuracy"] > first["validation_accuracy"] + 0.03


def records_of(folder):
    """Return the metrics of a run, without what its pace was."""
    return [{key: value for key, value in record.items()
             if "second" not in key and key != "waiting"}
            for record in run_folder.read_metrics(folder)]


@pytest.mark.parametrize("last_step", [2, 6, 8, 13])
def test_a_run_stopped_within_an_epoch_goes_on_to_the_bit(tmp_path, monkeypatch, last_step):
    whole = pretrained(RECIPE, tmp_path / "whole")
    take = steps.train_step

    def stop(state, *others):
        if state.step == last_step - 1:
            signal.raise_signal(signal.SIGTERM)
        return take(state, *others)

    monkeypatch.setattr(steps, "train_step", stop)
    with pytest.raises(Stopped, match=f"stopped after step {last_step}; .*vitnp.pretrain --resume"):
        pretrained(RECIPE, tmp_path / "stopped")
    monkeypatch.setattr(steps, "train_step", take)
    loop.resume(tmp_path / "stopped", {"threads": 2}, objective=masked_patches)
    for name in ("checkpoint", "best"):
        assert_equal(tensors(whole, name), tensors(tmp_path / "stopped", name))
    assert records_of(whole) == records_of(tmp_path / "stopped")
    assert len(records_of(whole)) == 3


def test_patience_and_the_best_by_validation_are_as_with_labels(tmp_path, monkeypatch):
    accuracies = iter([0.3, 0.5, 0.2, 0.1])
    monkeypatch.setattr(masked_patches, "validate", lambda run: (1.0, next(accuracies)))
    folder = pretrained(replace(RECIPE, epochs=9, patience=2), tmp_path / "run")
    assert len(records_of(folder)) == 4
    best = native.load(folder / "best.safetensors")[1]
    assert best["epoch"] == 2 and best["validation_accuracy"] == 0.5


def test_a_run_of_the_first_edition_goes_on(tmp_path, monkeypatch):
    """Its checkpoints, one at the end of an epoch, had no sums and no best."""
    whole = pretrained(RECIPE, tmp_path / "whole")
    folder = tmp_path / "old"
    pretrained(replace(RECIPE, epochs=3), folder)
    records = run_folder.read_metrics(folder)
    last, facts = native.load(folder / "previous.safetensors")
    assert facts["step"] == 15          # the end, before the curves were drawn
    config = run_folder.read_config(folder)
    assert config["model"] == run_folder.read_config(whole)["model"]
    facts = {key: value for key, value in facts.items() if key != "standing"}
    native.save(folder / "checkpoint.safetensors", last, facts)
    (folder / "curves.png").unlink()
    loop.resume(folder, objective=masked_patches)
    assert (folder / "curves.png").exists() and run_folder.read_metrics(folder) == records
    assert_equal(tensors(whole), tensors(folder))


def test_the_run_is_a_checkpoint_of_the_plain_network(tmp_path, few_images):
    folder = pretrained(RECIPE, tmp_path / "run")
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
    run, state = prepare(RECIPE)
    state.params[:] = 0.2 * np.random.default_rng(0).standard_normal(state.params.size)
    images = few_images.train_images[:10]
    corruption = masked.corrupt(10, 16, np.random.default_rng(1))
    gradients = params.views(state.gradients, masked.shapes(run.trained.config))
    losses, hits = masked_patches.loss_and_gradients(run.trained, images, corruption, gradients,
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
    weights, results = [], []
    for device in ("cpu", "gpu"):
        recipe = replace(RECIPE, device=device, dropout=0.0, stochastic_depth=0.0)
        run, state = prepare(recipe)
        xp = backend.get_xp(state.params)
        for i in range(3):
            images = backend.to_device(few_images.train_images[20 * i:20 * i + 20], xp)
            step(run, state, images)
        weights.append(to_host(state.params))
        results.append(masked_patches.validate(run))
    np.testing.assert_allclose(results[1], results[0], rtol=1e-5)
    np.testing.assert_allclose(weights[1], weights[0], atol=1e-6)


def test_a_step_that_is_not_finite_changes_nothing(few_images):
    run, state = prepare(RECIPE)
    state.params[:5] = np.nan
    before = state.params.copy()
    with pytest.raises(steps.NotFinite):
        step(run, state, few_images.train_images[:9])
    np.testing.assert_array_equal(state.params, before)
    assert state.step == 0


def test_patches_that_were_kept_are_not_validated(few_images, monkeypatch):
    """Their colours are there to be seen: a network that copies them would look good."""
    run, state = prepare(RECIPE)
    state.params[:] = 0.2 * np.random.default_rng(0).standard_normal(state.params.size)
    run.averaged.params["norm"]["gamma"][:] = 1.0
    corrupt, seen = masked.corrupt, []

    def all_kept_but_one(*arguments):
        found = corrupt(*arguments)
        hidden = np.zeros_like(found.hidden)
        hidden[0, found.chosen[0, 0]] = True
        seen.append(found._replace(source=np.broadcast_to(np.arange(16), hidden.shape),
                                   hidden=hidden))
        return seen[-1]

    monkeypatch.setattr(masked, "corrupt", all_kept_but_one)
    loss, accuracy = masked_patches.validate(run)
    targets, logits, _ = masked_patches.predict(
        run.averaged, few_images.train_images[run.validation], seen[0])
    expected, _ = textbook.cross_entropy.forward(logits[0, :1], targets[0, :1])
    assert loss == pytest.approx(float(expected[0]), rel=1e-5) and accuracy in (0.0, 1.0)


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("vitnp.parallel.lanes.prepare_process", lambda: None)
    options = ["--model", "micro/2", "--epochs", "1", "--out", str(tmp_path / "run")]
    assert pretrain.main(options) == 0
    score, folder = capsys.readouterr().out.splitlines()
    assert folder == str(tmp_path / "run") and "of the corrupted patches have the right" in score
    assert (tmp_path / "run" / "curves.png").exists()
    assert pretrain.main(["--resume", folder]) == 0
    assert capsys.readouterr().out.splitlines() == [score, folder]
    for wrong, words in ((["--resume", folder, "--epochs", "3"], "can be given, not --epochs"),
                         (["--label-smoothing", "0.1"], "unrecognized arguments: --label-smooth"),
                         (["--model", "resnet-8"], "is for Vision Transformers, not for"),
                         (["--resume", str(tmp_path)], "is no run folder")):
        with pytest.raises(vitnp.Error, match=words):
            pretrain.main(wrong)


def test_a_run_with_labels_is_not_gone_on_with(tmp_path):
    folder, _, _ = loop.train(replace(RECIPE, epochs=1), tmp_path / "run")
    with pytest.raises(vitnp.Error, match="was trained with labels; .*vitnp.train --resume"):
        loop.resume(folder, objective=masked_patches)
    without = pretrained(replace(RECIPE, epochs=1), tmp_path / "masked")
    with pytest.raises(vitnp.Error, match="was trained without labels; .*vitnp.pretrain --resume"):
        loop.resume(without)
