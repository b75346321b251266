"""layers/class_token.py: an empty array filled in, sums in a loop over the images."""

import numpy as np


def forward(x, class_token, position):
    B, N, D = x.shape
    start = 0 if class_token is None else 1
    z = np.zeros((B, N + start, D), x.dtype)
    z[:, start:] = x
    if class_token is not None:
        z[:, 0] = class_token
    if position is not None:
        z += position
    return z, {"start": start, "position": position is not None}


def backward(dz, cache):
    start = cache["start"]
    total = np.zeros_like(dz[0])
    for dimage in dz:
        total += dimage
    dposition = total.copy() if cache["position"] else None
    dclass_token = total[0].copy() if start else None
    return dz[:, start:].copy(), dclass_token, dposition
