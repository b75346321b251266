"""From tokens to logits."""

from vitnp.backend import get_xp


def forward(x, p, config, ops, rng=None):
    """Make one vector of each image, and score the classes.

    Equation: y = LN(z_L⁰), the class token normalised, then y W + b. Other poolings: "gap", the
    mean of the normalised tokens (the authors' code, no class token); "avg", the normalised mean of
    the patches (timm). A pre-logits layer is tanh(y W + b) before the last one (section 3.1).
    Source: Dosovitskiy et al. 2021, equation 4.

    x: (B, T, D), or (B, 1, D) with token pooling; p: norm, and where the configuration has them
    pre_logits and head. Returns logits (B, K), or without a head the features, and the cache;
    cache["features"] is the input of the last linear layer.
    """
    cache = {"ops": ops, "pooling": config.pooling, "tokens": x.shape}
    gamma, beta = p["norm"]["gamma"], p["norm"]["beta"]
    if config.pooling == "gap":
        x, cache["norm"] = ops.layernorm.forward(x, gamma, beta, config.eps)    # (B, T, D)
        y = x.mean(axis=1)                                                      # (B, D)
    else:
        pooled = x[:, 0] if config.pooling == "token" else x[:, 1:].mean(axis=1)
        y, cache["norm"] = ops.layernorm.forward(pooled, gamma, beta, config.eps)   # (B, D)
    if "pre_logits" in p:
        weight, bias = p["pre_logits"]["weight"], p["pre_logits"]["bias"]
        y, cache["pre_logits"] = ops.linear.forward(y, weight, bias)
        y = get_xp(y).tanh(y)
    cache["features"] = y
    if "head" in p:
        y, cache["head"] = ops.linear.forward(y, p["head"]["weight"], p["head"]["bias"])  # (B, K)
    return y, cache


def backward(dy, cache):
    """Return dx (B, T, D) and the gradients of p for dy (B, K)."""
    ops, dp = cache["ops"], {}
    if "head" in cache:
        # logits = linear(y)
        dy, dweight, dbias = ops.linear.backward(dy, cache["head"])
        dp["head"] = {"weight": dweight, "bias": dbias}
    if "pre_logits" in cache:
        # y = tanh(linear(y)), with the derivative 1 - tanh²
        dy = dy * (1.0 - cache["features"] ** 2)
        dy, dweight, dbias = ops.linear.backward(dy, cache["pre_logits"])
        dp["pre_logits"] = {"weight": dweight, "bias": dbias}
    if cache["pooling"] == "gap":
        # y = norm(x).mean(axis=1): each token has the same share
        dy = spread(dy, cache["tokens"], first=0)                               # (B, T, D)
    dy, dgamma, dbeta = ops.layernorm.backward(dy, cache["norm"])
    dp["norm"] = {"gamma": dgamma, "beta": dbeta}
    if cache["pooling"] == "avg":
        # pooled = x[:, 1:].mean(axis=1)
        dy = spread(dy, cache["tokens"], first=1)                               # (B, T, D)
    elif cache["pooling"] == "token":
        # pooled = x[:, 0]: the other tokens have no gradient
        dx = get_xp(dy).zeros(cache["tokens"], dy.dtype)                        # (B, T, D)
        dx[:, 0] = dy
        dy = dx
    return dy, dp


def spread(dmean, shape, first):
    """Return the gradient of x (B, T, D) for that of the mean of its tokens from `first` on."""
    dx = get_xp(dmean).zeros(shape, dmean.dtype)
    dx[:, first:] = dmean[:, None] / (shape[1] - first)
    return dx
