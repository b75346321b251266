"""layers/block.py: the residual gradient padded with zeros, sums into fresh copies."""

import numpy as np


def forward(x, p, config, ops, rng=None, drop_rate=0.0, queries=None):
    gamma1, beta1 = p["norm1"]["gamma"], p["norm1"]["beta"]
    gamma2, beta2 = p["norm2"]["gamma"], p["norm2"]["beta"]
    a, c1 = ops.layernorm.forward(x.copy(), gamma1, beta1, config.eps)
    a, c2 = ops.attention.forward(a, p["attention"], config, ops, rng, queries)
    a, c3 = ops.dropout.forward(a, config.dropout, rng)
    a, c4 = ops.dropout.forward(a, drop_rate, rng, True)
    z = np.add(x if queries is None else x[:, :queries], a)
    m, c5 = ops.layernorm.forward(z, gamma2, beta2, config.eps)
    m, c6 = ops.mlp.forward(m, p["mlp"], config, ops, rng)
    m, c7 = ops.dropout.forward(m, drop_rate, rng, True)
    return np.add(z, m), {"ops": ops, "list": [c1, c3, c4, c5, c6, c7], "attention": c2,
                          "tokens": x.shape[1]}


def backward(dx, cache):
    ops = cache["ops"]
    c1, c3, c4, c5, c6, c7 = cache["list"]
    dm = ops.dropout.backward(dx.copy(), c7)
    dm, dmlp = ops.mlp.backward(dm, c6)
    dm, *norm2 = ops.layernorm.backward(dm, c5)
    dz = np.add(dx, dm)
    da = ops.dropout.backward(dz, c4)
    da = ops.dropout.backward(da, c3)
    da, dattention = ops.attention.backward(da, cache["attention"])
    da, *norm1 = ops.layernorm.backward(da, c1)
    missing = cache["tokens"] - dz.shape[1]
    da = np.add(da, np.pad(dz, [(0, 0), (0, missing), (0, 0)]))
    names = ("gamma", "beta")
    return da, {"norm1": dict(zip(names, norm1, strict=True)), "attention": dattention,
                "norm2": dict(zip(names, norm2, strict=True)), "mlp": dmlp}
