"""What the tests of foreign checkpoints share: random networks, runs of them, and comparisons."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import vitnp
from vitnp import ViTConfig, params, vit
from vitnp.data.preprocess import Preprocess
from vitnp.layers import textbook
from vitnp.model import Model

DATA = Path(__file__).parent.with_name("fixtures")
PRECISIONS = {"float64": (1e-10, 1e-10), "float32": (1e-5, 2e-5)}      # forward, gradients
CONFIG = ViTConfig(image_size=(8, 12), patch_size=2, channels=3, width=12, depth=2, heads=3,
                   mlp_width=10, classes=5)


def refusal(call, *arguments, **named):
    with pytest.raises(vitnp.Error) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def random_model(dtype=np.float32, config=CONFIG, **changes):
    """Return a model with parameters that are all different."""
    config = dataclasses.replace(config, **changes)
    shapes = vit.shapes(config)
    flat = params.allocate(shapes, dtype, np)
    flat[:] = 0.3 * np.random.default_rng(0).standard_normal(flat.shape)
    middle = (0.5,) * config.channels
    return Model(config, params.views(flat, shapes), Preprocess(config.image_size, middle, middle))


def cast(tree, dtype):
    return params.nest({path: a.astype(dtype) for path, a in params.flatten(tree).items()})


def same_bits(ours, theirs):
    """Assert that two trees or dicts of arrays are equal to the bit, with equal types."""
    ours, theirs = params.flatten(ours), params.flatten(theirs)
    assert ours.keys() == theirs.keys()
    for path, array in ours.items():
        found = theirs[path]
        assert (found.dtype, found.shape) == (array.dtype, array.shape), path
        assert found.tobytes() == array.tobytes(), path


def check_forward(config, tree, images, expected, bound):
    """Compare blocks, attention, features and logits, each where `expected` has it.

    The bound is for numbers up to 1, and in proportion for larger ones: tokens reach 10 here.
    """
    def check(found, name):
        theirs = expected[name]
        assert np.abs(found - theirs).max() < bound * max(1.0, np.abs(theirs).max()), name

    x, _ = vit.embed(images, tree, config)
    for i, (x, cache) in enumerate(vit.encode(x, tree, config)):  # noqa: B020
        check(x, f"block/{i}")
        check(cache["attention"]["weights"], f"attention/{i}")
    logits, cache = vit.head(x, tree, config)
    assert logits.dtype == images.dtype
    found = {"logits": logits, "features": cache["features"]}
    for name in found.keys() & expected.keys():
        check(found[name], name)


def loss_and_gradients(config, tree, images, labels):
    logits, cache = vit.forward(images, tree, config)
    losses, loss_cache = textbook.cross_entropy.forward(logits, labels)
    dlosses = np.full_like(losses, 1 / len(images))
    dlogits = textbook.cross_entropy.backward(dlosses, loss_cache)
    return losses.mean(), *vit.backward(dlogits, cache)


def check_gradients(found, reference, bound, width):
    """Compare gradients under a file's names with those of reference, "grad/…", all of them."""
    expected = {name.removeprefix("grad/"): reference[name] for name in reference.files
                if name.startswith("grad/")}
    assert found.keys() == expected.keys()
    largest = max(np.abs(gradient).max() for gradient in expected.values())
    for name, theirs in expected.items():
        ours = found[name]
        assert ours.shape == theirs.shape, name
        if "key" in name and name.endswith("bias") or name.endswith("qkv.bias"):
            # Zero in theory: what is left is the rounding of sums as large as other gradients
            keys = slice(width, 2 * width) if name.endswith("qkv.bias") else slice(None)
            assert np.abs(ours[keys]).max() < (1e-15 if bound < 1e-9 else 2e-7) * largest, name
            assert np.abs(theirs[keys]).max() < 1e-14
            ours, theirs = (np.delete(each, keys, 0) for each in (ours, theirs))
        if ours.size:
            assert np.abs(ours - theirs).max() <= bound * np.abs(theirs).max(), name


def check_comes_back(folder, layout, dtype, changes):
    """Assert that a model written in a layout is read again with the same bits."""
    model = random_model(dtype, **changes)
    model.save(folder / "a", layout)
    loaded = vitnp.load(folder / "a")
    assert (loaded.config, loaded.preprocess) == (model.config, model.preprocess)
    same_bits(model.params, loaded.params)


def check_names_and_scales_come_back(folder, module, changes):
    """Assert that a module's save keeps class names, also equal ones, and all of Preprocess."""
    model, names = random_model(**changes), ("a", "b", "ä", "a", "\u732b")
    preprocess = Preprocess(CONFIG.image_size, (0.1, 1 / 3, 0.3), (0.2, 0.3, 0.7), "bicubic")
    module.save(folder, model.config, model.params, preprocess, names)
    loaded = vitnp.load(folder)
    assert (loaded.class_names, loaded.preprocess) == (names, preprocess)
