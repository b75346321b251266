"""layers/dot_product_attention.py: with its own softmax, and half of the scale on each side."""

import numpy as np


def forward(q, k, v, ops, rate=0.0, rng=None):
    half = q.shape[-1] ** -0.25
    scores = (q * half) @ (k * half).transpose(0, 1, 3, 2)
    weights = np.exp(scores - scores.max(axis=3, keepdims=True))
    weights = weights / weights.sum(axis=3, keepdims=True)
    dropped, dropout = ops.dropout.forward(weights, rate, rng)
    return dropped @ v, {"q": q.copy(), "k": k.copy(), "v": v.copy(), "weights": weights,
                         "dropped": dropped.copy(), "dropout": dropout, "ops": ops}


def backward(dy, cache):
    q, k, v, weights = cache["q"], cache["k"], cache["v"], cache["weights"]
    scale = q.shape[-1] ** -0.5
    dweights = cache["ops"].dropout.backward(dy @ v.transpose(0, 1, 3, 2), cache["dropout"])
    dscores = weights * (dweights - (weights * dweights).sum(axis=3, keepdims=True))
    dk = np.swapaxes(dscores, 2, 3) @ q * scale
    return dscores @ k * scale, dk, np.swapaxes(cache["dropped"], 2, 3) @ dy
