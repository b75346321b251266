"""Crops, flips and turns: what moves, what comes in, that each image draws its own."""

import numpy as np
import pytest
import strict_cupy

from vitnp.data import geometry

OPERATIONS = {
    "crop": lambda images, rng: geometry.random_crop(images, 2, rng),
    "flip": lambda images, rng: geometry.random_flip(images, rng),
    "affine": lambda images, rng: geometry.random_affine(images, 20, 0.2, rng),
    "resized crop": lambda images, rng: geometry.random_resized_crop(images, 0.3, rng),
}
NOTHING = {
    "crop": lambda images, rng: geometry.random_crop(images, 0, rng),
    "flip": lambda images, rng: geometry.random_flip(images, rng, 0.0),
    "affine": lambda images, rng: geometry.random_affine(images, 0, 0, rng),
    "resized crop": lambda images, rng: geometry.random_resized_crop(images, 1.0, rng),
}
SHAPES = ((5, 7, 6, 3), (4, 6, 9, 1), (1, 5, 8, 3), (3, 1, 2, 1))
ALL = pytest.mark.parametrize("name", OPERATIONS)
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=str)


def random_images(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


class Fixed:
    """A generator whose draws are all the upper end of their range."""

    def uniform(self, low, high, shape):
        return np.full(shape, high)


# What holds for every operation.

@ALL
@EACH_SHAPE
def test_shape_and_type_stay_the_images_are_not_changed_and_a_seed_repeats(name, shape):
    images = random_images(shape)
    kept = images.copy()
    moved, again = (OPERATIONS[name](images, np.random.default_rng(1)) for _ in range(2))
    assert moved.shape == shape and moved.dtype == np.uint8
    assert not np.shares_memory(moved, images)
    np.testing.assert_array_equal(images, kept)
    np.testing.assert_array_equal(moved, again)


@ALL
@EACH_SHAPE
def test_the_least_strength_is_the_identity(name, shape):
    images = random_images(shape)
    np.testing.assert_array_equal(NOTHING[name](images, np.random.default_rng(0)), images)


@ALL
@EACH_SHAPE
def test_both_devices_draw_and_give_the_same_and_read_nothing_back(name, shape):
    images = random_images(shape)
    ours, theirs = np.random.default_rng(2), np.random.default_rng(2)
    expected = OPERATIONS[name](images, ours)
    with strict_cupy.forbid_host_reads():
        moved = OPERATIONS[name](strict_cupy.asarray(images), theirs)
    assert ours.random() == theirs.random()
    assert moved.dtype == np.uint8
    assert abs(moved.get().astype(int) - expected).max() <= 1


@ALL
def test_what_is_drawn_depends_on_the_number_of_images_alone(name):
    after = []
    for shape in ((6, 4, 5, 1), (6, 9, 7, 3)):
        rng = np.random.default_rng(3)
        OPERATIONS[name](random_images(shape), rng)
        after.append(rng.random())
    assert after[0] == after[1]


@pytest.mark.parametrize(("name", "least"), (("crop", 20), ("flip", 2), ("affine", 60),
                                             ("resized crop", 60)))
def test_each_image_draws_its_own(name, least):
    images = np.repeat(random_images((1, 8, 8, 1)), 64, axis=0)
    moved = OPERATIONS[name](images, np.random.default_rng(0))
    assert len({image.tobytes() for image in moved}) >= least


# Crops

def test_each_image_is_moved_as_a_whole_within_the_padding_and_zeros_come_in():
    images = np.arange(1, 1 + 40 * 4 * 5 * 2, dtype=np.uint16).reshape(40, 4, 5, 2)
    moved = geometry.random_crop(images, 1, np.random.default_rng(0))
    assert moved.shape == images.shape and moved.dtype == images.dtype
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifts = set()
    for image, frame in zip(moved, padded, strict=True):
        fits = [(top, left) for top in range(3) for left in range(3)
                if (frame[top:top + 4, left:left + 5] == image).all()]
        assert len(fits) == 1
        shifts |= set(fits)
    assert len(shifts) == 9                                     # every shift occurs


# Flips

def test_about_the_given_share_is_flipped_left_to_right_and_the_rest_stays():
    images = random_images((2000, 2, 4, 3))
    for probability in (0.5, 0.2):
        flipped = geometry.random_flip(images, np.random.default_rng(0), probability)
        turned = (flipped == images[:, :, ::-1]).all(axis=(1, 2, 3))
        assert (turned | (flipped == images).all(axis=(1, 2, 3))).all()
        assert abs(turned.mean() - probability) < 0.05


# Turns: the results and the draws are those of the first version, which runs were trained with.

def first_affine(images, degrees, scale, rng):
    """Turn and scale in the plainest way: four pixels gathered by their coordinates."""
    B, height, width, _ = images.shape
    angle = np.radians(rng.uniform(-degrees, degrees, (B, 1, 1)))
    down, across = rng.uniform(1.0 - scale, 1.0 + scale, (2, B, 1, 1))
    y = np.arange(height)[:, None] - (height - 1) / 2
    x = np.arange(width)[None] - (width - 1) / 2
    row = (np.cos(angle) * y - np.sin(angle) * x) * down + (height - 1) / 2
    column = (np.sin(angle) * y + np.cos(angle) * x) * across + (width - 1) / 2
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    image = np.arange(B)[:, None, None]
    result = np.zeros(images.shape)
    for i in (0, 1):
        for j in (0, 1):
            weight = (1 - abs(row - top - i)) * (1 - abs(column - left - j))
            place = np.clip(top + i + 1, 0, height + 1), np.clip(left + j + 1, 0, width + 1)
            result += weight[..., None] * padded[image, *place]
    return np.round(result).astype(images.dtype)


@EACH_SHAPE
@pytest.mark.parametrize(("degrees", "scale"), ((15, 0.1), (180, 0.9), (0, 0.5), (90, 0)))
def test_affine_is_to_the_bit_what_it_was(shape, degrees, scale):
    images = random_images(shape)
    ours, first = np.random.default_rng(5), np.random.default_rng(5)
    for _ in range(10):
        np.testing.assert_array_equal(geometry.random_affine(images, degrees, scale, ours),
                                      first_affine(images, degrees, scale, first))


def test_affine_turns_about_the_centre_without_stretching():
    images = random_images((2, 6, 6, 1))
    turned = geometry.random_affine(images, 90, 0.0, Fixed())
    np.testing.assert_array_equal(turned, np.rot90(images, -1, axes=(1, 2)))


def test_affine_scales_about_the_centre_and_zeros_come_in_from_outside():
    images = np.full((1, 8, 8, 1), 200, np.uint8)
    half = geometry.random_affine(images, 0, 1.0, Fixed())[0, :, :, 0]
    assert (half[2:6, 2:6] == 200).all()
    assert (half[[0, 7]] == 0).all() and (half[:, [0, 7]] == 0).all()


# Resized crops

@pytest.mark.parametrize(("height", "width"), ((32, 32), (20, 60), (60, 20), (1, 5)))
def test_boxes_have_the_areas_asked_for_and_lie_inside(height, width):
    top, left, box_height, box_width = geometry.random_boxes(
        4000, height, width, (0.2, 1.0), (3 / 4, 4 / 3), np.random.default_rng(0))
    area = box_height * box_width / (height * width)
    assert area.min() >= 0.2 - 1e-9 and area.max() <= 1 + 1e-9
    assert abs(area.mean() - 0.6) < 0.02                        # uniform, also where it is tight
    for start, length, limit in ((top, box_height, height), (left, box_width, width)):
        assert start.min() >= -1e-9 and (start + length).max() <= limit * (1 + 1e-9)
        free = (limit - length) > 0.1 * limit
        if free.any():
            assert abs((start[free] / (limit - length)[free]).mean() - 0.5) < 0.03


def test_small_boxes_have_every_shape_between_the_bounds_evenly_on_the_scale_of_logarithms():
    _, _, height, width = geometry.random_boxes(
        4000, 32, 32, (0.1, 0.5), (3 / 4, 4 / 3), np.random.default_rng(0))
    shape = np.log(width / height) / np.log(4 / 3)
    assert shape.min() >= -1 - 1e-9 and shape.max() <= 1 + 1e-9
    quarters, _ = np.histogram(shape, 4, (-1, 1))
    assert abs(quarters / 4000 - 0.25).max() < 0.03


def test_a_box_that_cannot_have_the_shape_takes_the_nearest_that_fits():
    _, _, height, width = geometry.random_boxes(
        100, 10, 40, (0.9, 1.0), (3 / 4, 4 / 3), np.random.default_rng(0))
    np.testing.assert_allclose(height, 10)
    assert (width >= 36 - 1e-9).all()


def test_resized_crop_enlarges_a_part_of_a_ramp_by_its_share_and_keeps_its_slope():
    """On a ramp, sampling between pixels is exact: each row must be a straight line again."""
    width = 128
    ramp = np.broadcast_to(np.arange(width, dtype=np.uint8)[None, None, :, None],
                           (200, 16, width, 1))
    cropped = geometry.random_resized_crop(ramp, 0.25, np.random.default_rng(0))[..., 0]
    assert (cropped == cropped[:, :1]).all()                    # no slope downwards
    steps = np.diff(cropped[:, 0, 8:-8].astype(int), axis=1)    # the ends stay at the last colour
    assert steps.min() >= 0 and steps.max() <= 1
    slope = steps.mean(axis=1)
    _, _, _, part = geometry.random_boxes(
        200, 16, width, (0.25, 1.0), geometry.CROP_ASPECTS, np.random.default_rng(0))
    np.testing.assert_allclose(slope, part / width, atol=0.02)


def test_nothing_comes_in_at_the_edges_of_a_resized_crop():
    images = np.full((50, 6, 8, 3), 200, np.uint8)
    assert (geometry.random_resized_crop(images, 0.5, np.random.default_rng(0)) == 200).all()


# The sampler

def test_sample_weighs_four_pixels_by_nearness_and_takes_the_fill_outside():
    images = np.array([[10, 20], [30, 60]], np.uint8).reshape(1, 2, 2, 1)
    places = {(0, 0): 10, (1, 1): 60, (0.5, 0.5): 30, (0.25, 1): 30, (0, 0.3): 13,
              (-0.5, 0): 105, (1, 1.75): 165, (-1, 0): 200, (-50, 0.5): 200, (0, 2): 200,
              (1e6, 1e6): 200}
    row, column = np.array(list(places), np.float32).T
    found = geometry.sample(images, row.reshape(1, 1, -1), column.reshape(1, 1, -1), 200)
    assert found.shape == (1, 1, len(places), 1)
    assert found.ravel().tolist() == list(places.values())


def test_sample_takes_rows_and_columns_that_are_to_be_combined():
    images = random_images((2, 5, 6, 3))
    row = np.array([[[0.5], [3.0]], [[1.0], [2.25]]], np.float32)           # (2, 2, 1)
    column = np.array([[[0.0, 1.5, 4.0]], [[5.0, 2.0, -0.5]]], np.float32)  # (2, 1, 3)
    apart = geometry.sample(images, row, column, 7)
    together = geometry.sample(images, *np.broadcast_arrays(row, column), 7)
    assert apart.shape == (2, 2, 3, 3)
    np.testing.assert_array_equal(apart, together)
