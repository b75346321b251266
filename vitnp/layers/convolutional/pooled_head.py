"""From the last feature map to logits."""


def forward(x, p, config, ops):
    """Normalise, average over all places, and score the classes.

    Equation: logits = mean over the places of ReLU(GN(x)), times W, plus b.
    Source: He et al. 2016b; GroupNorm as in BiT (Kolesnikov et al. 2020).

    x: (B, rows, columns, C); p: norm, and where the configuration has classes head.
    Returns logits (B, K), or without a head the features (B, C), and the cache; cache["features"]
    is the input of the last linear layer.
    """
    cache = {"ops": ops}
    gamma, beta = p["norm"]["gamma"], p["norm"]["beta"]
    x, cache["norm"] = ops.group_norm.forward(x, gamma, beta, config.groups, config.eps)
    x, cache["relu"] = ops.relu.forward(x)                      # (B, rows, columns, C)
    y, cache["pool"] = ops.mean_pool.forward(x)                 # (B, C)
    cache["features"] = y
    if "head" in p:
        y, cache["head"] = ops.linear.forward(y, p["head"]["weight"], p["head"]["bias"])  # (B, K)
    return y, cache


def backward(dy, cache):
    """Return dx (B, rows, columns, C) and the gradients of p for dy (B, K)."""
    ops, dp = cache["ops"], {}
    if "head" in cache:
        # logits = linear(y)
        dy, dweight, dbias = ops.linear.backward(dy, cache["head"])
        dp["head"] = {"weight": dweight, "bias": dbias}
    # y = mean_pool(relu(norm(x)))
    dx = ops.mean_pool.backward(dy, cache["pool"])              # (B, rows, columns, C)
    dx = ops.relu.backward(dx, cache["relu"])
    dx, dgamma, dbeta = ops.group_norm.backward(dx, cache["norm"])
    return dx, dp | {"norm": {"gamma": dgamma, "beta": dbeta}}
