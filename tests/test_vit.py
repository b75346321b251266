"""The whole network: its pieces, its initial values, and what must not change the result."""

from dataclasses import replace

import numpy as np
import pytest

from vitnp import params, vit
from vitnp.config import ViTConfig
from vitnp.gradcheck import cases
from vitnp.layers import textbook

POOLINGS = ("token", "gap", "avg")


def network(seed=0, **changes):
    """Return (config, random float64 tree, three images)."""
    config = replace(cases.SIZES, **changes)
    rng = np.random.default_rng(seed)
    tree = cases.parameters(config, lambda shape: 0.7 * rng.standard_normal(shape))
    return config, tree, rng.standard_normal((3, 6, 4, 5))


def close(a, b, bound=1e-12):
    return np.abs(a - b).max() <= bound * max(1.0, np.abs(b).max())


@pytest.mark.parametrize("pooling", POOLINGS)
def test_one_image_alone_equals_the_same_image_in_a_batch(pooling):
    config, tree, images = network(pooling=pooling)
    together, _ = vit.forward(images, tree, config)
    alone = np.concatenate([vit.forward(image[None], tree, config)[0] for image in images])
    assert close(alone, together)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_all_tokens_false_changes_neither_logits_nor_gradients(pooling):
    config, tree, images = network(pooling=pooling)
    results = []
    for all_tokens in (True, False):
        logits, cache = vit.forward(images, tree, config, all_tokens=all_tokens)
        dimages, gradients = vit.backward(np.cos(logits), cache)
        results.append({"logits": logits, "images": dimages} | params.flatten(gradients))
    assert results[0].keys() == results[1].keys()
    for name, array in results[0].items():
        assert close(results[1][name], array), name


def test_all_tokens_false_computes_one_token_in_the_last_block_only():
    config, tree, images = network(depth=3)
    x, _ = vit.embed(images, tree, config)
    shapes = [x.shape for x, _ in vit.encode(x, tree, config, all_tokens=False)]
    assert [shape[1] for shape in shapes] == [7, 7, 1]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_permuting_patches_with_their_positions_changes_nothing(pooling):
    config, tree, images = network(pooling=pooling)
    order = np.random.default_rng(1).permutation(6)
    patches, shape = textbook.patches.forward(images, 2)
    shuffled = textbook.patches.backward(patches[:, order], shape)
    first = int(config.class_token)
    moved = params.nest(params.flatten(tree))
    position = tree["embedding"]["position"]
    moved["embedding"]["position"] = np.concatenate([position[:first], position[first:][order]])
    assert close(vit.forward(shuffled, moved, config)[0], vit.forward(images, tree, config)[0])
    assert not close(vit.forward(shuffled, tree, config)[0], vit.forward(images, tree, config)[0])


def test_evaluation_twice_is_equal_and_training_with_dropout_is_not():
    config, tree, images = network(dropout=0.5)
    once, twice = (vit.forward(images, tree, config)[0] for _ in range(2))
    np.testing.assert_array_equal(once, twice)
    dropped, _ = vit.forward(images, tree, config, rng=np.random.default_rng(0))
    assert not close(dropped, once)


def test_stochastic_depth_rises_from_zero_to_its_rate_at_the_last_block():
    config, tree, images = network(depth=3, stochastic_depth=0.6)
    rates = []

    class Recorder:
        forward = staticmethod(lambda x, p, config, ops, rng, drop_rate, queries: (
            rates.append(drop_rate), textbook.block.forward(x, p, config, ops))[1])

    vit.forward(images, tree, config, replace(textbook, block=Recorder))
    np.testing.assert_allclose(rates, [0.0, 0.3, 0.6])


@pytest.mark.parametrize("pooling", POOLINGS)
def test_add_hands_over_every_gradient_once_from_last_to_first(pooling):
    config, tree, images = network(pooling=pooling, pre_logits=8)
    logits, cache = vit.forward(images, tree, config)
    _, gradients = vit.backward(np.cos(logits), cache)
    handed = []
    _, nothing = vit.backward(np.cos(logits), cache, lambda *part: handed.append(part))
    assert nothing is None
    names = [name for name, _ in handed]
    assert names == ["head", "pre_logits", "norm", "blocks/1", "blocks/0", "embedding"]
    again = params.flatten(params.nest(params.flatten(dict(handed))))
    expected = params.flatten(gradients)
    assert again.keys() == expected.keys()
    assert all((again[path] == expected[path]).all() for path in expected)


@pytest.mark.parametrize("changes", (
    {}, {"pooling": "gap"}, {"pooling": "avg"}, {"positions": "2d"}, {"positions": "none"},
    {"pre_logits": 8}, {"classes": None}))
def test_gradients_have_exactly_the_shapes_of_the_parameters(changes):
    config, tree, images = network(**changes)
    y, cache = vit.forward(images, tree, config)
    assert y.shape == (3, config.classes or config.width)
    _, gradients = vit.backward(np.ones_like(y), cache)
    found = {path: gradient.shape for path, gradient in params.flatten(gradients).items()}
    assert found == vit.shapes(config)


def test_only_matrices_are_decayed_and_they_come_first():
    config = replace(cases.SIZES, pre_logits=8)
    decayed = [path for path in vit.shapes(config) if vit.is_decayed(path)]
    parts = ["attention/qkv", "attention/out", "mlp/in", "mlp/out"]
    expected = ["embedding/projection/weight"]
    expected += [f"blocks/{i}/{part}/weight" for i in range(2) for part in parts]
    assert decayed == [*expected, "pre_logits/weight", "head/weight"]
    assert list(vit.shapes(config))[:len(decayed)] == decayed


def initial(config):
    flat = vit.init(config, np.random.default_rng(0))
    assert flat.dtype == np.float32
    return params.flatten(params.views(flat, vit.shapes(config)))


def test_initial_values_are_the_authors():
    """Against the statistics of the authors' initial values: kind, bounds and deviation."""
    config = ViTConfig(image_size=32, patch_size=4, width=96, depth=1, heads=3, mlp_width=200,
                       classes=10, pre_logits=50)
    for path, array in initial(config).items():
        if path.endswith("gamma"):
            assert (array == 1).all(), path
        elif "mlp" in path and path.endswith("bias"):
            assert 0.5e-6 < array.std() < 1.5e-6, path
        elif path.endswith(("bias", "beta", "class_token")) or path == "head/weight":
            assert (array == 0).all(), path
        elif path.endswith("position"):
            assert abs(array.std() - 0.02) < 0.001, path
        elif path.startswith("blocks"):
            D, (fan_in, fan_out) = 96, array.shape
            bound = np.sqrt(6 / (2 * D if "qkv" in path else fan_in + fan_out))
            assert 0.98 * bound < np.abs(array).max() <= bound, path
            assert abs(array.std() / (bound / np.sqrt(3)) - 1) < 0.03, path
        else:                                                   # LeCun normal, cut off
            scale = 1 / np.sqrt(array.shape[0])
            assert abs(array.std() / scale - 1) < 0.03, path
            assert np.abs(array).max() <= 2.0 * scale / 0.8796 + 1e-6, path


def test_parts_of_the_packed_qkv_start_different_and_a_seed_gives_one_start():
    config = replace(cases.SIZES, positions="2d")
    first, second = initial(config), initial(config)
    assert all((first[path] == second[path]).all() for path in first)
    q, k, v = np.split(first["blocks/0/attention/qkv/weight"], 3, axis=1)
    assert not (q == k).any() and not (k == v).any()
    assert first["embedding/position_row"].std() > 0 < first["embedding/position_column"].std()
