"""Calls of the checker's functions, which take a loss and move an array in place.

The child process gets this file beside the student's; it holds no answers.
"""

import numpy as np

from vitnp import gradcheck

FREQUENCY = 3.0     # of the loss: high enough that a coarse or one-sided slope shows


def central_difference(array, displacement):
    """Return gradcheck.central_difference of a loss, and the array as it is left behind."""
    loss, _ = watched_loss(array)
    return gradcheck.central_difference(loss, array, displacement), array


def entry_slope(array, index):
    """Return gradcheck.entry_slope of a loss, the array as it is left, and the step taken."""
    start = array.copy()
    loss, seen = watched_loss(array)
    slope = gradcheck.entry_slope(loss, array, index)
    return slope, array, np.abs(np.array(seen) - start).max()


def numeric_gradient(array):
    """Return gradcheck.numeric_gradient of a loss, and the array as it is left behind."""
    loss, _ = watched_loss(array)
    return gradcheck.numeric_gradient(loss, array), array


def watched_loss(array):
    """Return a function loss() of the array, and a list of all values that the array had in it."""
    weights = 1.0 + np.cos(np.arange(array.size)).reshape(array.shape)
    seen = []

    def loss():
        seen.append(array.copy())
        return float((weights * np.sin(FREQUENCY * array)).sum() + array.sum() ** 2)

    return loss, seen
