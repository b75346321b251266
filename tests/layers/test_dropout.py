"""Dropout: what is dropped, how the rest is scaled, and when nothing happens."""

import numpy as np
import pytest

from vitnp.layers import dropout

X = 1.0 + np.random.default_rng(12).random((40, 50, 60))


def drop(x, rate, seed=0, **options):
    return dropout.forward(x, rate, np.random.default_rng(seed), **options)


@pytest.mark.parametrize("per_image", (False, True))
@pytest.mark.parametrize(("rate", "rng"), ((0.5, None), (0.0, np.random.default_rng(0)), (0, None)))
def test_evaluation_and_rate_0_hand_on_the_same_array(rate, rng, per_image):
    """Dropout in evaluation, or scaling there, is a known mistake."""
    y, cache = dropout.forward(X, rate, rng, per_image)
    assert y is X
    assert dropout.backward(X, cache) is X


@pytest.mark.parametrize("rate", (0.1, 0.3, 0.9))
def test_the_share_of_rate_is_dropped_and_the_rest_is_scaled_up(rate):
    y, _ = drop(X, rate)
    kept = y != 0
    assert abs(kept.mean() - (1 - rate)) < 0.005
    np.testing.assert_allclose(y[kept], X[kept] / (1 - rate), rtol=1e-14)


@pytest.mark.parametrize("rate", (0.1, 0.5))
def test_the_mean_stays(rate):
    y, _ = drop(X, rate)
    assert abs(y.mean() / X.mean() - 1) < 0.01


def test_every_number_is_drawn_for_itself():
    y, _ = drop(X, 0.5)
    kept = y != 0
    for axis in range(3):
        assert 0.4 < kept.mean(axis=axis).mean() < 0.6
        assert not (kept == kept.take([0], axis=axis)).all()


def test_per_image_drops_whole_images_and_scales_the_others():
    """A mask (B, 1, 1, 1) on tokens (B, T, D) would broadcast over a fourth axis."""
    y, (mask,) = drop(X, 0.4, per_image=True)
    assert y.shape == X.shape
    assert mask.shape == (40, 1, 1)
    kept = (y != 0).all(axis=(1, 2))
    assert 5 < kept.sum() < 35
    np.testing.assert_array_equal(y[~kept], 0 * X[~kept])
    np.testing.assert_allclose(y[kept], X[kept] / 0.6, rtol=1e-14)


def test_per_image_drops_the_share_of_rate():
    y, _ = drop(np.ones((20_000, 1, 1)), 0.3, per_image=True)
    assert abs((y == 0).mean() - 0.3) < 0.01


@pytest.mark.parametrize("per_image", (False, True))
def test_backward_uses_the_mask_of_forward(per_image):
    y, cache = drop(X, 0.4, per_image=per_image)
    dy = np.random.default_rng(13).standard_normal(X.shape)
    np.testing.assert_allclose(dropout.backward(dy, cache), dy * (y / X), rtol=1e-14)


def test_masks_follow_from_the_generator_alone():
    first, _ = drop(X, 0.5, seed=1)
    np.testing.assert_array_equal(drop(X, 0.5, seed=1)[0], first)
    assert (drop(X, 0.5, seed=2)[0] != first).any()


def test_two_calls_with_one_generator_differ():
    rng = np.random.default_rng(1)
    first, _ = dropout.forward(X, 0.5, rng)
    assert (dropout.forward(X, 0.5, rng)[0] != first).any()


@pytest.mark.parametrize("per_image", (False, True))
def test_float32_stays_and_drops_the_same_as_float64(per_image):
    y, cache = drop(X.astype(np.float32), 0.4, per_image=per_image)
    assert y.dtype == dropout.backward(y, cache).dtype == np.float32
    np.testing.assert_array_equal(y == 0, drop(X, 0.4, per_image=per_image)[0] == 0)
