"""Windows: which number each place of each window holds, and where gradients go back to."""

import naive_convolutional as loops
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitnp.layers import patches
from vitnp.layers.convolutional import windows

X = np.random.default_rng(1).standard_normal((2, 5, 6, 4))
SIZES = ((3, 3), (1, 1), (2, 3), (4, 1), (7, 7))


@pytest.mark.parametrize("outside", (0.0, -np.inf))
@pytest.mark.parametrize("stride", (1, 2, 3))
@pytest.mark.parametrize("size", SIZES)
def test_forward_equals_loops(size, stride, outside):
    y, _ = windows.forward(X, size, stride, outside)
    np.testing.assert_array_equal(y, loops.windows(X, size, stride, outside))


@pytest.mark.parametrize("stride", (1, 2, 3))
@pytest.mark.parametrize("size", SIZES)
def test_backward_gives_each_number_the_sum_of_its_copies(size, stride):
    """Number the pixels and look where each number went."""
    numbers = np.arange(1.0, X.size + 1).reshape(X.shape)
    copies, cache = windows.forward(numbers, size, stride)
    dy = np.random.default_rng(2).standard_normal(copies.shape)
    expected = np.bincount(copies.astype(int).ravel(), dy.ravel(), minlength=X.size + 1)[1:]
    np.testing.assert_allclose(windows.backward(dy, cache), expected.reshape(X.shape), atol=1e-14)


def test_windows_of_stride_2_start_at_the_first_pixel():
    """TensorFlow's "same" has them centred on 1, 3 where the image is even."""
    x = np.arange(4.0).reshape(1, 4, 1, 1)
    y, _ = windows.forward(x, (3, 1), 2, -1.0)
    assert y[0, :, 0, :, 0, 0].tolist() == [[-1, 0, 1], [1, 2, 3]]


def test_patches_are_windows_that_do_not_overlap():
    """A patch starts at its place, where a window has its centre: one place further."""
    images = np.random.default_rng(3).standard_normal((2, 6, 9, 4))
    shifted = np.roll(images, (-1, -1), axis=(1, 2))
    y, _ = windows.forward(shifted, (3, 3), 3)
    grid = patches.forward(images, 3)[0].reshape(2, 2, 3, 3, 3, 4)
    # Without the first row and column of each window, which rolling took away from the first ones
    np.testing.assert_array_equal(y[:, :, :, 1:, 1:], grid[:, :, :, 1:, 1:])


@settings(max_examples=30, deadline=None, database=None, derandomize=True)
@given(*[st.integers(1, 7)] * 2, *[st.integers(1, 5)] * 2, st.integers(1, 3))
def test_backward_is_the_adjoint_of_forward(height, width, h, w, stride):
    """⟨windows(x), dy⟩ = ⟨x, backward(dy)⟩ for all sizes, however small the image."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, height, width, 3))
    y, cache = windows.forward(x, (h, w), stride)
    dy = rng.standard_normal(y.shape)
    assert y.shape == (2, -(-height // stride), -(-width // stride), h, w, 3)
    np.testing.assert_allclose((y * dy).sum(), (x * windows.backward(dy, cache)).sum(), atol=1e-12)
