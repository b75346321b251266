"""The rectified linear unit."""

from vitnp.backend import get_xp


def forward(x):
    """Let positive numbers pass and replace the others by 0.

    Equation: y = max(x, 0).
    Source: Nair, Hinton 2010.

    x: any shape. Returns y of that shape and the cache.
    """
    y = get_xp(x).maximum(x, 0.0)
    return y, (y,)


def backward(dy, cache):
    """Return dx for dy, of the same shape. At x = 0, where the slope jumps, it is taken as 0."""
    (y,) = cache
    # y = max(x, 0)
    return dy * (y > 0.0)
