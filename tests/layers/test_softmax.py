"""Softmax: against loops, and what must hold for every row."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitnp.layers import softmax

X, DY = np.random.default_rng(6).standard_normal((2, 2, 3, 4, 7))


def by_jacobian(dy, y):
    """Return dx, with the matrix y_i (δ_ij - y_j) of each row written out."""
    dx = np.zeros(y.shape)
    for row in np.ndindex(y.shape[:-1]):
        n = y.shape[-1]
        for j in range(n):
            dx[row][j] = sum(dy[row][i] * y[row][i] * ((i == j) - y[row][j]) for i in range(n))
    return dx


def test_forward_and_backward_equal_loops():
    y, cache = softmax.forward(X)
    naive.close(y, naive.softmax(X))
    naive.close(softmax.backward(DY, cache), by_jacobian(DY, naive.softmax(X)))


def test_rows_of_the_last_axis_sum_to_one():
    y, _ = softmax.forward(X)
    naive.close(y.sum(axis=-1), np.ones((2, 3, 4)))
    assert (y > 0).all()


def test_rows_of_the_gradient_sum_to_zero():
    """The diagonal of the Jacobian alone, y (1 - y) dy, misses this."""
    _, cache = softmax.forward(X)
    naive.close(softmax.backward(DY, cache).sum(axis=-1), np.zeros((2, 3, 4)))


@settings(max_examples=25, deadline=None, database=None, derandomize=True)
@given(st.lists(st.floats(-20, 20), min_size=1, max_size=6), st.floats(-1000, 1000))
def test_a_shift_of_a_row_changes_nothing(row, shift):
    row = np.array(row)
    naive.close(softmax.forward(row + shift)[0], softmax.forward(row)[0], atol=1e-11)


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_large_scores_do_not_overflow(dtype):
    """Without the shift by the maximum exp overflows, and the warning fails this test."""
    x = np.array([[1e4, -1e4, 1e4, 0.0], [-1e4, -1e4, -1e4, -1e4]], dtype)
    y, cache = softmax.forward(x)
    naive.close(y, [[0.5, 0.0, 0.5, 0.0], [0.25, 0.25, 0.25, 0.25]], atol=1e-7)
    assert np.isfinite(softmax.backward(np.ones_like(x), cache)).all()
