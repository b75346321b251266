"""Random matrices to start from, of a size that keeps that of the tokens."""

import math

import numpy as np


def xavier(shape, rng):
    """Draw a matrix (in, out) uniformly within ±√(6 / (in + out)) (Glorot, Bengio 2010, eq. 16)."""
    bound = math.sqrt(6.0 / sum(shape))
    return rng.uniform(-bound, bound, shape)


def lecun_normal(shape, rng):
    """Draw a matrix (in, out) from a normal of variance 1 / in, cut off at two deviations."""
    values = rng.standard_normal(shape)
    while (outside := np.abs(values) > 2.0).any():
        values[outside] = rng.standard_normal(outside.sum())
    # Cutting off leaves the deviation 0.8796…, which the authors' code makes good
    return values / (math.sqrt(shape[0]) * 0.87962566103423978)
