"""Scaled dot-product attention."""

import math


def forward(q, k, v, ops, rate=0.0, rng=None):
    """Give each query the mean of the values, weighted by how well their keys fit.

    Equation: y = softmax(q kᵀ / √Dh) v. The query is scaled, before the product, as in the
    authors' code: the same, with fewer multiplications.
    Source: Vaswani et al. 2017, equation 1; Dosovitskiy et al. 2021, appendix A, equations 6, 7.

    q: (B, H, Tq, Dh), where Tq may be smaller than T; k, v: (B, H, T, Dh); rate: dropout of the
    weights. Returns y (B, H, Tq, Dh) and the cache, whose "weights" are (B, H, Tq, T).
    """
    scale = 1.0 / math.sqrt(q.shape[-1])
    scaled = q * scale
    scores = scaled @ k.swapaxes(-1, -2)                        # (B, H, Tq, T)
    weights, softmax = ops.softmax.forward(scores)
    dropped, dropout = ops.dropout.forward(weights, rate, rng)
    y = dropped @ v                                             # (B, H, Tq, Dh)
    return y, {"ops": ops, "scale": scale, "scaled": scaled, "k": k, "v": v, "weights": weights,
               "dropped": dropped, "softmax": softmax, "dropout": dropout}


def backward(dy, cache):
    """Return dq (B, H, Tq, Dh), dk and dv (B, H, T, Dh) for dy (B, H, Tq, Dh)."""
    ops = cache["ops"]
    # y = dropped @ v
    dv = cache["dropped"].swapaxes(-1, -2) @ dy                 # (B, H, T, Dh)
    ddropped = dy @ cache["v"].swapaxes(-1, -2)                 # (B, H, Tq, T)
    # dropped = dropout(weights)
    dweights = ops.dropout.backward(ddropped, cache["dropout"])
    # weights = softmax(scores)
    dscores = ops.softmax.backward(dweights, cache["softmax"])
    # scores = scaled @ kᵀ
    dk = dscores.swapaxes(-1, -2) @ cache["scaled"]             # (B, H, T, Dh)
    dscaled = dscores @ cache["k"]                              # (B, H, Tq, Dh)
    # scaled = q * scale
    dscaled *= cache["scale"]
    return dscaled, dk, dv
