"""RandAugment: which operation an image draws, how strong it is, and that groups stay apart."""

import numpy as np
import pytest
import strict_cupy

from vitnp.data import randaugment as module
from vitnp.data.randaugment import OPERATIONS, randaugment

WITHOUT_STRENGTH = ("autocontrast", "equalize")
SHAPES = pytest.mark.parametrize("shape", ((40, 9, 12, 3), (40, 12, 7, 1), (1, 8, 8, 3)), ids=str)
EACH = pytest.mark.parametrize("name", OPERATIONS)


def random_images(shape, seed=0):
    return np.random.default_rng(seed).integers(20, 230, shape, np.uint8)


class Drawing:
    """A generator in which every image draws the operation `name` and one sign."""

    def __init__(self, name, positive):
        self.number, self.key = list(OPERATIONS).index(name), 0.9 if positive else 0.1

    def integers(self, low, high, size):
        return np.full(size, self.number)

    def random(self, size):
        return np.full(size, self.key)


@SHAPES
def test_shape_and_type_stay_the_images_are_not_changed_and_a_seed_repeats(shape):
    images = random_images(shape)
    kept = images.copy()
    changed, again = (randaugment(images, 2, 9, np.random.default_rng(1)) for _ in range(2))
    assert changed.shape == shape and changed.dtype == np.uint8
    np.testing.assert_array_equal(images, kept)
    np.testing.assert_array_equal(changed, again)
    other = randaugment(images, 2, 9, np.random.default_rng(2))
    assert len(images) == 1 or (other != changed).any()


@SHAPES
def test_both_devices_draw_and_give_the_same_and_read_nothing_back(shape):
    """In one round: what follows may make one level into many (equalize, solarize)."""
    images = random_images(shape)
    ours, theirs = np.random.default_rng(2), np.random.default_rng(2)
    expected = randaugment(images, 1, 9, ours)
    with strict_cupy.forbid_host_reads():
        changed = randaugment(strict_cupy.asarray(images), 1, 9, theirs)
    assert ours.random() == theirs.random()
    assert abs(changed.get().astype(int) - expected).max() <= 1


def test_no_round_and_magnitude_0_change_nothing():
    images = random_images((60, 8, 8, 3))
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(randaugment(images, 0, 9, rng), images)
    for name in set(OPERATIONS) - set(WITHOUT_STRENGTH):
        for positive in (False, True):
            np.testing.assert_array_equal(randaugment(images, 3, 0, Drawing(name, positive)),
                                          images, name)


@EACH
def test_every_operation_but_the_identity_changes_something_more_when_stronger(name):
    rng = np.random.default_rng(0)
    slopes, noise = rng.uniform(-6, 6, (2, 8, 1, 1, 3)), rng.uniform(-8, 8, (8, 16, 16, 3))
    y, x, _ = np.mgrid[-8:8, -8:8, 0:1]                         # each of the shape (16, 16, 1)
    images = (125 + slopes[0] * y + slopes[1] * x + noise).astype(np.uint8)
    distances = [abs(randaugment(images, 1, magnitude, Drawing(name, True)).astype(int)
                     - images).mean() for magnitude in (3, 10)]
    if name == "identity":
        assert distances == [0, 0]
    elif name in WITHOUT_STRENGTH:
        assert distances[0] == distances[1] > 0
    else:
        assert 0 < distances[0] < distances[1]


@pytest.mark.parametrize("name", ("brightness", "contrast", "saturation", "sharpness", "rotate",
                                  "shear x", "shear y", "translate x", "translate y"))
def test_the_sign_reverses_the_operations_that_have_a_direction(name):
    images = random_images((1, 16, 16, 3))
    down, up = (randaugment(images, 1, 8, Drawing(name, positive)) for positive in (False, True))
    assert (down != up).any()


def test_each_image_draws_its_own_operation_and_all_about_as_often():
    """Found by counting the images of each group that reach the operations."""
    counts = dict.fromkeys(OPERATIONS, 0)
    images = random_images((2800, 4, 4, 1))

    def counting(name):
        def operation(images, strength):
            counts[name] += len(images)
            assert set(np.abs(strength).tolist()) == {0.7}
            assert abs((strength > 0).mean() - 0.5) < 0.2
            return images
        return operation

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "OPERATIONS", {name: counting(name) for name in OPERATIONS})
        np.testing.assert_array_equal(
            module.randaugment(images, 1, 7, np.random.default_rng(0)), images)
    assert sum(counts.values()) == 2800
    assert min(counts.values()) > 140 and max(counts.values()) < 260


def test_images_that_drew_alike_come_back_to_their_own_places():
    """A batch of one picture each time gives the same as the batch, for the same draws."""
    images = random_images((40, 8, 8, 3))
    changed = randaugment(images, 1, 9, np.random.default_rng(4))
    rng = np.random.default_rng(4)
    drawn, keys = rng.integers(0, len(OPERATIONS), 40), rng.random(40)
    for i, (number, key) in enumerate(zip(drawn, keys, strict=True)):
        drawing = Drawing(list(OPERATIONS)[number], key >= 0.5)
        np.testing.assert_array_equal(randaugment(images[i:i + 1], 1, 9, drawing)[0], changed[i])


def test_each_round_goes_on_from_the_one_before():
    images = random_images((3, 16, 16, 3))
    drawing = Drawing("translate x", True)
    twice = randaugment(randaugment(images, 1, 4, drawing), 1, 4, drawing)
    np.testing.assert_array_equal(randaugment(images, 2, 4, drawing), twice)


def test_what_is_drawn_depends_on_the_number_of_images_alone():
    after = []
    for shape in ((6, 4, 5, 1), (6, 9, 7, 3)):
        rng = np.random.default_rng(3)
        randaugment(random_images(shape), 2, 5, rng)
        after.append(rng.random())
    assert after[0] == after[1]


# The geometric operations, on pictures where the right answer is known.

def test_translate_moves_by_whole_pixels_in_the_named_direction_and_grey_comes_in():
    images = random_images((1, 32, 64, 3))
    right = OPERATIONS["translate x"](images, np.array([0.5]))
    np.testing.assert_array_equal(right[:, :, 10:], images[:, :, :-10])
    assert (right[:, :, :10] == 128).all()
    up = OPERATIONS["translate y"](images, np.array([-1.0]))
    np.testing.assert_array_equal(up[:, :-10], images[:, 10:])
    assert (up[:, -10:] == 128).all()


def test_rotate_keeps_a_disc_in_its_place_and_turns_a_quarter_exactly():
    images = random_images((2, 9, 9, 1))
    quarter = module.rotate(images, np.array([90.0, -90.0]))
    np.testing.assert_array_equal(quarter[0], np.rot90(images[0], -1))
    np.testing.assert_array_equal(quarter[1], np.rot90(images[1]))
    y, x = np.mgrid[-15.5:16, -15.5:16]
    disc = np.where(y**2 + x**2 < 100, 128 + 100, 128).astype(np.uint8).reshape(1, 32, 32, 1)
    turned = OPERATIONS["rotate"](disc, np.array([1.0]))
    edge = (y**2 + x**2 > 70) & (y**2 + x**2 < 135)
    assert (turned == disc)[0, ~edge].all()


def test_shear_moves_each_row_sideways_about_the_middle():
    line = np.full((1, 21, 41, 1), 128, np.uint8)
    line[:, :, 20] = 228                                        # upright, through the middle
    sheared = OPERATIONS["shear x"](line, np.array([1.0])).astype(float)[0, ..., 0] - 128
    centre = (sheared * np.arange(41)).sum(axis=1) / sheared.sum(axis=1)
    np.testing.assert_allclose(centre, 20 - 0.3 * (np.arange(21) - 10), atol=0.02)
    flat = OPERATIONS["shear y"](line.transpose(0, 2, 1, 3), np.array([1.0]))
    np.testing.assert_array_equal(flat.transpose(0, 2, 1, 3)[0, ..., 0] - 128.0, sheared)


def test_largest_strengths_of_the_colours():
    images = random_images((1, 8, 8, 3))
    darkest = OPERATIONS["brightness"](images, np.array([-1.0]))
    np.testing.assert_array_equal(darkest, np.rint(images * np.float32(0.1)).astype(np.uint8))
    np.testing.assert_array_equal(OPERATIONS["posterize"](images, np.array([1.0])), images & 0xF0)
    np.testing.assert_array_equal(OPERATIONS["solarize"](images, np.array([-1.0])), 255 - images)
