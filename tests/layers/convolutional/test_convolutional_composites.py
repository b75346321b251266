"""Block, root, head and stem: forward against loops, backward against slopes of the loops.

Unlike a gradient check this reads nothing of the layer's forward.
"""

from dataclasses import replace

import naive
import naive_convolutional as loops
import numpy as np
import pytest
from convolutional_cases import SIZES, parameters, stem_parameters

from vitnp import params
from vitnp.gradcheck.cases import drawing
from vitnp.layers.convolutional import stem
from vitnp.layers.convolutional import textbook as ops
from vitnp.networks import resnet

STEP = 1e-6
draw = drawing(np)
TREE, LARGE = parameters(SIZES, draw), replace(SIZES, root="large")
MAP, IMAGES, LAST = draw((2, 5, 6, 4)), draw((2, 5, 6, 3)), draw((2, 3, 4, 8))
HEAD = {part: TREE[part] for part in resnet.HEAD_PARTS}
ROOT, STEM = parameters(LARGE, draw)["root"], stem_parameters((8, 16), draw)

# name: (layer, x, p, its other arguments, the loops)
CASES = {
    "block": (ops.residual_block, MAP, TREE["blocks"][0], (SIZES, ops, 1),
              lambda x, p: loops.residual_block(x, p, SIZES, 1)),
    "block with shortcut": (ops.residual_block, MAP, TREE["blocks"][1], (SIZES, ops, 2),
                            lambda x, p: loops.residual_block(x, p, SIZES, 2)),
    "root": (ops.root, IMAGES, TREE["root"], (SIZES, ops),
             lambda x, p: loops.root(x, p, SIZES)),
    "large root": (ops.root, IMAGES, ROOT, (LARGE, ops), lambda x, p: loops.root(x, p, LARGE)),
    "head": (ops.pooled_head, LAST, HEAD, (SIZES, ops),
             lambda x, p: loops.pooled_head(x, p, SIZES)),
    "head without classes": (ops.pooled_head, LAST, {"norm": TREE["norm"]}, (SIZES, ops),
                             lambda x, p: loops.pooled_head(x, p, SIZES)),
    "stem": (ops.stem, IMAGES, STEM, (ops,), loops.stem),
}


@pytest.mark.parametrize("name", CASES)
def test_forward_equals_loops(name):
    layer, x, p, fixed, naively = CASES[name]
    naive.close(layer.forward(x, p, *fixed)[0], naively(x, p))


@pytest.mark.parametrize("name", CASES)
def test_backward_equals_slopes_of_the_loops(name):
    layer, x, p, fixed, naively = CASES[name]
    y, cache = layer.forward(x, p, *fixed)
    dy = draw(y.shape)
    dx, dp = layer.backward(dy, cache)
    arguments, gradients = params.flatten({"x": x, "p": p}), params.flatten({"x": dx, "p": dp})
    assert gradients.keys() == arguments.keys()
    for path, gradient in gradients.items():
        direction = draw(gradient.shape)
        above, below = (params.nest(arguments | {path: arguments[path] + step * direction})
                        for step in (STEP, -STEP))
        slope = ((naively(**above) - naively(**below)) * dy).sum() / (2 * STEP)
        naive.close((gradient * direction).sum(), slope, atol=1e-6)


def test_a_block_whose_last_kernel_is_constant_is_the_identity():
    """A standardised constant kernel is zero: what is left is the residual path alone."""
    p = TREE["blocks"][0] | {"convolution2": {"weight": np.full((3, 3, 4, 4), 0.25)}}
    y, cache = ops.residual_block.forward(MAP, p, SIZES, ops)
    naive.close(y, MAP)
    dy = draw(y.shape)
    naive.close(ops.residual_block.backward(dy, cache)[0], dy)


def test_the_heads_features_are_what_the_linear_layer_reads():
    logits, cache = ops.pooled_head.forward(LAST, HEAD, SIZES, ops)
    weight, bias = HEAD["head"]["weight"], HEAD["head"]["bias"]
    naive.close(cache["features"] @ weight + bias, logits)


def test_the_head_does_not_see_where_something_is():
    turned = LAST[:, ::-1, :, :].swapaxes(1, 2)
    naive.close(ops.pooled_head.forward(turned, HEAD, SIZES, ops)[0],
                ops.pooled_head.forward(LAST, HEAD, SIZES, ops)[0])


def test_a_stem_has_the_grid_the_shapes_and_the_scale_that_it_promises():
    widths, image_size = (16, 32), (13, 10)
    p = params.nest({path: np.full(shape, np.nan)
                     for path, shape in stem.shapes(3, widths).items()})
    stem.init(p, np.random.default_rng(0))
    y, _ = ops.stem.forward(draw((2, *image_size, 3)), p, ops)
    assert y.shape == (2, *stem.grid(image_size, widths), 32) == (2, 4, 3, 32)
    assert stem.grid((32, 28), (8, 8)) == (8, 7)
    for layer, fan_in in (("layer1", 27), ("layer2", 144)):
        weight = p[layer]["convolution"]["weight"]
        assert abs(weight.std() / np.sqrt(2 / fan_in) - 1) < 0.1
        assert (p[layer]["norm"]["gamma"] == 1).all() and (p[layer]["norm"]["beta"] == 0).all()
