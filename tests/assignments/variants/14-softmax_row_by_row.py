"""layers/softmax.py: a loop over the rows, and a list as the cache."""

import numpy as np


def forward(x):
    y = np.empty_like(x)
    for index in np.ndindex(x.shape[:-1]):
        row = x[index]
        weights = np.exp(row - row.max())
        y[index] = weights / weights.sum()
    return y, [y.copy()]


def backward(dy, cache):
    y = cache[0]
    dx = np.empty_like(y)
    for index in np.ndindex(y.shape[:-1]):
        p, g = y[index], dy[index]
        dx[index] = np.diag(p) @ g - np.outer(p, p) @ g
    return dx
