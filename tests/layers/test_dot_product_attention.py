"""Dot-product attention: against loops, numbers by hand, and symmetries."""

import math
from dataclasses import replace

import naive
import numpy as np
import pytest

from vitnp.layers import dot_product_attention, textbook

B, H, T, Dh = 3, 3, 7, 4
rng = np.random.default_rng(14)
Q, K, V, DY = rng.standard_normal((4, B, H, T, Dh))


def attend(q, k, v, **options):
    y, cache = dot_product_attention.forward(q, k, v, textbook, **options)
    return y, cache["weights"], cache


def backward_by_loops(dy, q, k, v):
    """Follow each weight back to its query, key and value, with each row's Jacobian."""
    _, weights = naive.dot_product_attention(q, k, v)
    scale = 1 / math.sqrt(q.shape[-1])
    dq, dk, dv = np.zeros(q.shape), np.zeros(k.shape), np.zeros(v.shape)
    for b, h, t in np.ndindex(q.shape[:-1]):
        w = weights[b, h, t]
        jacobian = np.diag(w) - np.outer(w, w)
        for s in range(len(w)):
            dscore = sum(jacobian[s, i] * sum(dy[b, h, t] * v[b, h, i]) for i in range(len(w)))
            dv[b, h, s] += w[s] * dy[b, h, t]
            dk[b, h, s] += dscore * scale * q[b, h, t]
            dq[b, h, t] += dscore * scale * k[b, h, s]
    return dq, dk, dv


@pytest.mark.parametrize("queries", (1, T))
def test_forward_and_backward_equal_loops(queries):
    q, dy = Q[:, :, :queries], DY[:, :, :queries]
    y, weights, cache = attend(q, K, V)
    expected, expected_weights = naive.dot_product_attention(q, K, V)
    naive.close(y, expected)
    naive.close(weights, expected_weights)
    gradients = dot_product_attention.backward(dy, cache)
    for actual, wanted in zip(gradients, backward_by_loops(dy, q, K, V), strict=True):
        naive.close(actual, wanted)


def test_two_tokens_and_two_heads_by_hand():
    """Scores ln 3 and ln 4 after 1/√Dh = 1/2; 1/√D = 1/√8 or 1/√H = 1/√2 give other weights."""
    q, k, v = np.zeros((3, 1, 2, 2, 4))
    q[0, 0, 0, 0], k[0, 0, 0, 0] = 2 * math.log(3), 1.0
    q[0, 1, 0, 1], k[0, 1, 1, 1] = 2 * math.log(4), 1.0
    v[0, 0, :, 2], v[0, 1, :, 3] = (4, 8), (10, 20)
    y, weights, _ = attend(q, k, v)
    naive.close(weights, [[[[3 / 4, 1 / 4], [1 / 2, 1 / 2]], [[1 / 5, 4 / 5], [1 / 2, 1 / 2]]]])
    naive.close(y, [[[[0, 0, 5, 0], [0, 0, 6, 0]], [[0, 0, 0, 18], [0, 0, 0, 15]]]])


def test_weights_sum_to_one_over_the_keys():
    """With the softmax over queries or heads the columns would, and the rows would not."""
    _, weights, _ = attend(Q, K, V)
    naive.close(weights.sum(axis=-1), np.ones((B, H, T)))
    assert np.abs(weights.sum(axis=-2) - 1).max() > 0.1


def test_equal_values_come_out_whatever_the_weights():
    one = np.broadcast_to(V[:, :, :1], V.shape)
    naive.close(attend(Q, K, one)[0], one)


def test_a_common_shift_of_all_keys_changes_nothing():
    naive.close(attend(Q, K + rng.standard_normal(Dh), V)[0], attend(Q, K, V)[0])


def test_order_of_the_keys_does_not_matter():
    order = rng.permutation(T)
    naive.close(attend(Q, K[:, :, order], V[:, :, order])[0], attend(Q, K, V)[0])


def test_large_scores_do_not_overflow():
    y, _, cache = attend(100.0 * Q, 100.0 * K, V)
    assert np.isfinite(y).all()
    assert all(np.isfinite(d).all() for d in dot_product_attention.backward(DY, cache))


def test_dropout_scales_the_weights_that_meet_the_values_in_training_only():
    dropout = naive.ScalingDropout()
    ops = replace(textbook, dropout=dropout)
    y, cache = dot_product_attention.forward(Q, K, V, ops, 0.3, "generator")
    assert dropout.calls == [((B, H, T, T), 0.3, "generator", False)]
    expected, weights = naive.dot_product_attention(Q, K, V, factor=2.0)
    naive.close(y, expected)
    naive.close(cache["weights"], weights)
    for actual, wanted in zip(dot_product_attention.backward(DY, cache),
                              backward_by_loops(2 * DY, Q, K, V), strict=True):
        naive.close(actual, wanted)


def test_dropout_happens_with_a_generator_and_not_without():
    plain = attend(Q, K, V)[0]
    np.testing.assert_array_equal(attend(Q, K, V, rate=0.5)[0], plain)
    assert np.abs(attend(Q, K, V, rate=0.5, rng=np.random.default_rng(0))[0] - plain).max() > 0.1
