"""The backward of each composite against slopes of the loops, with every dropout in place.

Unlike a gradient check this reads nothing of the layer's forward: a backward fails here too if it
belongs to a wrong forward.
"""

from dataclasses import replace
from itertools import product

import naive
import numpy as np
import pytest

from vitnp import params, vit
from vitnp.gradcheck.cases import SIZES, drawing, parameters
from vitnp.layers import textbook

STEP = 1e-6
CONFIG = replace(SIZES, eps=0.01)       # large, so that another eps shows
draw = drawing(np)
IMAGES, TOKENS = draw((2, 6, 4, 5)), draw((2, 7, 12))


def check(layer, loops, x, p, config, **options):
    """Compare the slope of loops(x, p) along a random direction of each array with backward's."""
    ops = replace(textbook, dropout=naive.ScalingDropout())
    y, cache = layer.forward(x, p, config, ops, **options)
    dy = draw(y.shape)
    dx, dp = layer.backward(dy, cache)
    arguments = params.flatten({"x": x, "p": p})
    gradients = params.flatten({"x": dx, "p": dp})
    assert gradients.keys() == arguments.keys()
    for path, gradient in gradients.items():
        direction = draw(gradient.shape)
        above, below = (params.nest(arguments | {path: arguments[path] + step * direction})
                        for step in (STEP, -STEP))
        slope = ((loops(**above) - loops(**below)) * dy).sum() / (2 * STEP)
        naive.close((gradient * direction).sum(), slope, atol=1e-6)


@pytest.mark.parametrize("queries", (None, 1))
def test_attention(queries):
    p = parameters(CONFIG, draw)["blocks"][0]["attention"]
    check(textbook.attention, lambda x, p: naive.attention(x, p, 3, 2.0)[:, :queries],
          TOKENS, p, CONFIG, queries=queries)


@pytest.mark.parametrize("gelu", ("tanh", "erf"))
def test_mlp(gelu):
    p = parameters(CONFIG, draw)["blocks"][0]["mlp"]
    check(textbook.mlp, lambda x, p: naive.mlp(x, p, gelu, (2.0, 3.0)),
          TOKENS, p, replace(CONFIG, gelu=gelu))


@pytest.mark.parametrize("queries", (None, 1))
def test_block(queries):
    factors = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
    check(textbook.block, lambda x, p: naive.block(x, p, CONFIG, factors)[:, :queries],
          TOKENS, parameters(CONFIG, draw)["blocks"][0], CONFIG, queries=queries)


@pytest.mark.parametrize(("positions", "pooling"),
                         tuple(product(("learned", "2d", "none"), ("token", "gap"))))
def test_embedding(positions, pooling):
    config = replace(CONFIG, positions=positions, pooling=pooling)
    check(textbook.embedding, lambda x, p: 2 * naive.embedding(x, p, config),
          IMAGES, parameters(config, draw)["embedding"], config)


@pytest.mark.parametrize(("pooling", "pre_logits"),
                         tuple(product(("token", "gap", "avg"), (None, 8))))
def test_head(pooling, pre_logits):
    config = replace(CONFIG, pooling=pooling, pre_logits=pre_logits)
    tree = parameters(config, draw)
    p = {part: tree[part] for part in vit.HEAD_PARTS if part in tree}
    check(textbook.head, lambda x, p: naive.head(x, p, config), TOKENS, p, config)
