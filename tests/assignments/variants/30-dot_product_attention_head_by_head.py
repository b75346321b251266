"""layers/dot_product_attention.py: a loop over images and heads."""

import math

import numpy as np


def forward(q, k, v, ops, rate=0.0, rng=None):
    B, H, Tq, Dh = q.shape
    scores = np.zeros((B, H, Tq, k.shape[2]), q.dtype)
    for b in range(B):
        for h in range(H):
            scores[b, h] = q[b, h] @ k[b, h].T / math.sqrt(Dh)
    weights, softmax = ops.softmax.forward(scores)
    dropped, dropout = ops.dropout.forward(weights, rate, rng)
    y = np.zeros_like(q)
    for b in range(B):
        for h in range(H):
            y[b, h] = dropped[b, h] @ v[b, h]
    return y, {"weights": weights, "kept": (q, k, v, dropped, softmax, dropout, ops)}


def backward(dy, cache):
    q, k, v, dropped, softmax, dropout, ops = cache["kept"]
    heads = [(b, h) for b in range(q.shape[0]) for h in range(q.shape[1])]
    dq, dk, dv, dweights = (np.zeros_like(a) for a in (q, k, v, dropped))
    for bh in heads:
        dv[bh] = dropped[bh].T @ dy[bh]
        dweights[bh] = dy[bh] @ v[bh].T
    dscores = ops.softmax.backward(ops.dropout.backward(dweights, dropout), softmax)
    for bh in heads:
        dq[bh] = dscores[bh] @ k[bh] / math.sqrt(q.shape[-1])
        dk[bh] = dscores[bh].T @ q[bh] / math.sqrt(q.shape[-1])
    return dq, dk, dv
