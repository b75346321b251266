"""One vector of each image by a mean over its tokens, in place of the class token."""

from vitnp.backend import get_xp


def forward(x, p, config, ops):
    """Average over the tokens, after a LayerNorm or before it.

    Equations: "gap", y = mean over all tokens of LN(x), for networks without a class token (the
    authors' code); "avg", y = LN(mean over the patches of x), where the class token attends but is
    not read (timm).

    x: (B, T, D); p: gamma and beta. Returns y (B, D) and the cache.
    """
    cache = {"ops": ops, "pooling": config.pooling, "tokens": x.shape}
    if config.pooling == "gap":
        x, cache["norm"] = ops.layernorm.forward(x, p["gamma"], p["beta"], config.eps)
        return x.mean(axis=1), cache                                            # (B, D)
    mean = x[:, 1:].mean(axis=1)                                                # (B, D)
    y, cache["norm"] = ops.layernorm.forward(mean, p["gamma"], p["beta"], config.eps)
    return y, cache


def backward(dy, cache):
    """Return dx (B, T, D) and the gradients of p for dy (B, D)."""
    ops = cache["ops"]
    if cache["pooling"] == "gap":
        # y = layernorm(x).mean(axis=1): each token has the same share
        dy = spread(dy, cache["tokens"], first=0)                               # (B, T, D)
    dx, dgamma, dbeta = ops.layernorm.backward(dy, cache["norm"])
    if cache["pooling"] == "avg":
        # mean = x[:, 1:].mean(axis=1)
        dx = spread(dx, cache["tokens"], first=1)                               # (B, T, D)
    return dx, {"gamma": dgamma, "beta": dbeta}


def spread(dmean, shape, first):
    """Return the gradient of x (B, T, D) for that of the mean of its tokens from `first` on."""
    dx = get_xp(dmean).zeros(shape, dmean.dtype)
    dx[:, first:] = dmean[:, None] / (shape[1] - first)
    return dx
