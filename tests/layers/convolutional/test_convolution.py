"""Convolution, plain and with standardised weights: loops, numbers by hand, invariants."""

import naive
import naive_convolutional as loops
import numpy as np
import pytest

from vitnp.layers.convolutional import textbook as ops

rng = np.random.default_rng(4)
X = rng.standard_normal((2, 5, 6, 4))
KERNELS = ((3, 3), (1, 1), (3, 2), (2, 5))
SOBEL = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])[:, :, None, None]


def gradients_by_loops(x, weight, dy, stride):
    """Hand each dy back through each product that it is the sum of."""
    dx, dweight = np.zeros(x.shape), np.zeros(weight.shape)
    h, w = weight.shape[:2]
    for b, r, c, i, j in np.ndindex(*dy.shape[:3], h, w):
        down, across = r * stride + i - (h - 1) // 2, c * stride + j - (w - 1) // 2
        if 0 <= down < x.shape[1] and 0 <= across < x.shape[2]:
            for d in range(x.shape[3]):
                for f in range(dy.shape[3]):
                    dx[b, down, across, d] += dy[b, r, c, f] * weight[i, j, d, f]
                    dweight[i, j, d, f] += dy[b, r, c, f] * x[b, down, across, d]
    return dx, dweight


@pytest.mark.parametrize("stride", (1, 2))
@pytest.mark.parametrize("kernel", KERNELS)
def test_forward_and_backward_equal_loops(kernel, stride):
    weight = rng.standard_normal((*kernel, 4, 3))
    y, cache = ops.convolution.forward(X, weight, ops, stride)
    naive.close(y, loops.convolution(X, weight, stride))
    dy = rng.standard_normal(y.shape)
    expected = gradients_by_loops(X, weight, dy, stride)
    for actual, wanted in zip(ops.convolution.backward(dy, cache), expected, strict=True):
        naive.close(actual, wanted)


def test_a_kernel_is_not_turned_round():
    """On a picture that grows by 1 to the right this kernel says left minus right, -8."""
    x = np.zeros((1, 5, 6, 1)) + np.arange(6.0)[:, None]
    y, _ = ops.convolution.forward(x, SOBEL, ops)
    naive.close(y[0, 1:-1, 1:-1, 0], np.full((3, 4), -8.0))


def test_outside_is_zero():
    """Counting kernel: at a corner of ones it sees four, at an edge six, inside nine."""
    y, _ = ops.convolution.forward(np.ones((1, 5, 6, 1)), np.ones((3, 3, 1, 1)), ops)
    assert y[0, 0, :2, 0].tolist() == [4, 6] and y[0, 2, :2, 0].tolist() == [6, 9]


def test_a_convolution_moves_with_the_image():
    """The assumption that the layer is made for: move the picture, and the map moves alike."""
    weight = rng.standard_normal((3, 3, 4, 3))
    x = np.zeros((1, 12, 12, 4))
    x[:, 3:7, 3:7] = rng.standard_normal((1, 4, 4, 4))
    y, _ = ops.convolution.forward(x, weight, ops)
    moved, _ = ops.convolution.forward(np.roll(x, (2, 3), axis=(1, 2)), weight, ops)
    np.testing.assert_array_equal(moved, np.roll(y, (2, 3), axis=(1, 2)))


def test_a_kernel_of_one_place_is_a_linear_layer():
    weight = rng.standard_normal((1, 1, 4, 3))
    y, cache = ops.convolution.forward(X, weight, ops)
    expected, linear = ops.linear.forward(X, weight[0, 0], np.zeros(3))
    naive.close(y, expected)
    dy = rng.standard_normal(y.shape)
    dx, dweight = ops.convolution.backward(dy, cache)
    expected_dx, expected_dweight, _ = ops.linear.backward(dy, linear)
    naive.close(dx, expected_dx)
    naive.close(dweight[0, 0], expected_dweight)


def test_stride_2_is_every_second_place_of_stride_1():
    weight = rng.standard_normal((3, 3, 4, 3))
    y, _ = ops.convolution.forward(X, weight, ops, 2)
    naive.close(y, ops.convolution.forward(X, weight, ops, 1)[0][:, ::2, ::2])


@pytest.mark.parametrize("stride", (1, 2))
def test_standardised_equals_loops_and_ignores_scale_and_shift_of_a_filter(stride):
    weight = rng.standard_normal((3, 2, 4, 3))
    y, _ = ops.standardised_convolution.forward(X, weight, ops, stride)
    naive.close(y, loops.standardised_convolution(X, weight, stride))
    other, _ = ops.standardised_convolution.forward(
        X, weight * [1.0, 3.0, 0.5] + [0.2, -1.0, 4.0], ops, stride)
    naive.close(other, y, atol=1e-9)
