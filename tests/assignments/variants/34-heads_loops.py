"""layers/heads.py: loops over parts and heads, filled into fresh arrays."""

import numpy as np


def split(x, heads, parts):
    B, T, width = x.shape
    size = width // (parts * heads)
    result = [np.zeros((B, heads, T, size), x.dtype) for _ in range(parts)]
    for start in range(0, width, size):
        part, head = divmod(start // size, heads)
        result[part][:, head] = x[..., start:start + size]
    return result


def merge(parts):
    B, H, T, Dh = parts[0].shape
    x = np.zeros((B, T, len(parts) * H * Dh), parts[0].dtype)
    for i, part in enumerate(parts):
        for h in range(H):
            x[..., (i * H + h) * Dh:(i * H + h + 1) * Dh] = part[:, h]
    return x
