"""The optimisers, clipping and schedules on values worked out by hand."""

import math
from itertools import pairwise

import numpy as np
import pytest

from vitnp import optim
from vitnp.errors import Error

WHOLE = [(slice(0, 1), 1.0, 0.0)]


def adamw_by_hand(w, gradients, rate, decay, beta1=0.9, beta2=0.999, eps=1e-8):
    """Return w after AdamW on single numbers, in the paper's order."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        mean, variance = m / (1 - beta1**t), v / (1 - beta2**t)
        w = w - rate * (mean / (math.sqrt(variance) + eps) + decay * w)
    return w


def run_adamw(gradients, groups, start=2.0, rate=0.1):
    w, m, v = np.full(1, start), np.zeros(1), np.zeros(1)
    for t, g in enumerate(gradients, start=1):
        optim.adamw(w, np.full(1, g), m, v, t, rate, groups)
    return w[0]


def test_adamw_first_step_moves_by_the_rate_whatever_the_gradient():
    """Without the bias correction the step would be 3.2 times as long."""
    assert abs(run_adamw([1e-3], WHOLE) - 1.9) < 1e-5


@pytest.mark.parametrize("decay", (0.0, 0.3))
def test_adamw_three_steps_by_hand(decay):
    gradients = [0.5, -2.0, 0.1]
    found = run_adamw(gradients, [(slice(0, 1), 1.0, decay)])
    assert abs(found - adamw_by_hand(2.0, gradients, 0.1, decay)) < 1e-14


def test_adamw_decay_is_of_the_weight_before_the_step():
    """Decaying the updated weight differs by rate² · decay."""
    assert abs(run_adamw([1.0], [(slice(0, 1), 1.0, 1.0)]) - (2.0 - 0.1 - 0.1 * 2.0)) < 1e-7


def test_adamw_decay_does_not_pass_through_the_moments():
    """With the decay added to the gradient, a zero gradient would give a whole step."""
    assert abs(run_adamw([0.0], [(slice(0, 1), 1.0, 0.5)]) - (2.0 - 0.1 * 0.5 * 2.0)) < 1e-14


def test_sgd_momentum_by_hand():
    w, m = np.full(1, 2.0), np.zeros(1)
    for g in (1.0, 3.0):
        optim.sgd(w, np.full(1, g), m, 0.1, [(slice(0, 1), 1.0, 0.5)], momentum=0.9)
    first = 2.0 - 0.1 * (1.0 + 0.5 * 2.0)
    assert abs(w[0] - (first - 0.1 * (0.9 * 1.0 + 3.0 + 0.5 * first))) < 1e-14


@pytest.mark.parametrize("optimiser", ("adamw", "sgd"))
def test_groups_and_pieces_give_each_entry_its_own_rate_and_decay(optimiser):
    """A buffer longer than three pieces, in two groups: entry by entry the same as one alone."""
    size, border = 3 * optim.PIECE + 17, optim.PIECE + 5
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal((2, size))
    groups = [(slice(0, border), 1.0, 0.4), (slice(border, size), 0.5, 0.0)]
    w, m, v = start.copy(), np.zeros(size), np.zeros(size)
    if optimiser == "adamw":
        optim.adamw(w, gradients, m, v, 1, 0.01, groups)
        moved = gradients / (np.abs(gradients) + 1e-8)
    else:
        optim.sgd(w, gradients, m, 0.01, groups)
        moved = gradients
    expected = start - 0.01 * (moved + 0.4 * start)
    expected[border:] = (start - 0.005 * moved)[border:]
    np.testing.assert_allclose(w, expected, rtol=0, atol=1e-13)


def test_float32_buffers_stay_float32():
    w, g, m, v = np.ones((4, 5), np.float32)
    optim.adamw(w, g, m, v, 1, 0.01, [(slice(0, 5), 1.0, 0.1)])
    optim.clip_by_global_norm(g, optim.global_norm(g), 0.5)
    optim.sgd(w, g, m, 0.01, [(slice(0, 5), 1.0, 0.1)])
    assert {a.dtype for a in (w, g, m, v)} == {np.dtype(np.float32)}


def test_clipping_keeps_the_direction_and_leaves_short_gradients_alone():
    long, short, zero = np.array([3.0, 4.0]), np.array([0.3, 0.4]), np.zeros(2)
    for gradients in (long, short, zero):
        optim.clip_by_global_norm(gradients, optim.global_norm(gradients), 1.0)
    np.testing.assert_allclose(long, [0.6, 0.8], rtol=1e-15)
    np.testing.assert_array_equal(short, [0.3, 0.4])
    np.testing.assert_array_equal(zero, 0.0)


def test_cosine_schedule_at_its_corners():
    rates = [optim.schedule(step, 1.0, 4, 12, end=0.2) for step in range(14)]
    np.testing.assert_allclose(rates[:5], [0, 0.25, 0.5, 0.75, 1.0])
    assert abs(rates[8] - 0.6) < 1e-15                          # half way down
    assert rates[12] == rates[13] == 0.2                        # and never up again
    assert all(a > b for a, b in pairwise(rates[4:13]))


def test_linear_schedule_and_no_warmup():
    assert [optim.schedule(step, 1.0, 0, 4, decay="linear") for step in range(5)] == [
        1.0, 0.75, 0.5, 0.25, 0.0]
    assert optim.schedule(3, 1.0, 5, 5) == 0.6                  # a warm-up to the very end


def test_a_misspelt_decay_is_refused():
    with pytest.raises(Error, match="no decay 'cos' of the learning rate; possible are cosine and"):
        optim.schedule(0, 1e-3, 0, 10, decay="cos")
