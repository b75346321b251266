"""layers/heads.py: each head cut out as a slice."""

import numpy as np


def split(x, heads, parts):
    D = x.shape[-1] // parts
    Dh = D // heads
    result = []
    for part in range(parts):
        slices = [x[:, :, part * D + h * Dh:part * D + (h + 1) * Dh] for h in range(heads)]
        result.append(np.stack(slices, axis=1))
    return result


def merge(parts):
    heads = [part[:, h] for part in parts for h in range(part.shape[1])]
    return np.concatenate(heads, axis=2)
