"""The numbers behind the paper's figures, on attention and weights whose answers are known."""

import itertools
import math

import numpy as np
import pytest

from vitnp.analysis import interpret

rng = np.random.default_rng(0)


def random_attention(B=2, H=3, T=7):
    weights = rng.random((B, H, T, T))
    return weights / weights.sum(axis=-1, keepdims=True)


def test_components_find_the_pictures_that_filters_are_made_of():
    """Two orthogonal pictures, mixed into 40 filters: two components, the stronger one first."""
    strong, weak = np.zeros((2, 3, 3, 2))
    strong[0, 1], weak[2, 2] = 0.5**0.5, 0.5**0.5
    mixture = rng.standard_normal((40, 2)) * (5.0, 1.0)
    weight = (mixture @ np.stack([strong.ravel(), weak.ravel()])).T         # (18, 40)
    pictures, shares = interpret.filter_components(weight, 3, count=4)
    assert pictures.shape == (4, 3, 3, 2) and shares[:2].sum() > 1 - 1e-12
    assert shares[0] > 0.8
    assert abs((pictures[0] * strong).sum()) > 0.98 and abs((pictures[1] * weak).sum()) > 0.98


def test_there_are_no_more_components_than_filters_and_zeros_are_no_mistake():
    assert interpret.filter_components(rng.standard_normal((12, 5)), 2)[0].shape == (5, 2, 2, 3)
    assert np.isfinite(interpret.filter_components(np.zeros((12, 5)), 2)[1]).all()


def test_similarity_is_the_cosine():
    position = np.array([[1.0, 0, 0], [2, 0, 0], [0, 3, 0], [-1, 0, 0], [1, 1, 0], [0, 0, 0]])
    found = interpret.position_similarity(position)
    half = math.sqrt(0.5)
    np.testing.assert_allclose(found[0], [1, 1, 0, -1, half, 0], atol=1e-12)
    np.testing.assert_allclose(found, found.T)


@pytest.mark.parametrize("class_token", [0, 1])
def test_distance_of_heads_that_look_at_one_place(class_token):
    """A grid of 2 x 3, patches of 4 pixels: at itself, at the patch to the right, at the corner."""
    attention = np.zeros((1, 3, 6 + class_token, 6 + class_token))
    for i in range(6):
        row = i + class_token
        attention[0, 0, row, row] = 1
        attention[0, 1, row, class_token + (i + 1 if i % 3 < 2 else i)] = 1
        attention[0, 2, row, class_token] = 1
    corner = [math.hypot(y, x) for y, x in itertools.product(range(2), range(3))]
    expected = [0, 4 * 2 / 3, 4 * np.mean(corner)]
    np.testing.assert_allclose(interpret.attention_distance(attention, (2, 3), 4), [expected])


def test_attention_to_the_class_token_does_not_make_distances_shorter():
    attention = random_attention()
    patches = attention[:, :, 1:, 1:] / attention[:, :, 1:, 1:].sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(interpret.attention_distance(attention, (2, 3), 4),
                               interpret.attention_distance(patches, (2, 3), 4))


@pytest.mark.parametrize("T", [6, 7])
def test_rollout_is_the_sum_over_all_ways_through_the_blocks(T):
    attentions = [random_attention(T=T) for _ in range(3)]
    steps = [0.5 * a.mean(axis=1) + 0.5 * np.eye(T) for a in attentions]
    expected = np.zeros((2, T, T))
    for way in itertools.product(range(T), repeat=4):
        last, third, second, first = way
        expected[:, last, first] += (steps[2][:, last, third] * steps[1][:, third, second]
                                     * steps[0][:, second, first])
    expected = expected[:, 0, 1:] if T == 7 else expected.mean(axis=1)
    found = interpret.attention_rollout(attentions, (2, 3))
    assert found.shape == (2, 2, 3)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), 1)
    np.testing.assert_allclose(
        found.reshape(2, 6), expected / expected.sum(axis=1, keepdims=True))


def test_rollout_of_heads_that_look_at_themselves_is_even():
    identity = np.broadcast_to(np.eye(6), (1, 2, 6, 6))
    np.testing.assert_allclose(interpret.attention_rollout([identity] * 4, (2, 3)), 1 / 6)
