"""One encoder block: attention and MLP, each behind a LayerNorm and beside a residual path."""


def forward(x, p, config, ops, rng=None, drop_rate=0.0, queries=None):
    """Let the tokens exchange (attention), then let each think alone (MLP).

    Equations: z' = MSA(LN(z)) + z, then z = MLP(LN(z')) + z'.
    Source: Dosovitskiy et al. 2021, equations 2 and 3; dropout of the attention's output as in the
    authors' code. drop_rate is the block's rate of stochastic depth, on both branches.

    x: (B, T, D); p: norm1, attention, norm2, mlp; queries: see attention.
    Returns the new x (B, Tq, D) and the cache.
    """
    cache = {"ops": ops, "queries": queries}
    norm1, norm2 = p["norm1"], p["norm2"]
    normed, cache["norm1"] = ops.layernorm.forward(x, norm1["gamma"], norm1["beta"], config.eps)
    branch, cache["attention"] = ops.attention.forward(
        normed, p["attention"], config, ops, rng, queries)                      # (B, Tq, D)
    branch, cache["dropout"] = ops.dropout.forward(branch, config.dropout, rng)
    branch, cache["depth1"] = ops.dropout.forward(branch, drop_rate, rng, per_image=True)
    x = x[:, :queries] + branch                                                 # (B, Tq, D)
    normed, cache["norm2"] = ops.layernorm.forward(x, norm2["gamma"], norm2["beta"], config.eps)
    branch, cache["mlp"] = ops.mlp.forward(normed, p["mlp"], config, ops, rng)
    branch, cache["depth2"] = ops.dropout.forward(branch, drop_rate, rng, per_image=True)
    return x + branch, cache                                                    # (B, Tq, D)


def backward(dx, cache):
    """Return the gradient of the block's input (B, T, D) and those of p for dx (B, Tq, D)."""
    ops = cache["ops"]
    # x = x + depth2(mlp(norm2(x))): the residual path hands dx on unchanged
    dbranch = ops.dropout.backward(dx, cache["depth2"])
    dnormed, dmlp = ops.mlp.backward(dbranch, cache["mlp"])
    dpath, dgamma2, dbeta2 = ops.layernorm.backward(dnormed, cache["norm2"])
    dx = dx + dpath                                                             # (B, Tq, D)
    # x = x[:, :queries] + depth1(dropout(attention(norm1(x))))
    dbranch = ops.dropout.backward(dx, cache["depth1"])
    dbranch = ops.dropout.backward(dbranch, cache["dropout"])
    dnormed, dattention = ops.attention.backward(dbranch, cache["attention"])   # (B, T, D)
    dpath, dgamma1, dbeta1 = ops.layernorm.backward(dnormed, cache["norm1"])
    dpath[:, :cache["queries"]] += dx                                           # (B, T, D)
    return dpath, {"norm1": {"gamma": dgamma1, "beta": dbeta1}, "attention": dattention,
                   "norm2": {"gamma": dgamma2, "beta": dbeta2}, "mlp": dmlp}
