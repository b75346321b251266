"""The head: against loops, and what each pooling may and may not read."""

from dataclasses import replace
from itertools import product

import naive
import numpy as np
import pytest

from vitnp import params, vit
from vitnp.gradcheck.cases import SIZES, drawing, parameters
from vitnp.layers import head, textbook

draw = drawing(np)
X = 1.0 + draw((3, 7, 12))
POOLINGS = ("token", "gap", "avg")


def case(pooling, **changes):
    """Return (p, config), with an eps so large that another one shows."""
    config = replace(SIZES, pooling=pooling, eps=0.01, **changes)
    tree = parameters(config, drawing(np))
    return {part: tree[part] for part in vit.HEAD_PARTS if part in tree}, config


def logits(x, p, config):
    return head.forward(x, p, config, textbook)[0]


@pytest.mark.parametrize(("pooling", "pre_logits", "classes"),
                         tuple(product(POOLINGS, (None, 8), (5, None))))
def test_forward_equals_loops_and_every_parameter_has_a_gradient(pooling, pre_logits, classes):
    """LayerNorm before or after the mean, and no head, where features are the result."""
    p, config = case(pooling, pre_logits=pre_logits, classes=classes)
    y, cache = head.forward(X, p, config, textbook)
    naive.close(y, naive.head(X, p, config))
    dx, dp = head.backward(draw(y.shape), cache)
    assert dx.shape == X.shape
    assert params.flatten(dp).keys() == params.flatten(p).keys()


@pytest.mark.parametrize(("pooling", "pre_logits"), tuple(product(POOLINGS, (None, 8))))
def test_features_are_the_input_of_the_last_layer(pooling, pre_logits):
    p, config = case(pooling, pre_logits=pre_logits)
    y, cache = head.forward(X, p, config, textbook)
    naive.close(cache["features"] @ p["head"]["weight"] + p["head"]["bias"], y)


# The tokens that each pooling reads
READ = {"token": [0], "gap": range(7), "avg": range(1, 7)}


@pytest.mark.parametrize("pooling", POOLINGS)
def test_each_pooling_reads_its_tokens_and_no_other(pooling):
    p, config = case(pooling)
    y, cache = head.forward(X, p, config, textbook)
    dx, _ = head.backward(draw(y.shape), cache)
    for t in range(7):
        changed = X.copy()
        changed[:, t] += draw((12,))
        assert (np.abs(logits(changed, p, config) - y).max() > 1e-3) == (t in READ[pooling])
        assert (np.abs(dx[:, t]).max() > 0) == (t in READ[pooling])


@pytest.mark.parametrize("pooling", ("gap", "avg"))
def test_order_of_the_patches_does_not_matter(pooling):
    p, config = case(pooling)
    order = [0, 3, 5, 1, 6, 2, 4]
    naive.close(logits(X[:, order], p, config), logits(X, p, config))


def test_equal_tokens_give_the_same_with_every_pooling():
    """A mean over the wrong number of tokens is a multiple of them."""
    equal = np.broadcast_to(X[:, :1], X.shape)
    p, config = case("token")
    token, gap, avg = (logits(equal, p, replace(config, pooling=pooling)) for pooling in POOLINGS)
    naive.close(gap, token)
    naive.close(avg, token)


def test_the_class_token_alone_is_enough_for_token_pooling():
    p, config = case("token")
    y, cache = head.forward(X, p, config, textbook)
    first, first_cache = head.forward(X[:, :1], p, config, textbook)
    np.testing.assert_array_equal(first, y)
    dy = draw(y.shape)
    dx_first, _ = head.backward(dy, first_cache)
    assert dx_first.shape == (3, 1, 12)
    naive.close(dx_first[:, 0], head.backward(dy, cache)[0][:, 0])


def test_features_behind_pre_logits_lie_within_tanh():
    p, config = case("token", pre_logits=8)
    _, cache = head.forward(100.0 * X, p, config, textbook)
    assert cache["features"].shape == (3, 8)
    assert np.abs(cache["features"]).max() <= 1.0
