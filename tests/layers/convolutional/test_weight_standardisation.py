"""Weight standardisation: loops, an explicit Jacobian, numbers by hand, invariants."""

import math

import naive
import naive_convolutional as loops
import numpy as np
import pytest

from vitnp.layers.convolutional import weight_standardisation as layer

rng = np.random.default_rng(5)
WEIGHT, DY = 0.3 + 2.0 * rng.standard_normal((2, 3, 2, 4, 5))


def by_jacobian(dy, weight, eps):
    """Return dweight with the quotient rule for each pair of weights of a filter."""
    dweight = np.zeros(weight.shape)
    for f in range(weight.shape[3]):
        values, slopes = weight[..., f].ravel(), np.zeros(weight[..., f].size)
        mean, deviation = naive.mean_and_deviation(values, eps)
        n = len(values)
        for i, j in np.ndindex(n, n):
            dcentred, dvariance = (i == j) - 1 / n, 2 * (values[i] - mean) / n
            slope = dcentred / deviation - (values[j] - mean) * dvariance / (2 * deviation**3)
            slopes[i] += dy[..., f].ravel()[j] * slope
        dweight[..., f] = slopes.reshape(weight.shape[:3])
    return dweight


@pytest.mark.parametrize("eps", (1e-10, 0.5))
def test_forward_and_backward_equal_loops(eps):
    y, cache = layer.forward(WEIGHT, eps)
    naive.close(y, loops.weight_standardisation(WEIGHT, eps))
    naive.close(layer.backward(DY, cache), by_jacobian(DY, WEIGHT, eps))


def test_numbers_by_hand():
    """An unbiased variance gives 1.5 in place of √3; eps outside the root 3 / (√3 + 4)."""
    weight = np.array([1.0, 0, 0, 0]).reshape(2, 2, 1, 1)
    naive.close(layer.forward(weight, 0.0)[0].ravel(), np.array([3, -1, -1, -1]) / math.sqrt(3))
    naive.close(layer.forward(weight, 1.0)[0][0, 0, 0, 0], 3 / math.sqrt(19))


def test_default_eps_is_that_of_bit():
    weight = np.array([1e-5, 0, 0, 0]).reshape(2, 2, 1, 1)
    expected = 0.75e-5 / math.sqrt(0.1875e-10 + 1e-10)
    naive.close(layer.forward(weight)[0][0, 0, 0, 0], expected)


def test_each_filter_has_mean_0_and_variance_1_whatever_its_scale_and_shift():
    scale, shift = np.array([1.0, 4.0, 0.5, 9.0, 2.0]), np.array([0.0, 1.0, -3.0, 0.5, 7.0])
    y, _ = layer.forward(WEIGHT)
    naive.close(y.mean(axis=(0, 1, 2)), np.zeros(5))
    naive.close(y.var(axis=(0, 1, 2)), np.ones(5), atol=1e-9)
    naive.close(layer.forward(WEIGHT * scale + shift)[0], y, atol=1e-9)


def test_a_step_changes_neither_mean_nor_length_of_a_filter():
    _, cache = layer.forward(WEIGHT, 1e-14)
    dweight = layer.backward(DY, cache)
    naive.close(dweight.sum(axis=(0, 1, 2)), np.zeros(5))
    naive.close((dweight * WEIGHT).sum(axis=(0, 1, 2)), np.zeros(5))


def test_filters_do_not_mix():
    y, cache = layer.forward(WEIGHT)
    dweight = layer.backward(DY, cache)
    for f in range(5):
        alone, cache = layer.forward(WEIGHT[..., f:f + 1])
        naive.close(alone[..., 0], y[..., f])
        naive.close(layer.backward(DY[..., f:f + 1], cache)[..., 0], dweight[..., f])
