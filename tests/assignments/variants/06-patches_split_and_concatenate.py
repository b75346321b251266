"""layers/patches.py: cut along one axis after the other, and joined again."""

import numpy as np


def forward(images, patch_size):
    B, height, width, _ = images.shape
    patches = []
    for band in np.split(images, height // patch_size, axis=1):
        for patch in np.split(band, width // patch_size, axis=2):
            patches.append(patch.reshape(B, 1, -1))
    return np.concatenate(patches, axis=1), {"shape": images.shape, "P": patch_size}


def backward(dpatches, cache):
    B, _, width, C = cache["shape"]
    P, across = cache["P"], width // cache["P"]
    patches = [dpatches[:, n].reshape(B, P, P, C) for n in range(dpatches.shape[1])]
    bands = [np.concatenate(patches[start:start + across], axis=2)
             for start in range(0, len(patches), across)]
    return np.concatenate(bands, axis=1)
