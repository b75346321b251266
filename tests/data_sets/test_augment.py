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


class Fixed:
    """A generator whose draws are all the upper end of their range."""

    def uniform(self, low, high, shape):
        return np.full(shape, high)


def test_affine_of_nothing_is_the_identity_and_the_original_stays():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 2), np.uint8)
    kept = images.copy()
    same = augment.random_affine(images, 0, 0, np.random.default_rng(0))
    assert same.dtype == np.uint8
    np.testing.assert_array_equal(same, kept)
    augment.random_affine(images, 30, 0.5, np.random.default_rng(0))
    np.testing.assert_array_equal(images, kept)


def test_affine_turns_about_the_centre_without_stretching():
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 1), np.uint8)
    turned = augment.random_affine(images, 90, 0.0, Fixed())
    np.testing.assert_array_equal(turned, np.rot90(images, -1, axes=(1, 2)))


def test_affine_scales_about_the_centre_and_zeros_come_in_from_outside():
    images = np.full((1, 8, 8, 1), 200, np.uint8)
    half = augment.random_affine(images, 0, 1.0, Fixed())[0, :, :, 0]
    assert (half[2:6, 2:6] == 200).all()
    assert (half[[0, 7]] == 0).all() and (half[:, [0, 7]] == 0).all()


def test_affine_draws_anew_for_each_image_and_stays_between_the_values():
    image = np.random.default_rng(0).integers(10, 200, (1, 8, 8, 1), np.uint8)
    moved = augment.random_affine(np.repeat(image, 50, axis=0), 15, 0.2, np.random.default_rng(0))
    assert len({one.tobytes() for one in moved}) == 50
    assert moved.max() <= image.max()
