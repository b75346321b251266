"""Images that are resized when they are read: as a file of the same pixels would be."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from vitnp import data
from vitnp.data.preprocess import Preprocess, whole
from vitnp.data.resized import Resized, prepared

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 6, 2), np.uint8)
CUT = Preprocess((6, 6), (0.5,) * 3, (0.5,) * 3, "bicubic", (8, 8), True, "even")


@pytest.mark.parametrize(("height", "width"), [(6, 9), (12, 12), (4, 3), (24, 5)])
def test_each_channel_is_resized_as_pillow_does(height, width):
    found = prepared(IMAGES, (height, width))[:]
    assert found.shape == (5, height, width, 2) and found.dtype == np.uint8
    for image, resized in zip(IMAGES, found, strict=True):
        for channel in range(2):
            expected = Image.fromarray(image[:, :, channel]).resize(
                (width, height), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(resized[:, :, channel], expected)


def test_it_reads_like_an_array():
    images = Resized(IMAGES, whole((12, 12), 2))
    assert images.shape == (5, 12, 12, 2) and len(images) == 5
    np.testing.assert_array_equal(images[np.array([3, 1])], images[:][[3, 1]])
    np.testing.assert_array_equal(images[1:3], images[:][1:3])
    assert prepared(IMAGES, (6, 6)) is IMAGES and prepared(IMAGES) is IMAGES


def test_images_of_the_right_size_are_cut_too_where_the_network_has_its_pictures_cut(tmp_path):
    """Else a data set would be read in another way than a file with the same pixels."""
    colours = np.random.default_rng(1).integers(0, 256, (2, 6, 6, 3), np.uint8)
    Image.fromarray(colours[1]).save(tmp_path / "a.png")
    found = prepared(colours, preprocess=CUT)
    np.testing.assert_array_equal(found[1:], CUT.batch(tmp_path / "a.png"))
    assert (found[1:] != colours[1:]).any()


def test_a_data_set_of_another_size():
    digits = data.load("digits", image_size=16)
    assert digits.train_images.shape == (1437, 16, 16, 1)
    assert digits.test_images.shape == (360, 16, 16, 1)
    own = data.load("digits", image_size=8)
    np.testing.assert_array_equal(own.train_images, data.load("digits").train_images)
    assert replace(digits, test_images=own.test_images).class_names == own.class_names
