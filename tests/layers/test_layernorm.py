"""LayerNorm: against loops, an explicit Jacobian, numbers by hand, and exact values."""

import math
from pathlib import Path

import naive
import numpy as np
import pytest

from vitnp.layers import layernorm

EXACT = np.load(Path(__file__).parents[1] / "fixtures" / "layernorm.npz")
CASES = ("plain", "small_variance", "offset_1e4", "constant_row", "wide")
rng = np.random.default_rng(3)
X, DY = 2.0 + 3.0 * rng.standard_normal((2, 3, 7, 12))
GAMMA, BETA = rng.standard_normal((2, 12))
ONES, ZEROS = np.ones(12), np.zeros(12)


def by_jacobian(dy, x, gamma, eps):
    """Return dx, dgamma, dbeta with the quotient rule for each pair of entries of a token."""
    D = len(gamma)
    dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(D), np.zeros(D)
    for token in np.ndindex(x.shape[:-1]):
        mean, deviation = naive.mean_and_deviation(x[token], eps)
        centred = [float(value) - mean for value in x[token]]
        for j in range(D):
            dgamma[j] += dy[token][j] * centred[j] / deviation
            dbeta[j] += dy[token][j]
            for i in range(D):
                dcentred, dvariance = (i == j) - 1 / D, 2 * centred[i] / D
                slope = dcentred / deviation - centred[j] * dvariance / (2 * deviation**3)
                dx[token][i] += dy[token][j] * gamma[j] * slope
    return dx, dgamma, dbeta


@pytest.mark.parametrize("eps", (1e-6, 0.5))
def test_forward_and_backward_equal_loops(eps):
    y, cache = layernorm.forward(X, GAMMA, BETA, eps)
    naive.close(y, naive.layernorm(X, GAMMA, BETA, eps))
    expected = by_jacobian(DY, X, GAMMA, eps)
    for actual, wanted in zip(layernorm.backward(DY, cache), expected, strict=True):
        naive.close(actual, wanted)


def test_two_axes_as_the_head_uses_it():
    y, cache = layernorm.forward(X[:, 0], GAMMA, BETA)
    naive.close(y, naive.layernorm(X[:, 0], GAMMA, BETA, 1e-6))
    naive.close(layernorm.backward(DY[:, 0], cache)[0],
                by_jacobian(DY[:, 0], X[:, 0], GAMMA, 1e-6)[0])


def test_numbers_by_hand():
    """An unbiased variance gives 1.5 in place of √3; eps outside the root 3 / (√3 + 4)."""
    x, one, zero = np.array([[1.0, 0.0, 0.0, 0.0]]), np.ones(4), np.zeros(4)
    third = 1 / math.sqrt(3)
    naive.close(layernorm.forward(x, one, zero, 0.0)[0], [[3 * third, -third, -third, -third]])
    naive.close(layernorm.forward(x, one, zero, 1.0)[0][0, 0], 3 / math.sqrt(19))


def test_default_eps_is_that_of_the_authors():
    x = np.array([[1e-3, 0.0, 0.0, 0.0]])
    expected = 0.75e-3 / math.sqrt(0.1875e-6 + 1e-6)
    naive.close(layernorm.forward(x, np.ones(4), np.zeros(4))[0][0, 0], expected)


def test_gamma_and_beta_are_the_deviation_and_mean_of_their_column():
    y, _ = layernorm.forward(X, 2 * ONES, 5 * ONES)
    naive.close(y.mean(axis=-1), np.full((3, 7), 5.0))
    naive.close(y.std(axis=-1), np.full((3, 7), 2.0), atol=1e-5)


def test_shift_and_scale_of_a_token_change_nothing():
    moved, _ = layernorm.forward(4.0 * X - 7.0, GAMMA, BETA, 0.0)
    naive.close(moved, layernorm.forward(X, GAMMA, BETA, 0.0)[0])


def test_dx_has_no_part_along_the_ones_or_the_normalised_token():
    """Neither direction changes y; a backward without the mean or variance path keeps them."""
    normalised, cache = layernorm.forward(X, ONES, ZEROS, 1e-12)
    dx, _, _ = layernorm.backward(DY, cache)
    naive.close(dx.sum(axis=-1), np.zeros((3, 7)))
    naive.close((dx * normalised).sum(axis=-1), np.zeros((3, 7)), atol=1e-11)


@pytest.mark.parametrize("eps", ("1e-06", "1e-12", "1e-05"))
@pytest.mark.parametrize("dtype", (np.float64, np.float32))
@pytest.mark.parametrize("case", CASES)
def test_exact_values(case, dtype, eps):
    """The variance in one pass, mean(x²) - mean(x)², fails on the case with a large mean."""
    x, scale, bias, dy = (EXACT[f"{case}/{name}"].astype(dtype)
                          for name in ("x", "scale", "bias", "dy"))
    y, cache = layernorm.forward(x, scale, bias, float(eps))
    results = [y, *layernorm.backward(dy, cache)]
    unit = 1e-15 if dtype == np.float64 else 5e-7
    # How processors sum decides a mean's last digits: four units are allowed, of which each is
    # divided by the deviation. In one pass float32 is wrong by 0.4 and 1e3 where this allows 1e-3
    # (small_variance) and 4e-3 (offset_1e4)
    deviation = np.sqrt(x.astype(np.float64).var(axis=-1).min() + float(eps))
    rounding = 4 * np.spacing(np.abs(x).max()) / deviation
    for name, actual in zip(("y", "dx", "dscale", "dbias"), results, strict=True):
        assert actual.dtype == dtype
        expected = EXACT[f"{case}/eps{eps}/{name}"]
        largest = np.abs(expected).max()
        assert np.abs(actual - expected).max() <= unit * largest + rounding * max(1, largest), name
