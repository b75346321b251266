"""Images that are resized when they are read: centres stay in their places, shapes fit."""

from dataclasses import replace

import numpy as np
import pytest

from vitnp import data
from vitnp.data.geometry import resize
from vitnp.data.resized import Resized, with_side

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 2), np.uint8)


@pytest.mark.parametrize("side", [6, 9, 12, 24])
def test_enlarging_is_what_pillow_does(side):
    """Pillow's bilinear is the same where an image grows; it rounds after each of two passes."""
    from PIL import Image

    found = resize(IMAGES, side, side)
    for image, enlarged in zip(IMAGES, found, strict=True):
        for channel in range(2):
            expected = Image.fromarray(image[:, :, channel]).resize(
                (side, side), Image.Resampling.BILINEAR)
            difference = np.abs(np.asarray(expected).astype(int) - enlarged[:, :, channel])
            assert difference.max() <= 1


def test_height_and_width_are_not_exchanged():
    assert resize(IMAGES[:, :4], 8, 9).shape == (5, 8, 9, 2)
    rows = np.zeros((1, 2, 2, 1), np.uint8)
    rows[0, 1] = 200
    assert (resize(rows, 4, 4)[0, :, :, 0] == [[0] * 4, [50] * 4, [150] * 4, [200] * 4]).all()


def test_it_reads_like_an_array():
    images = Resized(IMAGES, 12)
    assert images.shape == (5, 12, 12, 2) and len(images) == 5
    np.testing.assert_array_equal(images[np.array([3, 1])], resize(IMAGES[[3, 1]], 12, 12))
    np.testing.assert_array_equal(images[1:3], resize(IMAGES[1:3], 12, 12))
    assert with_side(IMAGES, 6) is IMAGES


def test_a_data_set_of_another_size():
    digits = data.load("digits", image_size=16)
    assert digits.train_images.shape == (1437, 16, 16, 1)
    assert digits.test_images.shape == (360, 16, 16, 1)
    own = data.load("digits", image_size=8)
    np.testing.assert_array_equal(own.train_images, data.load("digits").train_images)
    assert replace(digits, test_images=own.test_images).class_names == own.class_names
