"""layers/dot_product_attention.py: with einsum, the scores scaled after the product."""

import numpy as np


def forward(q, k, v, ops, rate=0.0, rng=None):
    root = q.shape[-1] ** 0.5
    scores = np.einsum("bhqd,bhkd->bhqk", q, k) / root
    weights, softmax = ops.softmax.forward(scores)
    dropped, dropout = ops.dropout.forward(weights, rate, rng)
    y = np.einsum("bhqk,bhkd->bhqd", dropped, v)
    return y, {"weights": weights, "dropped": dropped, "qkv": (q, k, v), "root": root,
               "caches": (softmax, dropout), "ops": ops}


def backward(dy, cache):
    q, k, v = cache["qkv"]
    softmax, dropout = cache["caches"]
    dv = np.einsum("bhqk,bhqd->bhkd", cache["dropped"], dy)
    dweights = cache["ops"].dropout.backward(np.einsum("bhqd,bhkd->bhqk", dy, v), dropout)
    dscores = cache["ops"].softmax.backward(dweights, softmax) / cache["root"]
    dq = np.einsum("bhqk,bhkd->bhqd", dscores, k)
    return dq, np.einsum("bhqk,bhqd->bhkd", dscores, q), dv
