"""ReLU, max pooling and mean pooling: loops, ties, and who gets the gradient."""

import naive
import naive_convolutional as loops
import numpy as np
import pytest

from vitnp.layers.convolutional import mean_pool, relu
from vitnp.layers.convolutional import textbook as ops

rng = np.random.default_rng(8)
X = rng.standard_normal((2, 5, 6, 4))


def test_relu_equals_loops_and_lets_gradients_of_positive_numbers_pass():
    y, cache = relu.forward(X)
    np.testing.assert_array_equal(y, loops.relu(X))
    dy = rng.standard_normal(X.shape)
    expected = [d if x > 0 else 0.0 for d, x in zip(dy.flat, X.flat, strict=True)]
    np.testing.assert_array_equal(relu.backward(dy, cache).ravel(), expected)


def test_relu_at_zero_has_the_slope_0_and_nan_stays_nan():
    y, cache = relu.forward(np.array([-0.0, 0.0, np.nan, 1e-300, np.inf]))
    np.testing.assert_array_equal(y, [0.0, 0.0, np.nan, 1e-300, np.inf])
    assert relu.backward(np.full(5, 3.0), cache).tolist() == [0, 0, 0, 3, 3]


@pytest.mark.parametrize(("size", "stride"), (((3, 3), 2), ((2, 3), 1), ((1, 1), 2), ((5, 2), 3)))
def test_max_pool_equals_loops_and_pays_the_winner(size, stride):
    y, cache = ops.max_pool.forward(X, ops, size, stride)
    np.testing.assert_array_equal(y, loops.max_pool(X, size, stride))
    dy, expected = rng.standard_normal(y.shape), np.zeros(X.shape)
    for b, r, c, d in np.ndindex(y.shape):
        expected[b, :, :, d][X[b, :, :, d] == y[b, r, c, d]] += dy[b, r, c, d]
    naive.close(ops.max_pool.backward(dy, cache), expected)


def test_max_pool_is_that_of_resnet_by_default():
    assert ops.max_pool.forward(X, ops)[0].shape == (2, 3, 3, 4)
    np.testing.assert_array_equal(ops.max_pool.forward(X, ops)[0], loops.max_pool(X))


def test_places_outside_never_win_even_where_all_is_negative():
    y, _ = ops.max_pool.forward(X - 100.0, ops)
    assert y.max() < -90.0 and np.isfinite(y).all()


def test_of_equal_places_the_first_gets_the_gradient():
    """Shared among the nine, or given to each of them, it would be another."""
    _, cache = ops.max_pool.forward(np.zeros((1, 3, 3, 1)), ops, (3, 3), 3)
    dx = ops.max_pool.backward(np.full((1, 1, 1, 1), 9.0), cache)
    assert dx.ravel().tolist() == [9, 0, 0, 0, 0, 0, 0, 0, 0]


def test_mean_pool_equals_loops_and_shares_evenly():
    y, cache = mean_pool.forward(X)
    naive.close(y, loops.mean_pool(X))
    dy = rng.standard_normal(y.shape)
    dx = mean_pool.backward(dy, cache)
    naive.close(dx, np.broadcast_to(dy[:, None, None] / 30, X.shape))
    dx += 1.0                                   # the caller's own, and no view of one number
    assert dx.flags.writeable and dx[0, 0, 0, 0] == dy[0, 0] / 30 + 1.0
