"""Erasing, mixup and cutmix: that targets say exactly what is in the picture."""

import numpy as np
import pytest
import strict_cupy

from vitnp.data import mixing

SHAPES = pytest.mark.parametrize("shape", ((9, 8, 12, 3), (7, 10, 6, 1), (1, 8, 8, 3),
                                           (4, 1, 3, 1)), ids=str)
MIXTURES = pytest.mark.parametrize("mixture", (mixing.mixup, mixing.cutmix))


def random_images(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def marked(B, height, width, channels=3):
    """Return images whose pixels all are their own number, and targets with a class for each."""
    numbers = np.arange(B, dtype=np.uint8).reshape(B, 1, 1, 1)
    images = np.broadcast_to(numbers, (B, height, width, channels))
    return images, mixing.one_hot(np.arange(B), B)


def test_one_hot_has_a_1_at_each_label_on_both_devices():
    labels = np.array([2, 0, 3, 3])
    targets = mixing.one_hot(labels, 5)
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, np.eye(5)[labels])
    np.testing.assert_array_equal(mixing.one_hot(strict_cupy.asarray(labels), 5).get(), targets)


# Erasing

def erased_boxes(erased, images):
    """Return for each image the mask of what changed, after checking that it is one grey box."""
    changed = (erased != images).any(axis=3)
    for image, mask in zip(erased, changed, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            box = np.s_[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
            assert mask[box].all() and (image[box] == 128).all()
    return changed


def test_erased_are_boxes_of_grey_of_the_promised_areas_shapes_and_share_of_the_images():
    images = np.full((3000, 32, 32, 1), 9, np.uint8)
    changed = erased_boxes(mixing.random_erase(images, 0.4, np.random.default_rng(0)), images)
    hit = changed.any(axis=(1, 2))
    assert abs(hit.mean() - 0.4) < 0.03
    area = changed[hit].mean(axis=(1, 2))
    assert 0.01 < area.min() < 0.03 and 0.31 < area.max() < 0.36
    assert abs(area.mean() - (0.02 + 1 / 3) / 2) < 0.01
    height, width = (changed[hit].any(axis=axis).sum(axis=1) for axis in (2, 1))
    shape = np.log(width / height)
    assert abs(shape.mean()) < 0.06 and shape.std() > 0.5
    place = changed[hit].mean(axis=0)                           # everywhere, most in the middle
    assert place.min() > 0 and place[16, 16] > place[0, 0]


@SHAPES
def test_erasing_keeps_shapes_and_inputs_and_all_of_it_or_none(shape):
    images = random_images(shape)
    kept = images.copy()
    none = mixing.random_erase(images, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(none, images)
    erased = mixing.random_erase(np.where(images == 128, 0, images), 1.0, np.random.default_rng(0))
    assert erased.shape == shape and erased.dtype == np.uint8
    assert (erased == 128).any(axis=(1, 2, 3)).all()            # at least one pixel of each
    np.testing.assert_array_equal(images, kept)


def test_narrow_pictures_lose_at_least_one_pixel_too():
    for shape in ((500, 1, 3, 1), (500, 3, 1, 1), (500, 1, 40, 1), (500, 1, 1, 1)):
        erased = mixing.random_erase(np.zeros(shape, np.uint8), 1.0, np.random.default_rng(0))
        assert (erased == 128).any(axis=(1, 2, 3)).all()


@SHAPES
def test_erasing_is_the_same_on_both_devices(shape):
    images = random_images(shape)
    ours, theirs = np.random.default_rng(2), np.random.default_rng(2)
    expected = mixing.random_erase(images, 0.7, ours)
    with strict_cupy.forbid_host_reads():
        erased = mixing.random_erase(strict_cupy.asarray(images), 0.7, theirs)
    assert ours.random() == theirs.random()
    np.testing.assert_array_equal(erased.get(), expected)


# Mixing

@MIXTURES
@SHAPES
def test_shapes_types_sums_and_inputs_stay_and_a_seed_repeats(mixture, shape):
    images = random_images(shape)
    targets = np.random.default_rng(0).dirichlet(np.ones(4), len(images)).astype(np.float32)
    kept, kept_targets = images.copy(), targets.copy()
    results = [mixture(images, targets, 1.0, np.random.default_rng(1)) for _ in range(2)]
    mixed, mixed_targets = results[0]
    assert mixed.shape == shape and mixed.dtype == np.uint8
    assert mixed_targets.shape == targets.shape and mixed_targets.dtype == np.float32
    np.testing.assert_allclose(mixed_targets.sum(axis=1), 1, atol=1e-6)
    assert (mixed_targets >= 0).all()
    np.testing.assert_array_equal(images, kept)
    np.testing.assert_array_equal(targets, kept_targets)
    for first, second in zip(*results, strict=True):
        np.testing.assert_array_equal(first, second)


@MIXTURES
@SHAPES
def test_mixing_is_the_same_on_both_devices(mixture, shape):
    images, targets = random_images(shape), mixing.one_hot(np.arange(shape[0]) % 3, 3)
    ours, theirs = np.random.default_rng(2), np.random.default_rng(2)
    expected, expected_targets = mixture(images, targets, 0.8, ours)
    with strict_cupy.forbid_host_reads():
        mixed, mixed_targets = mixture(strict_cupy.asarray(images), strict_cupy.asarray(targets),
                                       0.8, theirs)
    assert ours.random() == theirs.random()
    assert abs(mixed.get().astype(int) - expected).max() <= 1
    np.testing.assert_allclose(mixed_targets.get(), expected_targets, atol=1e-6)


@MIXTURES
def test_what_is_drawn_depends_on_the_number_of_images_alone(mixture):
    after = []
    for shape in ((6, 4, 5, 1), (6, 9, 7, 3)):
        rng = np.random.default_rng(3)
        mixture(random_images(shape), mixing.one_hot(np.arange(6), 6), 0.8, rng)
        after.append(rng.random())
    assert after[0] == after[1]


@MIXTURES
def test_each_image_is_the_first_of_one_mixture_and_the_second_of_one(mixture):
    images, targets = marked(64, 16, 16)
    _, mixed = mixture(images, targets, 1.0, np.random.default_rng(0))
    own = mixed[np.arange(64), np.arange(64)]
    partners = np.where(np.eye(64, dtype=bool), 0, mixed)
    assert ((partners > 0).sum(axis=1) <= 1).all() and ((partners > 0).sum(axis=0) <= 1).all()
    assert (partners > 0).any(axis=1).sum() > 55                # hardly any is its own partner
    assert len(set(np.round(own, 3).tolist())) > 40             # a weight for each


def test_mixup_mixes_the_pixels_with_the_weights_of_the_targets():
    images = random_images((40, 5, 6, 3))
    mixed, weights = mixing.mixup(images, mixing.one_hot(np.arange(40), 40), 0.7,
                                  np.random.default_rng(0))
    expected = np.tensordot(weights, images.astype(np.float32), 1)
    assert abs(mixed - expected).max() < 0.5 + 1e-3             # rounded, not cut off


def test_cutmix_targets_are_the_exact_shares_of_pixels_and_boxes_hold_the_partners_pixels():
    B, height, width = 200, 9, 13
    images, targets = marked(B, height, width)
    mixed, weights = mixing.cutmix(images, targets, 1.0, np.random.default_rng(0))
    assert (mixed == mixed[..., :1]).all()
    numbers = mixed[..., 0]
    for i, image in enumerate(numbers):
        shares = np.bincount(image.ravel(), minlength=B) / (height * width)
        np.testing.assert_allclose(weights[i], shares, atol=1e-6)
        foreign = image != i
        rows, columns = foreign.any(axis=1), foreign.any(axis=0)
        assert (foreign == (rows[:, None] & columns)).all()     # a box
        assert (np.diff(np.flatnonzero(rows)) == 1).all()
    noise = random_images((B, height, width, 3))
    cut, _ = mixing.cutmix(noise, targets, 1.0, np.random.default_rng(0))
    place = np.arange(height)[:, None], np.arange(width)
    np.testing.assert_array_equal(cut, noise[numbers, place[0], place[1]])      # not moved


@pytest.mark.parametrize("alpha", (0.2, 1.0, 5.0))
def test_weights_are_distributed_as_beta(alpha):
    images, targets = marked(200, 64, 64, 1)
    _, mixed = mixing.mixup(images, targets, alpha, np.random.default_rng(0))
    own = np.diagonal(mixed)
    assert abs(own.mean() - 0.5) < 0.08
    assert abs(own.var() - 1 / (4 * (2 * alpha + 1))) < 0.03
    _, cut = mixing.cutmix(images, targets, alpha, np.random.default_rng(0))
    assert np.diagonal(cut).mean() > own.mean()                 # boxes are cut off at the edge


def test_cutmix_boxes_lie_everywhere():
    images = np.repeat(np.array([0, 1], np.uint8), 500).reshape(1000, 1, 1, 1)
    images = np.broadcast_to(images, (1000, 12, 24, 1))
    mixed, _ = mixing.cutmix(images, mixing.one_hot(images[:, 0, 0, 0], 2), 1.0,
                             np.random.default_rng(0))
    foreign = (mixed != images).mean(axis=0)[..., 0]
    # The middle lies in half of the boxes, a corner in an eighth; half of the partners differ
    assert abs(foreign[6, 12] - 0.5 / 2) < 0.04
    assert abs(foreign[::11, ::23] - 0.5 / 8).max() < 0.03
