"""Patches: where each pixel goes, and that nothing is lost on the way back."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitnp.layers import patches

IMAGES = np.random.default_rng(1).standard_normal((3, 6, 4, 5))


@pytest.mark.parametrize("side", (1, 2))
def test_forward_equals_loops(side):
    y, _ = patches.forward(IMAGES, side)
    np.testing.assert_array_equal(y, naive.patches(IMAGES, side))


def test_pixels_with_the_number_of_their_patch_give_constant_patches_in_order():
    """A reshape without transpose cuts stripes: the shape is right, the patches are not."""
    numbers = np.array([[0, 0, 1, 1], [0, 0, 1, 1],
                        [2, 2, 3, 3], [2, 2, 3, 3],
                        [4, 4, 5, 5], [4, 4, 5, 5]])
    images = np.broadcast_to(numbers[None, :, :, None], IMAGES.shape)
    y, _ = patches.forward(images, 2)
    np.testing.assert_array_equal(y, np.broadcast_to(np.arange(6)[None, :, None], (3, 6, 20)))


def test_pixels_of_a_patch_are_in_the_order_row_column_channel():
    """Channels first, or columns before rows, would not read the authors' weights."""
    row, column, channel = np.indices((2, 2, 3))
    y, _ = patches.forward((100 * row + 10 * column + channel)[None], 2)
    assert y.tolist() == [[[0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112]]]


def test_images_are_not_mixed():
    numbered = np.arange(3.0)[:, None, None, None] + np.zeros(IMAGES.shape)
    y, _ = patches.forward(numbered, 2)
    assert [set(image.ravel()) for image in y] == [{0.0}, {1.0}, {2.0}]


@settings(max_examples=25, deadline=None, database=None, derandomize=True)
@given(*[st.integers(1, 4)] * 5)
def test_backward_undoes_forward(B, rows, columns, side, channels):
    images = np.random.default_rng(0).random((B, rows * side, columns * side, channels))
    y, cache = patches.forward(images, side)
    assert y.shape == (B, rows * columns, side * side * channels)
    np.testing.assert_array_equal(patches.backward(y, cache), images)
