"""What a recipe does to a batch: each option reaches its operation, and labels stay with images."""

from dataclasses import replace

import numpy as np
import pytest

from vitnp.data.augment import augmented
from vitnp.runs.recipe import Recipe

NOTHING = Recipe(crop_padding=0, rotate=0.0, rescale=0.0)
IMAGES = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), np.uint8)
LABELS = np.arange(16) % 5


def changed(seed=0, **options):
    return augmented(IMAGES, LABELS, 5, replace(NOTHING, **options), np.random.default_rng(seed))


def test_without_options_nothing_is_changed_and_targets_are_the_labels():
    images, targets = changed()
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(targets, LABELS)


@pytest.mark.parametrize("options", [
    {"crop_padding": 2}, {"rotate": 10.0}, {"rescale": 0.2}, {"flip": 1.0}, {"resized_crop": 0.3},
    {"randaugment": 2, "magnitude": 9.0}, {"erase": 1.0}, {"mixup": 1.0}, {"cutmix": 1.0},
], ids=lambda options: next(iter(options)))
def test_each_option_changes_images_by_its_generator_alone(options):
    kept = IMAGES.copy()
    first, targets = changed(**options)
    again, _ = changed(**options)
    other, _ = changed(seed=1, **options)
    assert first.shape == IMAGES.shape and first.dtype == np.uint8
    assert (first != IMAGES).mean() > 0.02
    np.testing.assert_array_equal(first, again)
    assert "flip" in options or (first != other).any()
    np.testing.assert_array_equal(IMAGES, kept)
    if targets.ndim == 1:
        np.testing.assert_array_equal(targets, LABELS)
    else:
        assert targets.shape == (16, 5) and targets.dtype == np.float32
        np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)


def test_of_mixup_and_cutmix_each_batch_takes_one():
    """A mean of two pictures has pixels that neither has; a picture with a box of another, none."""
    images = np.zeros((16, 8, 8, 1), np.uint8)
    images[1::2] = 200
    recipe, pasted = replace(NOTHING, mixup=1.0, cutmix=1.0), 0
    for seed in range(40):
        mixed, targets = augmented(images, LABELS, 5, recipe, np.random.default_rng(seed))
        pasted += np.isin(mixed, (0, 200)).all()
        assert targets.shape == (16, 5)
    assert 10 < pasted < 30
