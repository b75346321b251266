"""Relations between a wrong array and the right one that hold for every layer.

Another sign, a factor with a meaning, a transpose, a sum that is missing, and which places are
right.
"""

import math
from dataclasses import dataclass
from itertools import permutations

import numpy as np

SIGN, TRANSPOSE, MISSING_SUM = "sign", "transpose", "missing sum"
MEAN, FACTOR, RESIDUAL = "mean for sum", "factor", "missing residual"
PROJECTION, GAMMA, FIRST = "missing projection", "gamma forgotten", "only the first right"
SWAPPED, AXIS, OVERWRITTEN = "heads and tokens swapped", "wrong axis", "overwritten cache"
BIAS, TANH, OTHER = "bias zero", "tanh against erf", "other"
KINDS = (SIGN, TRANSPOSE, MISSING_SUM, MEAN, FACTOR, RESIDUAL, PROJECTION, GAMMA, FIRST, SWAPPED,
         AXIS, OVERWRITTEN, BIAS, TANH, OTHER)

EQUAL = 1e-6        # of the largest entry
WORDS = {"B": "image", "T": "token", "N": "patch", "H": "head", "Dh": "number of a head",
         "D": "number of a token", "F": "number of the MLP", "K": "class", "rows": "row",
         "columns": "column"}


@dataclass(frozen=True)
class Likely:
    """A likely mistake: of which kinds it is, and what the student is told."""

    kinds: tuple[str, ...]
    sentence: str


def relation(name, mine, true, sizes):
    """Return the sign, factor or other simple relation between what was found and what is right."""
    if mine.shape != true.shape:
        return shapes(name, mine, true, sizes)
    if not mine.any():
        return [Likely((OTHER,), f"{name} is zero everywhere: is it set at all?")]
    ratio = float((mine * true).sum() / max((true * true).sum(), 1e-300))
    if equal(mine, true) or ratio == 0.0 or not equal(mine, ratio * true):
        return []
    kinds = [SIGN] if ratio < 0 else []
    told = f"{name} has the wrong sign" if ratio < 0 else ""
    if abs(abs(ratio) - 1.0) > EQUAL:
        kinds += [FACTOR, MEAN] if is_mean(abs(ratio), sizes) else [FACTOR]
        told = f"every number of {name} is {named(ratio, sizes)} times the right one" + (
            ": a mean in place of a sum, or a division too many" if MEAN in kinds else "")
    return [Likely(tuple(kinds), told)]


def is_mean(ratio, sizes):
    """Tell whether a factor is 1 / (one size, or the product of two)."""
    numbers = [*sizes.values(), *(a * b for a in sizes.values() for b in sizes.values())]
    return any(abs(ratio * number - 1.0) < EQUAL for number in numbers)


def named(ratio, sizes):
    """Return a factor with its meaning, such as "0.333333 (1/B)"."""
    sign, size = "-" if ratio < 0 else "", abs(ratio)
    letters = {letter: sizes[letter] for letter in WORDS if letter in sizes}
    forms = {"2": 2.0, "1/2": 0.5}
    for letter, number in letters.items():
        forms |= {letter: number, f"1/{letter}": 1 / number, f"√{letter}": math.sqrt(number),
                  f"1/√{letter}": 1 / math.sqrt(number), f"{letter}/({letter} - 1)":
                  number / max(number - 1, 0.5), f"({letter} - 1)/{letter}": (number - 1) / number}
    for one, first in letters.items():
        for other, second in letters.items():
            forms |= {f"1/({one}·{other})": 1 / (first * second), f"{one}·{other}": first * second,
                      f"{one}/{other}": first / second}
    fitting = [form for form, value in forms.items() if abs(value / size - 1.0) < EQUAL]
    told = f"{ratio:.6g}"
    return f"{told} ({' or '.join(sign + form for form in fitting[:2])})" if fitting else told


def shapes(name, mine, true, sizes):
    """Return what a wrong shape tells."""
    if mine.size == true.size and mine.ndim == true.ndim:
        for order in permutations(range(mine.ndim)):
            if equal(mine.transpose(order), true):
                swapped = {letter for letter in ("H", "T") if sizes.get(letter) in mine.shape}
                kinds = (TRANSPOSE, AXIS, *([SWAPPED] if len(swapped) == 2 else []))
                return [Likely(kinds, f"{name} has the right numbers with axes exchanged: its "
                               f"shape is {mine.shape}, right is {true.shape}; transpose it")]
    if mine.size == true.size and equal(mine.reshape(true.shape), true):
        return [Likely((OTHER,), f"{name} has the right numbers in the shape {mine.shape}: reshape "
                       "it, or leave keepdims away")]
    if mine.ndim > true.ndim:
        axes = tuple(axis for axis in range(mine.ndim - true.ndim))
        summed = mine.sum(axis=axes)
        over = " and ".join(word(mine.shape[axis], sizes, "axis") + "s" for axis in axes)
        if summed.shape == true.shape:
            told = f"{name} is not summed over all {over}"
            return [Likely((MISSING_SUM,), told + (": its sum is right" if equal(summed, true)
                                                   else ", and its sum is not right either"))]
        return [Likely((MISSING_SUM, AXIS), f"{name} has axes too many: {mine.shape}, not "
                       f"{true.shape}; is it summed over another axis, or not at all?")]
    if mine.ndim < true.ndim:
        return [Likely((AXIS,), f"{name} has axes too few: {mine.shape}, not {true.shape}; is it "
                       "summed where no sum belongs?")]
    others = [axis for axis in range(true.ndim) if mine.shape[axis] != true.shape[axis]]
    if len(others) == 1:
        (axis,) = others
        return [Likely((AXIS,), f"{name} has {mine.shape[axis]} entries along axis {axis}, where "
                       f"{true.shape[axis]} belong; all its other axes are right")]
    return [Likely((AXIS, TRANSPOSE), f"{name} has the shape {mine.shape}, not {true.shape}: axes "
                   "were exchanged, or summed over")]


def places(name, mine, true, sizes, dy=None):
    """Return what the places of the wrong numbers tell: only the first right, axes exchanged.

    dy: the upstream gradient, for a gradient.
    """
    if mine.shape != true.shape or equal(mine, true):
        return []
    wrong = np.abs(mine - true) > EQUAL * max(np.abs(true).max(), 1e-7)
    for axis in range(true.ndim):
        others = tuple(other for other in range(true.ndim) if other != axis)
        right_at = np.flatnonzero(~wrong.any(axis=others))
        count, word_of = true.shape[axis], word(true.shape[axis], sizes, f"entry of axis {axis}")
        first = len(right_at)
        if 0 < first < count and right_at.tolist() == list(range(first)) and count > 1:
            which = f"the first {word_of} is" if first == 1 else f"the first {first} {word_of}s are"
            return [Likely((FIRST,), f"in {name} only {which} right")]
        if count > 2 and first == count - 1:
            place = int(np.flatnonzero(wrong.any(axis=others))[0])
            return [Likely((OTHER,), f"in {name} only the {word_of} at {place} is wrong")]
    if not mine[wrong].any():
        return [Likely((FIRST,), f"in {name} the wrong numbers are all zero: only some places are "
                       "filled in; is a return or a sum within a loop?")]
    for order in permutations(range(true.ndim)):
        moved = mine.transpose(order)
        if order != tuple(range(true.ndim)) and moved.shape == true.shape and equal(moved, true):
            return [Likely((TRANSPOSE,), f"{name} is transposed")]
    if dy is not None and dy.shape == true.shape:
        if equal(mine, dy):
            return [Likely((OTHER,), f"{name} is dy, handed on unchanged")]
        for sign, told in ((1, "lacks"), (-1, "has too often")):
            if equal(mine + sign * dy, true):
                return [Likely((RESIDUAL,), f"{name} {told} the residual path: dy itself")]
    if np.allclose(np.sort(mine, axis=None), np.sort(true, axis=None)):
        return [Likely((TRANSPOSE, SWAPPED, AXIS), f"{name} holds the right numbers in other "
                       "places: an axis is exchanged, or a reshape stands for a transpose")]
    return []


def word(size, sizes, default):
    """Return what an axis of a size counts, such as "token"."""
    return next((WORDS[letter] for letter in WORDS if sizes.get(letter) == size), default)


def equal(one, other, tolerance=EQUAL):
    """Tell whether two arrays are equal, but for rounding."""
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return False
    if one.shape != other.shape:
        return False
    return bool(np.abs(one - other).max() <= tolerance * max(np.abs(other).max(), 1e-7))
