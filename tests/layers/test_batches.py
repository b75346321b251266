"""Images do not know each other: one image alone is the same as in a batch of three."""

import naive
import numpy as np
import pytest

from vitnp import params, vit
from vitnp.gradcheck.cases import SIZES, drawing, parameters
from vitnp.layers import textbook as ops

draw = drawing(np)
B, T, D, H, Dh, F, K = 3, 7, 12, 3, 4, 10, 5
TREE = parameters(SIZES, draw)
BLOCK = TREE["blocks"][0]
HEAD = {part: TREE[part] for part in vit.HEAD_PARTS if part in TREE}
IMAGES, TOKENS, PATCHES, HEADS = (draw(shape) for shape in (
    (B, 6, 4, 5), (B, T, D), (B, T - 1, D), (B, H, T, Dh)))
LABELS = np.array([3, 1, 4])


# name: layer, inputs with one row an image, the layer's other arguments
CASES = {
    "patches": (ops.patches, [IMAGES], [2]),
    "linear": (ops.linear, [TOKENS], [draw((D, F)), draw((F,))]),
    "layernorm": (ops.layernorm, [TOKENS], [draw((D,)), draw((D,))]),
    "gelu": (ops.gelu, [TOKENS], []),
    "softmax": (ops.softmax, [TOKENS], []),
    "class_token": (ops.class_token, [PATCHES], [draw((D,)), draw((T, D))]),
    "cross_entropy": (ops.cross_entropy, [draw((B, K)), LABELS], [0.1]),
    "dot_product_attention": (ops.dot_product_attention, [HEADS, draw(HEADS.shape),
                                                          draw(HEADS.shape)], [ops]),
    "attention": (ops.attention, [TOKENS], [BLOCK["attention"], SIZES, ops]),
    "mlp": (ops.mlp, [TOKENS], [BLOCK["mlp"], SIZES, ops]),
    "block": (ops.block, [TOKENS], [BLOCK, SIZES, ops]),
    "embedding": (ops.embedding, [IMAGES], [TREE["embedding"], SIZES, ops]),
    "head": (ops.head, [TOKENS], [HEAD, SIZES, ops]),
}


def run(name, images, dy):
    """Return y and the list of all gradients of a case, for some of its images."""
    layer, inputs, others = CASES[name]
    y, cache = layer.forward(*(array[images] for array in inputs), *others)
    gradients = layer.backward(dy[images], cache)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    return y, list(params.flatten(dict(enumerate(gradients))).values())


@pytest.mark.parametrize("name", CASES)
def test_one_image_equals_the_same_image_among_three(name):
    """Statistics or parameters shared between the images would differ.

    Gradients of inputs are those of the image, and gradients of parameters are sums over images.
    """
    layer, inputs, others = CASES[name]
    dy = draw(layer.forward(*inputs, *others)[0].shape)
    y, gradients = run(name, slice(None), dy)
    alone = [run(name, slice(i, i + 1), dy) for i in range(B)]
    naive.close(np.concatenate([result for result, _ in alone]), y)
    of_inputs = 3 if name == "dot_product_attention" else 1
    for i, gradient in enumerate(gradients):
        parts = [of_image[i] for _, of_image in alone]
        naive.close(np.concatenate(parts) if i < of_inputs else sum(parts), gradient)
