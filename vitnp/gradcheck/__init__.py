"""Finite differences, and the cases on which they check every backward.

    python -m vitnp.gradcheck [--device cpu|gpu|auto] [--only LAYER]

Each layer is checked entry by entry, a small ViT (each pooling and GELU) along random directions
and by some entries of each tensor, all in float64. Parameters are random, since with gamma = 1 or
a head of zeros known mistakes pass. So is the upstream gradient: the rows of softmax and LayerNorm
have a constant sum, so that with ones their gradient is zero, and any backward that returns
zeros passes. The command exits with 1 if a check fails.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vitnp import params
from vitnp.backend import get_xp, to_device, to_host

STEP = 1e-6         # measured best in float64: 2e-10 on a whole block
BOUND = 1e-6        # correct gradients stay far below, the smallest known mistake far above
ZERO_BOUND = 1e-7   # absolute, for gradients that are exactly zero in theory
DIRECTIONS, ENTRIES = 3, 5


@dataclass(frozen=True)
class Case:
    """Something to check: forward(arguments) -> y, cache and backward(dy, cache) -> gradients.

    arguments: a tree of float64 arrays to differentiate by; gradients: a tree of the same names.
    sampled: check some directions and entries in place of every entry.
    """

    name: str
    arguments: dict
    forward: Callable
    backward: Callable
    sampled: bool = False


@dataclass(frozen=True)
class Result:
    """The error of one argument of a case."""

    case: str
    argument: str
    error: float
    verdict: str
    passed: bool


def check(case, rng):
    """Return a Result for each array among the case's arguments; rng draws the upstream dy."""
    y, cache = case.forward(case.arguments)
    dy = to_device(rng.standard_normal(y.shape), get_xp(y))
    gradients = params.flatten(case.backward(dy, cache))

    def loss():
        return float((case.forward(case.arguments)[0] * dy).sum())

    results = []
    for name, array in params.flatten(case.arguments).items():
        gradient = gradients.get(name)
        if gradient is None or gradient.shape != array.shape:
            found = "missing" if gradient is None else f"shape {gradient.shape}, not {array.shape}"
            results.append(Result(case.name, name, np.inf, found, False))
            continue
        for part, array_part, gradient_part in cut_packed(name, array, gradient):
            if case.sampled:
                pairs = [along_directions(loss, array_part, gradient_part, rng),
                         at_entries(loss, array_part, gradient_part, rng)]
            else:
                pairs = [(to_host(gradient_part), numeric_gradient(loss, array_part))]
            results.append(judge(case.name, name + part, pairs))
    return results


def cut_packed(name, array, gradient):
    """Return (suffix, array, gradient) of an argument; the packed bias of q, k, v in three parts.

    The key third has the gradient zero: softmax ignores what all keys have in common.
    """
    if not name.endswith("qkv/bias"):
        return [("", array, gradient)]
    array, gradient = array.reshape(3, -1), gradient.reshape(3, -1)
    suffixes = (" (queries)", " (keys)", " (values)")
    return [(suffix, array[i], gradient[i]) for i, suffix in enumerate(suffixes)]


def judge(case, argument, pairs):
    """Return the Result of pairs (analytic, numeric): max|a - n| / max(max|a|, max|n|), the worst.

    The measure is one for the whole array: an entry alone may be zero, and its quotient noise.
    """
    sizes = [max(np.abs(a).max(), np.abs(n).max()) for a, n in pairs]
    if argument.endswith("qkv/bias (keys)"):
        passed = max(sizes) < ZERO_BOUND
        verdict = "zero, as expected" if passed else "FAILED: not zero"
        return Result(case, argument, max(sizes), verdict, passed)
    error = max(np.abs(a - n).max() / max(size, 1e-300)
                for (a, n), size in zip(pairs, sizes, strict=True))
    passed = bool(error < BOUND)        # false for NaN
    return Result(case, argument, error, "ok" if passed else "FAILED", passed)


def central_difference(loss, array, displacement):
    """Return (loss(array + displacement) - loss(array - displacement)) / 2, array as it was."""
    kept = array.copy()
    array[...] = kept + displacement
    above = loss()
    array[...] = kept - displacement
    below = loss()
    array[...] = kept
    return (above - below) / 2.0


def numeric_gradient(loss, array):
    """Return, as a NumPy array, the gradient of loss() by each entry of `array`, moved in place."""
    result = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        result[index] = entry_slope(loss, array, index)
    return result


def entry_slope(loss, array, index):
    """Return the slope of loss() by one entry, with the step 1e-6 · max(1, |entry|)."""
    step = STEP * max(1.0, abs(float(array[index])))
    displacement = get_xp(array).zeros_like(array)
    displacement[index] = step
    return central_difference(loss, array, displacement) / step


def along_directions(loss, array, gradient, rng):
    """Return (analytic, numeric) slopes along random directions of one array."""
    analytic, numeric = [], []
    for _ in range(DIRECTIONS):
        direction = to_device(rng.standard_normal(array.shape), get_xp(array))
        analytic.append(float((gradient * direction).sum()))
        numeric.append(central_difference(loss, array, STEP * direction) / STEP)
    return np.array(analytic), np.array(numeric)


def at_entries(loss, array, gradient, rng):
    """Return (analytic, numeric) slopes by some entries, among them the steepest one."""
    gradient = to_host(gradient)
    places = [int(np.abs(gradient).argmax()), *rng.integers(array.size, size=ENTRIES - 1)]
    places = [tuple(map(int, np.unravel_index(place, array.shape))) for place in places]
    return (np.array([gradient[place] for place in places]),
            np.array([entry_slope(loss, array, place) for place in places]))
