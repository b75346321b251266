"""Dropout without chance: its mask depends on shape and rate alone.

A check puts this in place of vitnp/layers/dropout.py, so that a student's layer may draw its masks
in any order and still be compared.
"""

import numpy as np


def forward(x, rate, rng, per_image=False):
    """Return x with some entries, or images, set to zero and the rest scaled up, and the cache."""
    if rng is None or rate == 0.0:
        return x, (None,)
    shape = (x.shape[0],) + (1,) * (x.ndim - 1) if per_image else x.shape
    numbers = np.arange(np.prod(shape)).reshape(shape)
    kept = (0.618 * (numbers + 1) + rate) % 1.0 >= rate
    mask = kept.astype(x.dtype) * (1.0 / (1.0 - rate))
    return x * mask, (mask,)


def backward(dy, cache):
    """Return dx for dy, of the same shape."""
    (mask,) = cache
    return dy if mask is None else dy * mask
