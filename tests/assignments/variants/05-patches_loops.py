"""layers/patches.py: a loop over the patches."""

import numpy as np


def forward(images, patch_size):
    B, height, width, C = images.shape
    P = patch_size
    pieces = []
    for top in range(0, height, P):
        for left in range(0, width, P):
            pieces.append(images[:, top:top + P, left:left + P].reshape(B, P * P * C))
    return np.stack(pieces, axis=1), (images.shape, patch_size)


def backward(dpatches, cache):
    shape, P = cache
    B, height, width, C = shape
    dimages = np.zeros(shape, dpatches.dtype)
    n = 0
    for top in range(0, height, P):
        for left in range(0, width, P):
            dimages[:, top:top + P, left:left + P] = dpatches[:, n].reshape(B, P, P, C)
            n += 1
    return dimages
