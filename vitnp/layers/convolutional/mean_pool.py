"""Average a feature map over all its places."""

from vitnp.backend import get_xp


def forward(x):
    """Return the mean of each channel.

    Equation: y[d] = Σ_rc x[r, c, d] / (rows · columns).
    Source: Lin, Chen, Yan 2013, section 3.2.

    x: (B, rows, columns, C). Returns y (B, C) and the cache.
    """
    return x.mean(axis=(1, 2)), (x.shape,)


def backward(dy, cache):
    """Return dx (B, rows, columns, C) for dy (B, C): each place has the same share."""
    ((B, rows, columns, C),) = cache
    # y = x.mean(axis=(1, 2))
    share = dy[:, None, None] * (1.0 / (rows * columns))        # (B, 1, 1, C)
    return get_xp(dy).broadcast_to(share, (B, rows, columns, C)).copy()
