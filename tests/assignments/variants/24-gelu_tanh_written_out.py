"""layers/gelu.py: the tanh form with np.tanh, the exact one with math.erf, number by number."""

import math

import numpy as np

ROOT = math.sqrt(2 / math.pi)


def forward(x, form="tanh"):
    if form == "tanh":
        t = np.tanh(ROOT * (x + 0.044715 * x**3))
        return 0.5 * x * (1 + t), {"x": x, "t": t}
    phi = 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))
    return x * phi.astype(x.dtype), {"x": x, "phi": phi.astype(x.dtype)}


def backward(dy, cache):
    x = cache["x"]
    if "t" in cache:
        t = cache["t"]
        slope = ROOT * (1 + 3 * 0.044715 * x**2)
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * slope)
    return dy * (cache["phi"] + x * np.exp(-x**2 / 2) / math.sqrt(2 * math.pi))
