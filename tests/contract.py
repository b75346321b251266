"""What tests of the layers' promises share: how a case is run, and its arrays changed."""

import numpy as np

from vitnp import params


def mapped(tree, change):
    """Return the tree with each array changed."""
    if isinstance(tree, dict):
        return {name: mapped(part, change) for name, part in tree.items()}
    if isinstance(tree, list):
        return [mapped(part, change) for part in tree]
    return change(tree)


def arrays(tree):
    """Return all arrays of arguments, gradients or a cache, whatever holds them."""
    if isinstance(tree, np.ndarray):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree
    parts = parts if isinstance(tree, dict | list | tuple) else ()
    return [array for part in parts for array in arrays(part)]


def draw_dy(y, seed=0):
    return np.random.default_rng(seed).standard_normal(y.shape).astype(y.dtype)


def run(case, arguments, dy=None):
    """Return y and the gradients as a dict path -> array."""
    y, cache = case.forward(arguments)
    return y, params.flatten(case.backward(draw_dy(y) if dy is None else dy, cache))
