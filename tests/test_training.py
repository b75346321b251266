"""The training loop: the same run twice, honest splits, and what a run leaves behind."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import vitnp
from vitnp import data, evaluation, lanes, params, runs, training, vit
from vitnp.checkpoint import native
from vitnp.recipe import Recipe

QUICK = Recipe(model="micro/4", epochs=2, batch_size=50, warmup_epochs=1, dropout=0.1,
               stochastic_depth=0.1, pooling="token")


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    """Let every run here train on 130 digits."""
    digits = data.load("digits")
    few = replace(digits, train_images=digits.train_images[:130],
                  train_labels=digits.train_labels[:130])
    monkeypatch.setattr(data, "load", lambda name, data_dir=None: few)
    return few


def weights(folder):
    return native.load(folder / "checkpoint.safetensors")[0]


def test_same_seed_gives_the_same_bits_and_another_seed_does_not(tmp_path):
    first, _, score = training.train(QUICK, tmp_path / "a")
    second, _, again = training.train(QUICK, tmp_path / "b")
    other, _, _ = training.train(replace(QUICK, seed=1), tmp_path / "c")
    assert (first / "checkpoint.safetensors").read_bytes() == (
        second / "checkpoint.safetensors").read_bytes()
    assert score.loss == again.loss
    assert any((weights(first)[name] != weights(other)[name]).any() for name in weights(first))


def test_the_test_part_has_no_influence_on_the_weights(tmp_path, monkeypatch, few_images):
    honest, _, _ = training.train(QUICK, tmp_path / "a")
    garbage = replace(few_images, test_images=few_images.test_images[:7] * 0,
                      test_labels=few_images.test_labels[:7])
    monkeypatch.setattr(data, "load", lambda name, data_dir=None: garbage)
    other, _, score = training.train(QUICK, tmp_path / "b")
    assert score.confusion.sum() == 7
    for name, tensor in weights(honest).items():
        np.testing.assert_array_equal(tensor, weights(other)[name])


def test_validation_images_are_never_trained_on(tmp_path, monkeypatch, few_images):
    seen = []
    step = training.train_step

    def spy(state, trained, images, labels, *others):
        seen.extend(image.tobytes() for image in images)
        return step(state, trained, images, labels, *others)

    monkeypatch.setattr(training, "train_step", spy)
    training.train(replace(QUICK, crop_padding=0, rotate=0.0, rescale=0.0), tmp_path / "run")
    train, validation = data.split_validation(few_images.train_labels)
    images = few_images.train_images
    assert len(seen) == 2 * len(train) == 2 * 117
    assert set(seen) == {images[i].tobytes() for i in train}
    assert not set(seen) & {images[i].tobytes() for i in validation}


def test_what_a_run_leaves_behind(tmp_path):
    folder, trained, score = training.train(QUICK, tmp_path / "run")
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint.safetensors", "config.json", "curves.png", "metrics.jsonl"]
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    *epochs, last = [json.loads(line) for line in lines]
    assert [record["epoch"] for record in epochs] == [1, 2]
    assert [record["step"] for record in epochs] == [3, 6]      # 117 images in batches of 50
    assert last == {"test_loss": score.loss, "test_accuracy": score.accuracy}
    config = runs.read_config(folder)
    assert Recipe(**config["recipe"]) == replace(QUICK, micro_batch=25)
    loaded = vitnp.load(folder)
    assert loaded.config == trained.config and loaded.class_names == tuple("0123456789")
    digits = data.load("digits")
    again = evaluation.score(loaded, digits.test_images, digits.test_labels)
    assert again.loss == score.loss


def prepare(recipe=QUICK, dtype=np.float64):
    """Return (state, model) before the first step, in float64 and with a head that is not zero."""
    config, preprocess = recipe.configure(data.load("digits"))
    state = training.start(config, recipe.seed, np)
    buffers = (state.params, state.gradients, state.moment1, state.moment2)
    state = training.State(*(buffer.astype(dtype) for buffer in buffers))
    tree = params.views(state.params, vit.shapes(config))
    tree["head"]["weight"][:] = np.random.default_rng(0).standard_normal((32, 10))
    return state, vitnp.Model(config, tree, preprocess)


def test_gradients_of_parts_of_a_batch_add_up_to_those_of_the_whole(few_images):
    """The mean over a short last batch, or over micro-batches, must not weigh images unequally."""
    _, trained = prepare()
    shapes = vit.shapes(trained.config)
    images = trained.preprocess.scale(few_images.train_images[:9], np.float64)
    labels = few_images.train_labels[:9]
    buffers = []
    for cuts in ([0, 9], [0, 2, 9]):
        total = params.allocate(shapes, np.float64, np)
        for start, stop in pairwise(cuts):
            part = params.allocate(shapes, np.float64, np)
            lanes.loss_and_gradients(images[start:stop], labels[start:stop], trained.params,
                                     params.views(part, shapes), trained.config)
            total += part * (stop - start) / 9
        buffers.append(total)
    assert np.abs(buffers[0] - buffers[1]).max() < 1e-13


def test_a_step_follows_the_gradient_of_the_smoothed_loss_with_clipping_and_decay(few_images):
    """Puts the parts together by hand: clip, rate of the schedule, decay of matrices alone."""
    recipe = replace(QUICK, dropout=0.0, stochastic_depth=0.0, clip_norm=0.1, weight_decay=0.5,
                     warmup_epochs=0)
    state, trained = prepare(recipe)
    before = {path: a.copy() for path, a in params.flatten(trained.params).items()}
    images, labels = few_images.train_images[:8], few_images.train_labels[:8]
    _, gradients = trained.loss_and_gradients(images, labels, recipe.label_smoothing)
    gradients = params.flatten(gradients)
    norm = np.sqrt(sum((g * g).sum() for g in gradients.values()))
    assert norm > 0.2
    state.gradients[:] = 1e3                                    # left over from an earlier step
    _, _, rate = training.train_step(state, trained, images, labels, recipe, 3)
    assert rate == recipe.learning_rate and state.step == 1
    for path, array in params.flatten(trained.params).items():
        g = gradients[path] * (0.1 / norm)
        decay = 0.5 if path.endswith("/weight") else 0.0
        moved = g / (np.abs(g) + 1e-8) + decay * before[path]
        if path.endswith("qkv/bias"):
            continue                                            # the key third is rounding alone
        np.testing.assert_allclose(array, before[path] - rate * moved, rtol=0, atol=1e-9)


def test_masks_differ_from_step_to_step(few_images):
    recipe = replace(QUICK, dropout=0.5, learning_rate=1e-12)
    state, trained = prepare(recipe)
    images, labels = few_images.train_images[:8], few_images.train_labels[:8]
    losses = [training.train_step(state, trained, images, labels, recipe, 3)[0] for _ in range(2)]
    assert np.abs(losses[0] - losses[1]).max() > 1e-3


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(
        tmp_path, monkeypatch):
    step = training.train_step

    def spoilt(state, *others):
        losses, hits, rate = step(state, *others)
        return (losses * np.nan if state.step == 5 else losses), hits, rate

    monkeypatch.setattr(training, "train_step", spoilt)
    with pytest.raises(vitnp.Error, match="the loss is nan at step 6.*learning-rate"):
        training.train(QUICK, tmp_path / "run")
    assert vitnp.load(tmp_path / "run").config.classes == 10
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1


def test_nothing_is_made_when_the_recipe_does_not_fit_the_data(tmp_path):
    with pytest.raises(vitnp.Error, match="8 x 8 cannot be cut into patches of side 3"):
        training.train(replace(QUICK, model="micro/3"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_wrong_layer_is_really_used_in_training(tmp_path):
    """`ops` must reach every layer: here a softmax whose weights are uniform."""
    from types import SimpleNamespace

    from vitnp.layers import textbook

    uniform = SimpleNamespace(
        forward=lambda x: (np.full_like(x, 1 / x.shape[-1]), None),
        backward=lambda dy, cache: 0 * dy)
    folder, _, _ = training.train(QUICK, tmp_path / "a", replace(textbook, softmax=uniform))
    tensors = weights(folder)
    keys = tensors["moment1/blocks/0/attention/qkv/weight"][:, :64]
    assert (keys == 0).all()
