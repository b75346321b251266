"""The training loop: the same run twice, honest splits, and what a run leaves behind."""

import json
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

import vitnp
from vitnp import data, params, vit
from vitnp.analysis import evaluation
from vitnp.checkpoint import native
from vitnp.parallel import lanes
from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe
from vitnp.training import labels, loop, steps

QUICK = Recipe(model="micro/4", epochs=2, batch_size=50, warmup_epochs=1, dropout=0.1,
               stochastic_depth=0.1, pooling="token")


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    """Let every run here train on 130 digits."""
    digits = data.load("digits")
    few = replace(digits, train_images=digits.train_images[:130],
                  train_labels=digits.train_labels[:130])
    monkeypatch.setattr(data, "load", lambda *arguments: few)
    return few


def weights(folder):
    return native.load(folder / "checkpoint.safetensors")[0]


def test_same_seed_gives_the_same_bits_and_another_seed_does_not(tmp_path):
    first, _, score = loop.train(QUICK, tmp_path / "a")
    second, _, again = loop.train(QUICK, tmp_path / "b")
    other, _, _ = loop.train(replace(QUICK, seed=1), tmp_path / "c")
    assert (first / "best.safetensors").read_bytes() == (second / "best.safetensors").read_bytes()
    for name, tensor in weights(first).items():
        np.testing.assert_array_equal(tensor, weights(second)[name])
    assert score.loss == again.loss
    assert any((weights(first)[name] != weights(other)[name]).any() for name in weights(first))


def test_the_test_part_has_no_influence_on_the_weights(tmp_path, monkeypatch, few_images):
    honest, _, _ = loop.train(QUICK, tmp_path / "a")
    garbage = replace(few_images, test_images=few_images.test_images[:7] * 0,
                      test_labels=few_images.test_labels[:7])
    monkeypatch.setattr(data, "load", lambda *arguments: garbage)
    other, _, score = loop.train(QUICK, tmp_path / "b")
    assert score.confusion.sum() == 7
    for name, tensor in weights(honest).items():
        np.testing.assert_array_equal(tensor, weights(other)[name])


def test_fewer_training_images_are_among_more(tmp_path, monkeypatch, few_images):
    training_part, _ = data.split_validation(few_images.train_labels)
    step = steps.train_step
    for count in (20, 60, 117, None):
        seen = []
        monkeypatch.setattr(steps, "train_step", lambda state, trained, images, labels, *others,
                            seen=seen: seen.extend(labels) or step(state, trained, images, labels,
                                                                   *others))
        recipe = replace(QUICK, epochs=1, train_images=count, label_smoothing=0.0)
        loop.train(recipe, tmp_path / f"{count}")
        assert sorted(seen) == sorted(few_images.train_labels[training_part[:count]])
    with pytest.raises(vitnp.Error, match="--train-images is 118, but there are 117 images to"):
        loop.train(replace(QUICK, train_images=118), tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_validation_images_are_never_trained_on(tmp_path, monkeypatch, few_images):
    seen = []
    step = steps.train_step

    def spy(state, trained, images, labels, *others):
        seen.extend(image.tobytes() for image in images)
        return step(state, trained, images, labels, *others)

    monkeypatch.setattr(steps, "train_step", spy)
    loop.train(replace(QUICK, crop_padding=0, rotate=0.0, rescale=0.0), tmp_path / "run")
    train, validation = data.split_validation(few_images.train_labels)
    images = few_images.train_images
    assert len(seen) == 2 * len(train) == 2 * 117
    assert set(seen) == {images[i].tobytes() for i in train}
    assert not set(seen) & {images[i].tobytes() for i in validation}


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_what_is_validated_is_the_held_out_part_with_the_weights_that_are_kept(
        tmp_path, few_images, ema):
    folder, _, _ = loop.train(replace(QUICK, ema=ema), tmp_path / "run")
    _, validation = data.split_validation(few_images.train_labels)
    score = evaluation.score(vitnp.load(folder), few_images.train_images, few_images.train_labels,
                             validation)
    record = run_folder.read_metrics(folder)[-2]
    assert record["epoch"] == 2 and record["validation_loss"] == pytest.approx(score.loss, rel=1e-6)
    assert record["validation_accuracy"] == score.accuracy


def test_the_best_of_the_epochs_is_tested_and_not_the_last(tmp_path, monkeypatch, few_images):
    accuracies = iter([0.9, 0.1])
    monkeypatch.setattr(labels.evaluation, "score", lambda *given, world: SimpleNamespace(
        loss=1.0, accuracy=next(accuracies)))
    folder, _, score = loop.train(QUICK, tmp_path / "run")
    tested = [evaluation.score_of(evaluation.logits_of(vitnp.load(folder, which),
                                                       few_images.test_images),
                                  few_images.test_labels).loss for which in ("best", "last")]
    assert run_folder.read_metrics(folder)[-1]["best_epoch"] == 1
    assert score.loss == pytest.approx(tested[0], rel=1e-6)
    assert abs(score.loss - tested[1]) > 1e-3


def test_what_a_run_leaves_behind(tmp_path):
    folder, trained, score = loop.train(QUICK, tmp_path / "run")
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.safetensors", "checkpoint.safetensors", "config.json", "confusion.png", "curves.png",
        "metrics.jsonl", "mistakes.png", "previous.safetensors"]
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    *epochs, last = [json.loads(line) for line in lines]
    assert [record["epoch"] for record in epochs] == [1, 2]
    assert [record["step"] for record in epochs] == [3, 6]      # 117 images in batches of 50
    best = max(epochs, key=lambda record: (record["validation_accuracy"], record["epoch"]))
    assert last == {"test_loss": score.loss, "test_accuracy": score.accuracy, "test_images": 360,
                    "best_epoch": best["epoch"]}
    config = run_folder.read_config(folder)
    assert Recipe(**config["recipe"]) == replace(QUICK, micro_batch=25, ops="textbook")
    loaded = vitnp.load(folder, "best")
    assert loaded.config == trained.config and loaded.class_names == tuple("0123456789")
    digits = data.load("digits")
    again = evaluation.score(loaded, digits.test_images, digits.test_labels)
    assert again.loss == score.loss


def prepare(recipe=QUICK, dtype=np.float64):
    """Return (state, model) before the first step, in float64 and with a head that is not zero."""
    config, preprocess = recipe.configure(data.load("digits"))
    state = steps.start(config, recipe.seed, np)
    buffers = (state.params, state.gradients, state.moment1, state.moment2)
    state = steps.State(*(buffer.astype(dtype) for buffer in buffers))
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
    expected_norm = np.sqrt(sum((g * g).sum() for g in gradients.values()))
    assert expected_norm > 0.2
    state.gradients[:] = 1e3                                    # left over from an earlier step
    _, _, norm, rate = steps.train_step(state, trained, images, labels, recipe, 3)
    assert rate == recipe.learning_rate and state.step == 1
    assert abs(expected_norm - norm) < 1e-9
    for path, array in params.flatten(trained.params).items():
        g = gradients[path] * (0.1 / expected_norm)
        decay = 0.5 if path.endswith("/weight") else 0.0
        moved = g / (np.abs(g) + 1e-8) + decay * before[path]
        if path.endswith("qkv/bias"):
            continue                                            # the key third is rounding alone
        np.testing.assert_allclose(array, before[path] - rate * moved, rtol=0, atol=1e-9)


def test_masks_differ_from_step_to_step(few_images):
    recipe = replace(QUICK, dropout=0.5, learning_rate=1e-12)
    state, trained = prepare(recipe)
    images, labels = few_images.train_images[:8], few_images.train_labels[:8]
    losses = [steps.train_step(state, trained, images, labels, recipe, 3)[0] for _ in range(2)]
    assert np.abs(losses[0] - losses[1]).max() > 1e-3


def spoil(monkeypatch, number, spoilt):
    """Let spoilt(state, losses) change what the step of this number, from 1, computes."""
    compute = steps.compute_gradients

    def worse(state, *others):
        losses, hits = compute(state, *others)
        if state.step == number - 1:
            losses = spoilt(state, losses)
        return losses, hits

    monkeypatch.setattr(labels, "compute_gradients", worse)


def ruin_the_head(state, losses):
    state.gradients[3] = np.inf
    return losses


@pytest.mark.parametrize(("spoilt", "words"), [
    (lambda state, losses: losses * np.nan, "its loss is nan and the weights are no longer of use"),
    (ruin_the_head, r"its loss is \d.* 1 tensors are not finite \(embedding/projection/weight\)"),
])
def test_what_is_not_finite_stops_the_run_before_it_changes_anything(
        tmp_path, monkeypatch, spoilt, words):
    loop.train(replace(QUICK, epochs=2), tmp_path / "whole")
    states = []
    save = steps.checkpoint_tensors

    def spy(state, config):
        states.append((state.step, state.params.copy()))
        return save(state, config)

    monkeypatch.setattr(steps, "checkpoint_tensors", spy)
    spoil(monkeypatch, 6, spoilt)
    with pytest.raises(vitnp.Error, match=f"step 6 was not taken: {words}.*at the learning rate "
                                          r"\d.*--learning-rate"):
        loop.train(QUICK, tmp_path / "run")
    assert states[-1][0] == 5 and np.isfinite(states[-1][1]).all()
    tensors, facts = native.load(tmp_path / "run" / "checkpoint.safetensors")
    assert facts["step"] == 5 and all(np.isfinite(tensor).all() for tensor in tensors.values())
    assert len(run_folder.read_metrics(tmp_path / "run")) == 1


def test_nothing_is_made_when_the_recipe_does_not_fit_the_data(tmp_path):
    with pytest.raises(vitnp.Error, match="8 x 8 cannot be cut into patches of side 3"):
        loop.train(replace(QUICK, model="micro/3"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_wrong_layer_is_really_used_in_training(tmp_path):
    """`ops` must reach every layer: here a softmax whose weights are uniform."""
    from types import SimpleNamespace

    from vitnp.layers import textbook

    uniform = SimpleNamespace(
        forward=lambda x: (np.full_like(x, 1 / x.shape[-1]), None),
        backward=lambda dy, cache: 0 * dy)
    folder, _, _ = loop.train(QUICK, tmp_path / "a", replace(textbook, softmax=uniform))
    tensors = weights(folder)
    keys = tensors["moment1/blocks/0/attention/qkv/weight"][:, :64]
    assert (keys == 0).all()
