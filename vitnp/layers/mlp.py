"""The two-layer perceptron of a block."""


def forward(x, p, config, ops, rng=None):
    """Widen each token, apply the GELU, and narrow it again.

    Equation: y = GELU(x W₁ + b₁) W₂ + b₂, with dropout after each, as in the authors' code.
    Source: Dosovitskiy et al. 2021, section 3.1.

    x: (B, T, D); p: in (D, F) and out (F, D), each with weight and bias.
    Returns y (B, T, D) and the cache.
    """
    cache = {"ops": ops}
    hidden, cache["in"] = ops.linear.forward(x, p["in"]["weight"], p["in"]["bias"])  # (B, T, F)
    hidden, cache["gelu"] = ops.gelu.forward(hidden, config.gelu)
    hidden, cache["dropout1"] = ops.dropout.forward(hidden, config.dropout, rng)
    y, cache["out"] = ops.linear.forward(hidden, p["out"]["weight"], p["out"]["bias"])  # (B, T, D)
    y, cache["dropout2"] = ops.dropout.forward(y, config.dropout, rng)
    return y, cache


def backward(dy, cache):
    """Return dx (B, T, D) and the gradients of p for dy (B, T, D)."""
    ops = cache["ops"]
    # y = dropout(y)
    dy = ops.dropout.backward(dy, cache["dropout2"])
    # y = linear(hidden)
    dhidden, dout, dout_bias = ops.linear.backward(dy, cache["out"])            # (B, T, F)
    # hidden = dropout(hidden)
    dhidden = ops.dropout.backward(dhidden, cache["dropout1"])
    # hidden = gelu(hidden)
    dhidden = ops.gelu.backward(dhidden, cache["gelu"])
    # hidden = linear(x)
    dx, din, din_bias = ops.linear.backward(dhidden, cache["in"])               # (B, T, D)
    return dx, {"in": {"weight": din, "bias": din_bias}, "out": {"weight": dout, "bias": dout_bias}}
