"""Softmax over the last axis."""

from vitnp.backend import get_xp


def forward(x):
    """Turn each row of scores into positive weights with sum 1.

    Equation: y_i = exp(x_i - max x) / Σ_j exp(x_j - max x). The maximum changes nothing in the
    result and keeps exp from overflowing.

    x: (…, n). Returns y (…, n) and the cache.
    """
    xp = get_xp(x)
    y = xp.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)
    return y, (y,)


def backward(dy, cache):
    """Return dx (…, n) for dy (…, n).

    The Jacobian ∂y_i/∂x_j = y_i (δ_ij - y_j), a matrix a row, is never built:
    dx_j = y_j (dy_j - Σ_i dy_i y_i).
    """
    (y,) = cache
    # y = exp(x) / sum(exp(x))
    dx = dy * y
    dx -= y * dx.sum(axis=-1, keepdims=True)
    return dx
