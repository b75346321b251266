"""layers/gelu.py: the forward keeps the derivative, the backward multiplies."""

import math

import numpy as np


def forward(x, form="tanh"):
    if form == "erf":
        y, slope = exact(x.ravel())
    else:
        z = math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x)
        share = np.exp(-np.logaddexp(0, -z)).astype(x.dtype)
        dz = math.sqrt(8 / math.pi) * (1 + 0.134145 * x * x)
        y, slope = x * share, share + x * share * (1 - share) * dz
    return y.reshape(x.shape), slope.reshape(x.shape)


def backward(dy, cache):
    return dy * cache


def exact(numbers):
    """Return x Φ(x) and its derivative for a row of numbers."""
    y, slope = np.empty_like(numbers), np.empty_like(numbers)
    for i, x in enumerate(map(float, numbers)):
        share = 0.5 * math.erfc(-x / math.sqrt(2))
        y[i] = x * share
        slope[i] = share + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return y, slope
