"""The embedding: against loops, for every kind of positions and with or without class token."""

from dataclasses import replace
from itertools import product

import naive
import numpy as np
import pytest

from vitnp import params
from vitnp.gradcheck.cases import SIZES, drawing, parameters
from vitnp.layers import embedding, textbook

draw = drawing(np)
IMAGES = draw((3, 6, 4, 5))


def embed(images, config, ops=textbook, rng=None):
    """Return tokens, cache and the parameters, the same for the same configuration."""
    p = parameters(config, drawing(np))["embedding"]
    return *embedding.forward(images, p, config, ops, rng), p


@pytest.mark.parametrize(("positions", "pooling"),
                         tuple(product(("learned", "2d", "none"), ("token", "gap", "avg"))))
def test_forward_equals_loops_and_every_parameter_has_a_gradient(positions, pooling):
    config = replace(SIZES, positions=positions, pooling=pooling)
    x, cache, p = embed(IMAGES, config)
    naive.close(x, naive.embedding(IMAGES, p, config))
    dimages, dp = embedding.backward(draw(x.shape), cache)
    assert dimages.shape == IMAGES.shape
    gradients = params.flatten(dp)
    assert gradients.keys() == params.flatten(p).keys()
    assert all(np.abs(gradient).max() > 0.1 for gradient in gradients.values())


def test_patches_permuted_with_their_positions_give_permuted_tokens():
    """The tokens know where they were by their positions alone."""
    config = replace(SIZES, positions="learned", pooling="gap")
    x, _, p = embed(IMAGES, config)
    swapped = np.concatenate([IMAGES[:, :, 2:], IMAGES[:, :, :2]], axis=2)
    order = [1, 0, 3, 2, 5, 4]
    y, _ = embedding.forward(swapped, p | {"position": p["position"][order]}, config, textbook)
    naive.close(y, x[:, order])


def test_the_class_token_does_not_depend_on_the_image():
    x, _, p = embed(IMAGES, SIZES)
    naive.close(x[:, 0], np.broadcast_to(p["class_token"] + p["position"][0], (3, 12)))


def test_dropout_is_last_and_covers_the_class_token_too():
    dropout = naive.ScalingDropout()
    config = replace(SIZES, dropout=0.2)
    x, _, p = embed(IMAGES, config, replace(textbook, dropout=dropout), "generator")
    assert dropout.calls == [((3, 7, 12), 0.2, "generator", False)]
    naive.close(x, 2 * naive.embedding(IMAGES, p, config))


def test_dropout_happens_in_training_and_not_in_evaluation():
    config = replace(SIZES, dropout=0.4)
    plain = embed(IMAGES, SIZES)[0]
    np.testing.assert_array_equal(embed(IMAGES, config)[0], plain)
    trained = embed(IMAGES, config, rng=np.random.default_rng(0))[0]
    assert abs((trained == 0).mean() - 0.4) < 0.1
    kept = trained != 0
    naive.close(trained[kept], plain[kept] / 0.6)
