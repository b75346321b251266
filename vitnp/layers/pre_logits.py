"""A layer before the head, which large networks are pre-trained with."""

from vitnp.backend import get_xp


def forward(x, p, ops):
    """Multiply, and press the result between -1 and 1.

    Equation: y = tanh(x W + b).
    Source: Dosovitskiy et al. 2021, section 3.1: a head with one hidden layer; it is left out in
    fine-tuning.

    x: (B, D); p: weight (D, R) and bias (R,). Returns y (B, R) and the cache.
    """
    y, linear = ops.linear.forward(x, p["weight"], p["bias"])                   # (B, R)
    y = get_xp(y).tanh(y)
    return y, {"ops": ops, "linear": linear, "y": y}


def backward(dy, cache):
    """Return dx (B, D) and the gradients of p for dy (B, R)."""
    # y = tanh(y), whose derivative is 1 - tanh²
    dy = dy * (1.0 - cache["y"] ** 2)
    # y = linear(x)
    dx, dweight, dbias = cache["ops"].linear.backward(dy, cache["linear"])      # (B, D)
    return dx, {"weight": dweight, "bias": dbias}
