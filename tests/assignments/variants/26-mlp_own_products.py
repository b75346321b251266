"""layers/mlp.py: the linear layers written out, with other names in the cache."""

import numpy as np


def forward(x, p, config, ops, rng=None):
    w1, b1 = p["in"]["weight"], p["in"]["bias"]
    w2, b2 = p["out"]["weight"], p["out"]["bias"]
    wide, gelu = ops.gelu.forward(x @ w1 + b1, config.gelu)
    wide, drop1 = ops.dropout.forward(wide, config.dropout, rng)
    y, drop2 = ops.dropout.forward(wide @ w2 + b2, config.dropout, rng)
    return y, {"ops": ops, "all": [x, w1, w2, wide, gelu, drop1, drop2]}


def backward(dy, cache):
    ops = cache["ops"]
    x, w1, w2, wide, gelu, drop1, drop2 = cache["all"]
    dy = ops.dropout.backward(dy, drop2)
    dw2 = np.einsum("btf,btd->fd", wide, dy)
    dwide = ops.gelu.backward(ops.dropout.backward(dy @ w2.T, drop1), gelu)
    dw1 = np.einsum("btd,btf->df", x, dwide)
    return dwide @ w1.T, {"out": {"bias": dy.sum(axis=(0, 1)), "weight": dw2},
                          "in": {"bias": dwide.sum(axis=(0, 1)), "weight": dw1}}
