"""Random crops: what moves, what comes in, and that labels still fit their images."""

import numpy as np

from vitnp.data import augment


def test_each_image_is_moved_as_a_whole_within_the_padding_and_zeros_come_in():
    images = np.arange(1, 1 + 40 * 4 * 5 * 2, dtype=np.uint16).reshape(40, 4, 5, 2)
    moved = augment.random_crop(images, 1, np.random.default_rng(0))
    assert moved.shape == images.shape and moved.dtype == images.dtype
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = set()
    for image, frame in zip(moved, padded, strict=True):
        fits = [(top, left) for top in range(3) for left in range(3)
                if (frame[top:top + 4, left:left + 5] == image).all()]
        assert len(fits) == 1
        shifts |= set(fits)
    assert len(shifts) == 9                                     # every shift occurs


def test_no_padding_changes_nothing_and_the_original_stays():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 1), np.uint8)
    kept = images.copy()
    np.testing.assert_array_equal(augment.random_crop(images, 0, np.random.default_rng(0)), kept)
    augment.random_crop(images, 2, np.random.default_rng(0))
    np.testing.assert_array_equal(images, kept)
