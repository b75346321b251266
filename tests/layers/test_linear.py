"""Linear: against loops and outer products."""

import naive
import numpy as np
import pytest

from vitnp.layers import linear

rng = np.random.default_rng(2)
WEIGHT, BIAS = rng.standard_normal((12, 10)), rng.standard_normal(10)
INPUTS = {"(rows, in)": rng.standard_normal((3, 12)), "(B, T, in)": rng.standard_normal((3, 7, 12))}


def sum_of_outer_products(dy, x, weight):
    """Return dx, dweight, dbias: of each row, x_i dy_j is the part of dW_ij."""
    dx, dweight, dbias = np.zeros(x.shape), np.zeros(weight.shape), np.zeros(weight.shape[1])
    for row in np.ndindex(x.shape[:-1]):
        for i, j in np.ndindex(weight.shape):
            dx[row][i] += dy[row][j] * weight[i, j]
            dweight[i, j] += x[row][i] * dy[row][j]
        dbias += dy[row]
    return dx, dweight, dbias


@pytest.mark.parametrize("x", INPUTS.values(), ids=INPUTS)
def test_forward_and_backward_equal_loops(x):
    y, cache = linear.forward(x, WEIGHT, BIAS)
    naive.close(y, naive.linear(x, WEIGHT, BIAS))
    dy = rng.standard_normal(y.shape)
    expected = sum_of_outer_products(dy, x, WEIGHT)
    for actual, wanted in zip(linear.backward(dy, cache), expected, strict=True):
        naive.close(actual, wanted)


def test_the_identity_changes_nothing():
    x = INPUTS["(B, T, in)"]
    y, cache = linear.forward(x, np.eye(12), np.zeros(12))
    naive.close(y, x)
    naive.close(linear.backward(x, cache)[0], x)


def test_bias_reaches_every_row():
    y, _ = linear.forward(np.zeros((3, 7, 12)), WEIGHT, BIAS)
    np.testing.assert_array_equal(y, np.broadcast_to(BIAS, (3, 7, 10)))


def test_a_weight_that_is_part_of_a_larger_matrix_is_used_as_it_stands():
    """Attention hands over slices of columns."""
    x, columns = INPUTS["(B, T, in)"], slice(3, 7)
    y, cache = linear.forward(x, WEIGHT[:, columns], BIAS[columns])
    naive.close(y, naive.linear(x, WEIGHT, BIAS)[..., columns])
    dy = rng.standard_normal(y.shape)
    naive.close(linear.backward(dy, cache)[1],
                sum_of_outer_products(dy, x, WEIGHT[:, columns])[1])
