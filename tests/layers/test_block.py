"""The encoder block: against loops, its residual paths, and its dropouts."""

from dataclasses import replace

import naive
import numpy as np
import pytest

from vitnp import params
from vitnp.gradcheck.cases import SIZES, drawing, parameters
from vitnp.layers import block, textbook

draw = drawing(np)
CONFIG = replace(SIZES, eps=0.01)       # large, so that another eps shows
P = parameters(CONFIG, draw)["blocks"][0]
X, DY = draw((3, 7, 12)), draw((3, 7, 12))


def with_silent_branches(p):
    """Return p with the last linear layer of attention and of the MLP zero."""
    silent = {path: 0 * array if "out/" in path else array
              for path, array in params.flatten(p).items()}
    return params.nest(silent)


@pytest.mark.parametrize("gelu", ("tanh", "erf"))
def test_forward_equals_loops(gelu):
    config = replace(CONFIG, gelu=gelu)
    naive.close(block.forward(X, P, config, textbook)[0], naive.block(X, P, config))


def test_silent_branches_make_the_block_the_identity_forward_and_backward():
    """A residual path that is doubled, multiplied, lost or normalised is not the identity."""
    y, cache = block.forward(X, with_silent_branches(P), CONFIG, textbook)
    naive.close(y, X)
    naive.close(block.backward(DY, cache)[0], DY)


@pytest.mark.parametrize("branch", ("attention", "mlp"))
def test_one_silent_branch_leaves_the_other(branch):
    p = P | {branch: with_silent_branches(P)[branch]}
    y, _ = block.forward(X, p, CONFIG, textbook)
    naive.close(y, naive.block(X, p, CONFIG))
    assert np.abs(y - X).max() > 0.1


def test_permuted_tokens_give_permuted_results():
    order = np.random.default_rng(0).permutation(7)
    y, cache = block.forward(X, P, CONFIG, textbook)
    permuted, permuted_cache = block.forward(X[:, order], P, CONFIG, textbook)
    naive.close(permuted, y[:, order])
    naive.close(block.backward(DY[:, order], permuted_cache)[0],
                block.backward(DY, cache)[0][:, order])


def test_one_query_equals_the_first_row_forward_and_backward():
    y, cache = block.forward(X, P, CONFIG, textbook)
    first, first_cache = block.forward(X, P, CONFIG, textbook, queries=1)
    naive.close(first, y[:, :1])
    dy = DY.copy()
    dy[:, 1:] = 0.0
    dx, dp = block.backward(dy, cache)
    dx_first, dp_first = block.backward(DY[:, :1], first_cache)
    naive.close(dx_first, dx)
    for path, gradient in params.flatten(dp).items():
        naive.close(params.find(dp_first, path), gradient)


def test_every_dropout_has_its_place_its_rate_and_its_kind():
    dropout = naive.ScalingDropout()
    config = replace(CONFIG, dropout=0.2, attention_dropout=0.3)
    ops = replace(textbook, dropout=dropout)
    y, _ = block.forward(X, P, config, ops, "generator", 0.1)
    assert dropout.calls == [
        ((3, 3, 7, 7), 0.3, "generator", False),
        ((3, 7, 12), 0.2, "generator", False),
        ((3, 7, 12), 0.1, "generator", True),
        ((3, 7, 10), 0.2, "generator", False),
        ((3, 7, 12), 0.2, "generator", False),
        ((3, 7, 12), 0.1, "generator", True),
    ]
    naive.close(y, naive.block(X, P, config, factors=(2.0, 3.0, 4.0, 5.0, 6.0, 7.0)))


def test_evaluation_ignores_all_rates():
    config = replace(CONFIG, dropout=0.5, attention_dropout=0.5)
    np.testing.assert_array_equal(
        block.forward(X, P, config, textbook, rng=None, drop_rate=0.5)[0],
        block.forward(X, P, CONFIG, textbook)[0])


def test_stochastic_depth_leaves_most_images_as_they_were():
    """Near rate 1 nearly every branch is dropped; without scaling up the others would be small."""
    many = draw((60, 7, 12))
    y, cache = block.forward(many, P, CONFIG, textbook, np.random.default_rng(0), 0.9)
    unchanged = (y == many).all(axis=(1, 2))
    assert 40 <= unchanged.sum() < 60
    assert np.abs(y - many)[~unchanged].max(axis=(1, 2)).min() > 5.0
    dy = draw((60, 7, 12))
    dx, _ = block.backward(dy, cache)
    np.testing.assert_array_equal((dx == dy).all(axis=(1, 2)), unchanged)
