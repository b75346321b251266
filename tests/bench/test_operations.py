"""The count of operations against the products that NumPy is really asked for."""

import math

import numpy as np
import pytest

from vitnp import params, vit
from vitnp.bench import cases, operations
from vitnp.config import ViTConfig
from vitnp.parallel import lanes

SIZES = {"image_size": (6, 4), "patch_size": 2, "channels": 3, "width": 12, "depth": 3, "heads": 3,
         "mlp_width": 10, "classes": 5}
CHANGES = [{}, {"depth": 1}, {"pooling": "gap"}, {"pooling": "avg"}, {"pre_logits": 7}]
EXECUTED = []


class Counting(np.ndarray):
    """An array that writes down the operations of each product of matrices that it enters."""

    __module__ = "numpy"                # vitnp.backend knows a library by this name

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        if out:
            options["out"] = tuple(map(plain, out))
        inputs = [plain(array) for array in inputs]
        result = getattr(ufunc, method)(*inputs, **options)
        # The product with a vector is a sum, such as LayerNorm's means
        if ufunc is np.matmul and min(array.ndim for array in inputs) > 1:
            EXECUTED.append(2 * math.prod(result.shape) * inputs[0].shape[-1])
        if out:
            return out[0]
        return result.view(Counting) if isinstance(result, np.ndarray) else result


def plain(array):
    return array.view(np.ndarray) if isinstance(array, Counting) else array


def executed(config, mode):
    """Return the operations of a step on five images, in micro-batches of two."""
    shapes = vit.shapes(config)
    flat = vit.init(config, np.random.default_rng(0))
    tree, gradients = (params.views(buffer, shapes)
                       for buffer in (flat.view(Counting), np.zeros_like(flat)))
    images, labels = cases.inputs(config, 5)
    images = images.view(Counting)
    EXECUTED.clear()
    if mode == "train":
        lanes.loss_and_gradients(images, labels, tree, gradients, config, micro_batch=2)
    else:
        lanes.logits(images, tree, config, micro_batch=2)
    return sum(EXECUTED)


@pytest.mark.parametrize("changes", CHANGES, ids=str)
@pytest.mark.parametrize("mode", cases.MODES)
def test_the_count_is_what_numpy_is_asked_for(changes, mode):
    config = ViTConfig(**SIZES | changes)
    assert operations.of_engine("vitnp", config, 5, mode) == executed(config, mode)


def test_the_count_of_all_tokens_is_that_of_the_network_without_the_shortcut():
    config = ViTConfig(**SIZES)
    tree = params.views(vit.init(config, np.random.default_rng(0)).view(Counting),
                        vit.shapes(config))
    images, _ = cases.inputs(config, 5)
    EXECUTED.clear()
    logits, cache = vit.forward(images.view(Counting), tree, config)
    assert sum(EXECUTED) == operations.of_engine("torch", config, 5, "predict")
    vit.backward(np.zeros_like(logits), cache)
    assert sum(EXECUTED) == operations.count(config, 5, "train", shortcut=False)


def test_rivals_need_no_gradient_of_the_images():
    config = ViTConfig(**SIZES)
    projection = 2 * 5 * 6 * 12 * 12            # images, patches, patch and width
    assert operations.of_engine("jax", config, 5, "train") == operations.count(
        config, 5, "train", shortcut=False) - projection


def test_the_published_number_of_b_16():
    """17.6 billion multiply-adds an image, as the literature counts (DeiT, table 5)."""
    config, _ = cases.CASES["b16-224"]
    per_image = operations.count(config, 4, "predict", shortcut=False) / 4
    assert round(per_image / 2e9, 1) == 17.6
