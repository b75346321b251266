"""From tokens to logits."""

from vitnp.backend import get_xp


def forward(x, p, config, ops, rng=None):
    """Make one vector of each image, and score the classes.

    Equation: y = LN(z_L⁰), the class token normalised, then logits = y W + b.
    Source: Dosovitskiy et al. 2021, equation 4. Means in place of the class token: pooling.py; a
    further layer before the last one: pre_logits.py.

    x: (B, T, D), or (B, 1, D) with token pooling; p: norm, and where the configuration has them
    pre_logits and head. Returns logits (B, K), or without a head the features, and the cache;
    cache["features"] is the input of the last linear layer.
    """
    cache = {"ops": ops, "tokens": x.shape}
    if config.pooling == "token":
        y, cache["norm"] = ops.layernorm.forward(
            x[:, 0], p["norm"]["gamma"], p["norm"]["beta"], config.eps)         # (B, D)
    else:
        y, cache["pooling"] = ops.pooling.forward(x, p["norm"], config, ops)    # (B, D)
    if "pre_logits" in p:
        y, cache["pre_logits"] = ops.pre_logits.forward(y, p["pre_logits"], ops)
    cache["features"] = y
    if "head" in p:
        y, cache["head"] = ops.linear.forward(y, p["head"]["weight"], p["head"]["bias"])  # (B, K)
    return y, cache


def backward(dy, cache):
    """Return dx (B, T, D) and the gradients of p for dy (B, K)."""
    ops, dp = cache["ops"], {}
    if "head" in cache:
        # logits = linear(y)
        dy, dweight, dbias = ops.linear.backward(dy, cache["head"])             # (B, D)
        dp["head"] = {"weight": dweight, "bias": dbias}
    if "pre_logits" in cache:
        # y = pre_logits(y)
        dy, dp["pre_logits"] = ops.pre_logits.backward(dy, cache["pre_logits"])
    if "pooling" in cache:
        # y = pooling(x)
        dx, dp["norm"] = ops.pooling.backward(dy, cache["pooling"])             # (B, T, D)
        return dx, dp
    # y = layernorm(x[:, 0]): the other tokens have no gradient
    dtoken, dgamma, dbeta = ops.layernorm.backward(dy, cache["norm"])           # (B, D)
    dp["norm"] = {"gamma": dgamma, "beta": dbeta}
    dx = get_xp(dy).zeros(cache["tokens"], dy.dtype)                            # (B, T, D)
    dx[:, 0] = dtoken
    return dx, dp
