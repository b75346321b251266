"""Multi-head self-attention: against a loop over heads, by hand, and symmetries."""

import math
from dataclasses import replace

import naive
import numpy as np
import pytest

from vitnp import params
from vitnp.config import ViTConfig
from vitnp.gradcheck.cases import SIZES, drawing, parameters
from vitnp.layers import attention, textbook

draw = drawing(np)
P = parameters(SIZES, draw)["blocks"][0]["attention"]
X, DY = draw((3, 7, 12)), draw((3, 7, 12))


def attend(x, p=P, config=SIZES, ops=textbook, **options):
    return attention.forward(x, p, config, ops, **options)


@pytest.mark.parametrize("heads", (1, 3, 4))
def test_forward_equals_a_loop_over_heads(heads):
    """Heads split without a transpose pass every gradient check and fail here."""
    y, _ = attend(X, config=replace(SIZES, heads=heads))
    naive.close(y, naive.attention(X, P, heads))


def test_two_tokens_and_two_heads_by_hand():
    """Each token's q, k, v are a row of the packed weight; scores are divided by √Dh = 2."""
    config = ViTConfig(width=8, heads=2)
    q, k, v = np.zeros((3, 2, 8))
    q[0, 0], k[0, 0], v[:, 2] = 2 * math.log(3), 1.0, (4, 8)        # head 0: columns 0 to 3
    q[0, 5], k[1, 5], v[:, 7] = 2 * math.log(4), 1.0, (10, 20)      # head 1: columns 4 to 7
    weight = np.zeros((8, 24))
    weight[:2] = np.concatenate([q, k, v], axis=1)
    p = {"qkv": {"weight": weight, "bias": np.zeros(24)},
         "out": {"weight": np.eye(8), "bias": np.zeros(8)}}
    y, cache = attend(np.eye(8)[None, :2], p, config)
    naive.close(cache["weights"],
                [[[[3 / 4, 1 / 4], [1 / 2, 1 / 2]], [[1 / 5, 4 / 5], [1 / 2, 1 / 2]]]])
    naive.close(y, [[[0, 0, 5, 0, 0, 0, 0, 18], [0, 0, 6, 0, 0, 0, 0, 15]]])


def test_weights_are_given_out_and_sum_to_one_over_the_keys():
    _, cache = attend(X)
    assert cache["weights"].shape == (3, 3, 7, 7)
    naive.close(cache["weights"].sum(axis=-1), np.ones((3, 3, 7)))


def test_permuted_tokens_give_permuted_results():
    order = np.random.default_rng(0).permutation(7)
    naive.close(attend(X[:, order])[0], attend(X)[0][:, order])


def test_permuted_tokens_give_permuted_gradients_and_the_same_of_the_parameters():
    order = np.random.default_rng(0).permutation(7)
    dx, dp = attention.backward(DY, attend(X)[1])
    dx_permuted, dp_permuted = attention.backward(DY[:, order], attend(X[:, order])[1])
    naive.close(dx_permuted, dx[:, order])
    for path, gradient in params.flatten(dp).items():
        naive.close(params.find(dp_permuted, path), gradient)


@pytest.mark.parametrize("queries", (1, 2))
def test_the_first_queries_alone_equal_the_first_rows_of_all(queries):
    """Forward, and backward of an upstream gradient that is zero for the other rows."""
    y, cache = attend(X)
    part, part_cache = attend(X, queries=queries)
    naive.close(part, y[:, :queries])
    naive.close(part_cache["weights"], cache["weights"][:, :, :queries])
    dy = DY.copy()
    dy[:, queries:] = 0.0
    dx, dp = attention.backward(dy, cache)
    dx_part, dp_part = attention.backward(DY[:, :queries], part_cache)
    naive.close(dx_part, dx)
    for path, gradient in params.flatten(dp).items():
        naive.close(params.find(dp_part, path), gradient)


def test_the_gradient_of_the_key_bias_is_zero_and_the_others_are_not():
    _, dp = attention.backward(DY, attend(X)[1])
    queries, keys, values = dp["qkv"]["bias"].reshape(3, 12)
    naive.close(keys, np.zeros(12))
    assert np.abs(queries).min() > 1e-4
    assert np.abs(values).min() > 1e-4


def test_dropout_is_on_the_weights_with_the_rate_for_attention():
    dropout = naive.ScalingDropout()
    config = replace(SIZES, attention_dropout=0.3, dropout=0.2)
    y, _ = attend(X, config=config, ops=replace(textbook, dropout=dropout), rng="generator")
    assert dropout.calls == [((3, 3, 7, 7), 0.3, "generator", False)]
    naive.close(y, naive.attention(X, P, 3, factor=2.0))


def test_dropout_happens_in_training_and_not_in_evaluation():
    config = replace(SIZES, attention_dropout=0.5)
    plain = attend(X)[0]
    np.testing.assert_array_equal(attend(X, config=config)[0], plain)
    trained = attend(X, config=config, rng=np.random.default_rng(0))[0]
    assert np.abs(trained - plain).max() > 0.1
