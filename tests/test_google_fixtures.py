"""The whole network against the authors' code: values, intermediates and every gradient."""

import google_reader
import numpy as np
import pytest

from vitnp import params, vit
from vitnp.layers import textbook

NAMES = ("google_vit_small", "google_vit_small_rep", "google_vit_gap", "google_vit_nonsquare")
PRECISIONS = {"float64": (1e-10, 1e-10), "float32": (1e-5, 2e-5)}      # forward, gradients


def cast(tree, dtype):
    return params.nest({path: a.astype(dtype) for path, a in params.flatten(tree).items()})


def loss_and_gradients(tree, config, images, labels, all_tokens):
    logits, cache = vit.forward(images, tree, config, all_tokens=all_tokens)
    losses, loss_cache = textbook.cross_entropy.forward(logits, labels)
    dlosses = np.full_like(losses, 1 / len(images))
    dimages, gradients = vit.backward(textbook.cross_entropy.backward(dlosses, loss_cache), cache)
    return losses.mean(), dimages, gradients


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", NAMES)
def test_logits_features_and_intermediates(name, dtype):
    config, tree, reference = google_reader.load(name)
    tree, images = cast(tree, dtype), reference["images"].astype(dtype)
    bound = PRECISIONS[dtype][0]
    x, _ = vit.embed(images, tree, config)
    assert x.dtype == dtype
    assert np.abs(x - reference["tokens_in"]).max() < bound
    for i, (x, cache) in enumerate(vit.encode(x, tree, config)):  # noqa: B020
        assert np.abs(x - reference[f"block_out/{i}"]).max() < bound
        weights = cache["attention"]["weights"]
        assert np.abs(weights - reference[f"attention/{i}"]).max() < bound
    encoded, _ = textbook.layernorm.forward(x, tree["norm"]["gamma"], tree["norm"]["beta"])
    assert np.abs(encoded - reference["encoded"]).max() < bound
    logits, cache = vit.head(x, tree, config)
    assert np.abs(cache["features"] - reference["features"]).max() < bound
    assert np.abs(logits - reference["logits"]).max() < bound


@pytest.mark.parametrize("all_tokens", (True, False))
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", NAMES)
def test_loss_and_every_gradient(name, dtype, all_tokens):
    config, tree, reference = google_reader.load(name)
    images = reference["images"].astype(dtype)
    loss, dimages, gradients = loss_and_gradients(
        cast(tree, dtype), config, images, reference["labels"], all_tokens)
    forward_bound, bound = PRECISIONS[dtype]
    assert abs(loss - reference["loss"]) < forward_bound
    expected = params.flatten(google_reader.to_tree(reference, config, "grad/"))
    found = params.flatten(gradients)
    assert found.keys() == expected.keys() == vit.shapes(config).keys()
    pairs = [("images", dimages, reference["grad_images"])]
    pairs += [(path, found[path], expected[path]) for path in expected]
    for path, ours, theirs in pairs:
        assert ours.shape == theirs.shape and ours.dtype == dtype, path
        if path.endswith("qkv/bias"):
            # In theory the key third is zero. What is left is the rounding of the sum of the rows
            # whose products make the weight's gradient, and so is measured against that.
            keys = slice(config.width, 2 * config.width)
            size = np.abs(expected[path.replace("bias", "weight")]).max()
            noise = np.abs(ours[keys]).max() / max(size, 1.0)
            assert noise < (1e-15 if dtype == "float64" else 2e-7), path
        assert np.abs(ours - theirs).max() <= bound * np.abs(theirs).max(), path


def test_other_conventions_are_outside_the_bounds():
    """Guards the fixtures themselves: erf for tanh, or another eps, must not pass."""
    from dataclasses import replace

    config, tree, reference = google_reader.load("google_vit_small")
    for change in ({"gelu": "erf"}, {"eps": 1e-12}, {"eps": 1e-5}):
        logits, _ = vit.forward(reference["images"], tree, replace(config, **change))
        assert np.abs(logits - reference["logits"]).max() > 1e-6, change
