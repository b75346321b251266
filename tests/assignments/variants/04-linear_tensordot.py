"""layers/linear.py: with tensordot, and a class as the cache."""

import numpy as np


class Cache:
    def __init__(self, x, weight):
        self.x = x
        self.weight = weight


def forward(x, weight, bias):
    y = np.tensordot(x, weight, axes=1)
    np.add(y, bias, out=y)
    return y, Cache(x, weight)


def backward(dy, cache):
    axes = list(range(dy.ndim - 1))
    dweight = np.tensordot(cache.x, dy, axes=(axes, axes))
    return np.tensordot(dy, cache.weight, axes=(-1, 1)), dweight, dy.sum(axis=tuple(axes))
