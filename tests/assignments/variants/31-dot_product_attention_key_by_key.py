"""layers/dot_product_attention.py: one pass over the keys, maximum and sum carried along."""

import math

import numpy as np


def forward(q, k, v, ops, rate=0.0, rng=None):
    q = q / math.sqrt(q.shape[-1])
    highest = np.full(q.shape[:-1], -np.inf, q.dtype)
    total = np.zeros(q.shape[:-1], q.dtype)
    for t in range(k.shape[2]):
        score = (q * k[:, :, t:t + 1]).sum(-1)
        higher = np.maximum(highest, score)
        total = total * np.exp(highest - higher) + np.exp(score - higher)
        highest = higher
    log_sum = highest + np.log(total)
    weights = np.exp(q @ k.swapaxes(2, 3) - log_sum[..., None])
    dropped, dropout = ops.dropout.forward(weights, rate, rng)
    return dropped @ v, {"weights": weights, "rest": [q, k, v, dropped, dropout, ops]}


def backward(dy, cache):
    q, k, v, dropped, dropout, ops = cache["rest"]
    dweights = ops.dropout.backward(dy @ v.swapaxes(2, 3), dropout)
    along = (dweights * cache["weights"]).sum(-1, keepdims=True)
    dscores = cache["weights"] * dweights - cache["weights"] * along
    dq = dscores @ k / math.sqrt(q.shape[-1])
    return dq, dscores.swapaxes(2, 3) @ q, dropped.swapaxes(2, 3) @ dy
