"""The parts of a step that fine-tuning needs: SGD, rates that fall with depth, a linear probe."""

from dataclasses import replace

import numpy as np
import pytest

from vitnp import ViTConfig, params, vit
from vitnp.data.preprocess import Preprocess
from vitnp.model import Model
from vitnp.parallel import lanes
from vitnp.runs.recipe import Recipe
from vitnp.training import steps

CONFIG = ViTConfig(image_size=8, patch_size=4, channels=1, width=12, depth=3, heads=3, mlp_width=10,
                   classes=5, pooling="token", dropout=0.3)
SHAPES = vit.shapes(CONFIG)
rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (7, 8, 8, 1), np.uint8)
LABELS = rng.integers(0, 5, 7)
RECIPE = Recipe(epochs=1, batch_size=7, learning_rate=0.1, warmup_epochs=0, weight_decay=0.0,
                label_smoothing=0.0, clip_norm=0.0)


def started(optimizer="adamw", config=CONFIG):
    """Return (state, model) with random weights in float64."""
    flat = np.random.default_rng(1).standard_normal(sum(map(np.prod, SHAPES.values())))
    state = steps.start_from(flat, optimizer)
    tree = params.views(state.params, SHAPES)
    return state, Model(config, tree, Preprocess((8, 8), (0.5,), (0.5,)))


def test_a_step_of_sgd_goes_down_the_gradient_and_keeps_its_momentum():
    recipe = replace(RECIPE, optimizer="sgd", epochs=1000)
    config = replace(CONFIG, dropout=0.0)
    state, model = started("sgd", config)
    assert set(state.buffers()) == {"params", "moment1"}
    momentum, expected = 0.0, state.params.copy()
    for _ in range(3):
        _, gradients = model.loss_and_gradients(IMAGES, LABELS)
        flat = np.concatenate([params.flatten(gradients)[path].ravel() for path in SHAPES])
        momentum = 0.9 * momentum + flat
        _, _, _, rate = steps.train_step(state, model, IMAGES, LABELS, recipe, 1)
        expected = expected - rate * momentum
        np.testing.assert_allclose(state.params, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_average_follows_the_weights_sooner_in_the_first_steps(optimizer):
    """Of the gradients, or of the weights before the step, it would look as smooth."""
    recipe = replace(RECIPE, optimizer=optimizer, ema=0.2, epochs=1000)
    flat = np.random.default_rng(1).standard_normal(sum(map(np.prod, SHAPES.values())))
    state = steps.start_from(flat, optimizer, averaged=True)
    model = Model(CONFIG, params.views(state.params, SHAPES), Preprocess((8, 8), (0.5,), (0.5,)))
    expected = state.params.copy()
    for old in (1 / 10, 2 / 11, 0.2):                   # step / (step + 9), at most ema
        steps.train_step(state, model, IMAGES, LABELS, recipe, 1)
        expected = old * expected + (1 - old) * state.params
        np.testing.assert_allclose(state.average, expected, rtol=0, atol=1e-12)


def test_groups_cover_everything_once_and_decay_the_matrices_alone():
    places = params.slices(SHAPES)
    for layer_decay in (1.0, 0.5):
        found = steps.groups(CONFIG, 0.1, layer_decay)
        assert [part.start for part, _, _ in found[1:]] == [part.stop for part, _, _ in found[:-1]]
        assert found[0][0].start == 0 and found[-1][0].stop == max(p.stop for p in places.values())
        for path, place in places.items():
            group = next(g for g in found if g[0].start <= place.start < g[0].stop)
            assert group[0].stop >= place.stop
            assert group[2] == (0.1 if path.endswith("/weight") else 0.0)
    assert len(steps.groups(CONFIG, 0.1)) == 2


@pytest.mark.parametrize(("path", "expected"), [
    ("head/weight", 1.0), ("norm/gamma", 1.0), ("blocks/2/mlp/in/weight", 0.5),
    ("blocks/0/norm1/beta", 0.125), ("embedding/projection/weight", 0.0625),
    ("embedding/position", 0.0625),
])
def test_rates_fall_from_block_to_block(path, expected):
    place = params.slices(SHAPES)[path]
    found = [multiplier for part, multiplier, _ in steps.groups(CONFIG, 0.1, 0.5)
             if part.start <= place.start < part.stop]
    assert found == [expected]


def test_a_linear_probe_changes_the_head_alone_and_runs_no_backward_of_a_block(monkeypatch):
    """Weight decay and the moving average must leave the rest alone too; its dropout is off."""
    recipe = replace(RECIPE, init_from="somewhere", tune="head", weight_decay=0.1)
    state, model = started()
    monkeypatch.setattr(vit, "backward", None)
    monkeypatch.setattr(vit, "encode_backward", None)
    before, head = state.params.copy(), params.slices(SHAPES)
    for _ in range(2):
        steps.train_step(state, model, IMAGES, LABELS, recipe, 1)
    changed = {path for path, place in head.items()
               if (state.params[place] != before[place]).any()}
    assert changed == {"head/weight", "head/bias"}


def test_the_gradients_of_a_linear_probe_are_those_of_the_whole_network():
    config = replace(CONFIG, dropout=0.0)
    _, model = started(config=config)
    images = model.preprocess.scale(IMAGES, np.float64)
    buffers = [params.allocate(SHAPES, np.float64, np) for _ in range(2)]
    results = [lanes.loss_and_gradients(images, LABELS, model.params, params.views(buffer, SHAPES),
                                        config, micro_batch=3, head_only=head_only)
               for buffer, head_only in zip(buffers, (False, True), strict=True)]
    for place in (params.slices(SHAPES)[path] for path in ("head/weight", "head/bias")):
        np.testing.assert_allclose(buffers[1][place], buffers[0][place], rtol=1e-12)
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-12)
