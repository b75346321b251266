"""GroupNorm: loops, an explicit Jacobian, numbers by hand, its neighbours among the norms."""

import math

import naive
import naive_convolutional as loops
import numpy as np
import pytest

from vitnp.layers import layernorm
from vitnp.layers.convolutional import group_norm

rng = np.random.default_rng(6)
X, DY = 1.0 + 2.0 * rng.standard_normal((2, 2, 3, 4, 6))
GAMMA, BETA = rng.standard_normal((2, 6))
ONES, ZEROS = np.ones(6), np.zeros(6)


def by_jacobian(dy, x, gamma, groups, eps):
    """Return dx, dgamma, dbeta with the quotient rule for each pair of numbers of a group."""
    dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(len(gamma)), np.zeros(len(gamma))
    for b in range(len(x)):
        for channels in np.arange(len(gamma)).reshape(groups, -1):
            values = x[b][:, :, channels]
            mean, deviation = naive.mean_and_deviation(values.ravel(), eps)
            for j in np.ndindex(values.shape):
                d, upstream = channels[j[2]], dy[b][:, :, channels][j]
                dgamma[d] += upstream * (values[j] - mean) / deviation
                dbeta[d] += upstream
                for i in np.ndindex(values.shape):
                    dcentred = (i == j) - 1 / values.size
                    dvariance = 2 * (values[i] - mean) / values.size
                    slope = dcentred / deviation
                    slope -= (values[j] - mean) * dvariance / (2 * deviation**3)
                    dx[b, i[0], i[1], channels[i[2]]] += upstream * gamma[d] * slope
    return dx, dgamma, dbeta


@pytest.mark.parametrize("eps", (1e-5, 0.5))
@pytest.mark.parametrize("groups", (1, 2, 3, 6))
def test_forward_and_backward_equal_loops(groups, eps):
    y, cache = group_norm.forward(X, GAMMA, BETA, groups, eps)
    naive.close(y, loops.group_norm(X, GAMMA, BETA, groups, eps))
    expected = by_jacobian(DY, X, GAMMA, groups, eps)
    for actual, wanted in zip(group_norm.backward(DY, cache), expected, strict=True):
        naive.close(actual, wanted)


def test_numbers_by_hand():
    """An unbiased variance gives 1.5 in place of √3; eps outside the root 3 / (√3 + 4)."""
    x = np.array([1.0, 0, 0, 0]).reshape(1, 2, 1, 2)
    one, zero = np.ones(2), np.zeros(2)
    naive.close(group_norm.forward(x, one, zero, 1, 0.0)[0].ravel(),
                np.array([3, -1, -1, -1]) / math.sqrt(3))
    naive.close(group_norm.forward(x, one, zero, 1, 1.0)[0][0, 0, 0, 0], 3 / math.sqrt(19))


def test_default_eps_is_that_of_bit():
    x = np.array([1e-3, 0, 0, 0]).reshape(1, 2, 1, 2)
    expected = 0.75e-3 / math.sqrt(0.1875e-6 + 1e-5)
    naive.close(group_norm.forward(x, np.ones(2), np.zeros(2), 1)[0][0, 0, 0, 0], expected)


def test_one_group_on_one_place_is_a_layernorm():
    x, dy = X[:, :1, :1], DY[:, :1, :1]
    y, cache = group_norm.forward(x, GAMMA, BETA, 1, 1e-5)
    expected, expected_cache = layernorm.forward(x, GAMMA, BETA, 1e-5)
    naive.close(y, expected)
    pairs = zip(group_norm.backward(dy, cache), layernorm.backward(dy, expected_cache), strict=True)
    for actual, wanted in pairs:
        naive.close(actual, wanted)


def test_groups_are_neighbouring_channels():
    """Adding to channels 0 to 2 alone must not reach the second group of two, or another image."""
    y, _ = group_norm.forward(X, GAMMA, BETA, 2)
    other = X.copy()
    other[0, 1, 2, :3] += [5.0, -1.0, 2.0]
    changed = group_norm.forward(other, GAMMA, BETA, 2)[0] != y
    assert changed[0, :, :, :3].all() and not changed[0, :, :, 3:].any() and not changed[1].any()


def test_shift_and_scale_of_an_image_change_nothing():
    y, _ = group_norm.forward(X, GAMMA, BETA, 3, 0.0)
    naive.close(group_norm.forward(4.0 * X - 7.0, GAMMA, BETA, 3, 0.0)[0], y)


def test_dx_has_no_part_along_the_ones_or_the_normalised_group():
    normalised, cache = group_norm.forward(X, ONES, ZEROS, 2, 1e-13)
    dx, _, _ = group_norm.backward(DY, cache)
    for part in (dx, dx * normalised):
        naive.close(part.reshape(2, 12, 2, 3).sum(axis=(1, 3)), np.zeros((2, 2)), atol=1e-11)


def test_a_large_mean_leaves_digits_in_float32():
    """The variance in one pass, mean(x²) - mean(x)², loses them all."""
    x = (1000.0 + X).astype(np.float32)
    y, _ = group_norm.forward(x, ONES.astype(np.float32), ZEROS.astype(np.float32), 2)
    expected = loops.group_norm(x.astype(np.float64), ONES, ZEROS, 2, 1e-5)
    naive.close(y, expected, atol=1e-3)
