"""Cross-entropy: against loops, exact values, and numbers known beforehand."""

import math
from pathlib import Path

import naive
import numpy as np
import pytest

from vitnp.errors import Error
from vitnp.layers import cross_entropy, softmax

EXACT = np.load(Path(__file__).parents[1] / "fixtures" / "softmax_xent.npz")
rng = np.random.default_rng(11)
B, K = 3, 5
LOGITS, LABELS = 2.0 * rng.standard_normal((B, K)), np.array([4, 0, 2])
SOFT = rng.dirichlet(np.ones(K), B)
DLOSSES = rng.random(B)


@pytest.mark.parametrize("targets", (LABELS, SOFT), ids=("integers", "soft"))
@pytest.mark.parametrize("smoothing", (0.0, 0.1, 0.3))
def test_losses_and_gradients_equal_loops(targets, smoothing):
    """Smoothing spread over the K - 1 other classes, or targets whose sum is not 1, fail here."""
    losses, cache = cross_entropy.forward(LOGITS, targets, smoothing)
    expected, gradient = naive.cross_entropy(LOGITS, targets, smoothing)
    naive.close(losses, expected)
    naive.close(cross_entropy.backward(DLOSSES, cache), DLOSSES[:, None] * gradient)


@pytest.mark.parametrize("dtype", (np.float64, np.float32))
@pytest.mark.parametrize("name", ("smooth0", "smooth0.1", "smooth0.3", "soft"))
def test_exact_values(name, dtype):
    """Ten rows, with logits up to 1e4 in size; the loss of float32 to 3e-7 of itself."""
    targets = EXACT["soft_targets" if name == "soft" else "labels"]
    smoothing = 0.0 if name == "soft" else float(name.removeprefix("smooth"))
    losses, cache = cross_entropy.forward(EXACT["logits"].astype(dtype), targets, smoothing)
    dlogits = cross_entropy.backward(np.full(10, 1 / 10, dtype), cache)
    assert losses.dtype == dlogits.dtype == dtype
    bound = 1e-15 if dtype == np.float64 else 3e-7
    expected = EXACT[f"{name}/loss_per_example"]
    assert (np.abs(losses - expected) <= bound * np.maximum(1, expected)).all()
    assert np.abs(dlogits - EXACT[f"{name}/grad_mean"]).max() <= bound / 10


def test_softmax_has_the_same_exact_values():
    naive.close(softmax.forward(EXACT["logits"])[0], EXACT["softmax"], atol=1e-15)


def test_perfect_logits_cost_nothing():
    """A second softmax in front cannot get below 0.9 with 5 classes."""
    losses, _ = cross_entropy.forward(50.0 * np.eye(K)[LABELS], LABELS)
    assert (np.abs(losses) < 1e-15).all()


@pytest.mark.parametrize("smoothing", (0.0, 0.2))
def test_equal_logits_cost_the_logarithm_of_the_classes(smoothing):
    losses, cache = cross_entropy.forward(np.full((B, K), 3.7), LABELS, smoothing)
    naive.close(losses, np.full(B, math.log(K)))
    target = (1 - smoothing) * np.eye(K)[LABELS] + smoothing / K
    naive.close(cross_entropy.backward(np.ones(B), cache), 1 / K - target)


def test_no_smoothing_is_the_default():
    naive.close(cross_entropy.forward(LOGITS, LABELS)[0],
                cross_entropy.forward(LOGITS, LABELS, smoothing=0.0)[0], atol=0)


@pytest.mark.parametrize("smoothing", (0.0, 0.1))
def test_integers_equal_one_hot_rows(smoothing):
    integers, cache = cross_entropy.forward(LOGITS, LABELS, smoothing)
    rows, rows_cache = cross_entropy.forward(LOGITS, np.eye(K)[LABELS], smoothing)
    np.testing.assert_array_equal(integers, rows)
    np.testing.assert_array_equal(cross_entropy.backward(DLOSSES, cache),
                                  cross_entropy.backward(DLOSSES, rows_cache))


@pytest.mark.parametrize("dtype", (np.uint8, np.int32, np.int64))
def test_labels_of_every_integer_type(dtype):
    losses, _ = cross_entropy.forward(LOGITS, LABELS.astype(dtype))
    np.testing.assert_array_equal(losses, cross_entropy.forward(LOGITS, LABELS)[0])


@pytest.mark.parametrize("targets", (LABELS, SOFT), ids=("integers", "soft"))
def test_rows_of_the_gradient_sum_to_zero(targets):
    """Targets whose sum is not 1 after smoothing miss this."""
    _, cache = cross_entropy.forward(LOGITS, targets, 0.1)
    naive.close(cross_entropy.backward(DLOSSES, cache).sum(axis=1), np.zeros(B))


@pytest.mark.parametrize("targets", (LABELS, SOFT), ids=("integers", "soft"))
def test_targets_stay_unchanged(targets):
    """Smoothing in place would smooth the caller's targets again in each step."""
    kept = targets.copy()
    _, cache = cross_entropy.forward(LOGITS, targets, 0.1)
    cross_entropy.backward(DLOSSES, cache)
    np.testing.assert_array_equal(targets, kept)


def test_a_shift_of_the_logits_changes_nothing():
    naive.close(cross_entropy.forward(LOGITS + 100.0, LABELS)[0],
                cross_entropy.forward(LOGITS, LABELS)[0], atol=1e-13)


def test_only_dlosses_knows_the_size_of_the_batch():
    """With a mean inside, loss or gradient of an image would depend on how many there are."""
    losses, cache = cross_entropy.forward(LOGITS, LABELS)
    assert losses.shape == (B,)
    gradient = cross_entropy.backward(DLOSSES, cache)
    naive.close(cross_entropy.backward(2 * DLOSSES, cache), 2 * gradient, atol=0)
    for i in range(B):
        one = slice(i, i + 1)
        loss, cache = cross_entropy.forward(LOGITS[one], LABELS[one])
        naive.close(loss, losses[one])
        naive.close(cross_entropy.backward(DLOSSES[one], cache), gradient[one])


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_large_logits_stay_finite(dtype):
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]], dtype)
    losses, cache = cross_entropy.forward(logits, np.array([1, 1]))
    naive.close(losses, [2e4, math.log(2)], atol=1e-7)
    dlogits = cross_entropy.backward(np.ones(2, dtype), cache)
    naive.close(dlogits, [[1, -1, 0], [0, -0.5, 0.5]], atol=1e-7)


def test_a_class_without_probability_costs_nothing_unless_it_is_the_label():
    """0 · ∞ is no number: classes that are ruled out, by a logit of -∞, would spoil the loss."""
    logits = np.array([[1.0, -np.inf, 0.0], [-np.inf, 2.0, -np.inf]])
    losses, cache = cross_entropy.forward(logits, np.array([0, 1]))
    naive.close(losses, [math.log(1 + math.exp(-1)), 0.0])
    share = 1 / (1 + math.e)
    naive.close(cross_entropy.backward(np.ones(2), cache), [[-share, 0, share], [0, 0, 0]])
    soft = np.array([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    assert np.isfinite(cross_entropy.forward(logits, soft)[0]).all()
    assert cross_entropy.forward(logits, np.array([1, 1]))[0][0] == np.inf


@pytest.mark.parametrize(("targets", "words"), (
    (LABELS[:, None], r"of the shape \(\d+, 1\) do not fit logits .* give a class for each"),
    (LABELS[:-1], "do not fit logits"),
    (LABELS.astype(float), "classes are whole numbers, but the targets are of type float64"),
    (LABELS > 0, "whole numbers, but the targets are of type bool"),
    (LABELS + K, "targets go from .* but the classes are 0 to"),
    (LABELS - K, "targets go from -"),
    (list(LABELS), "argument 2 of 2 is no array, but of type list; make one of it with numpy")))
def test_targets_that_are_no_classes_are_refused(targets, words):
    with pytest.raises(Error, match=words):
        cross_entropy.forward(LOGITS, targets)
