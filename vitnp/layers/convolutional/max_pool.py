"""Keep the largest number of each window, channel by channel."""

from vitnp.backend import get_xp


def forward(x, ops, size=(3, 3), stride=2):
    """Replace each window by its maximum.

    Equation: y[r, c, d] = max_ij windows(x)[r, c, i, j, d]. Places outside the image never win;
    the authors' code of BiT pads with zeros, which do where all else is negative.
    Source: He et al. 2016, table 1 (3 x 3, stride 2).

    x: (B, height, width, C); size: (h, w); stride: see windows.
    Returns y (B, rows, columns, C) and the cache.
    """
    windows, cut = ops.windows.forward(x, size, stride, outside=-get_xp(x).inf)
    B, rows, columns, h, w, C = windows.shape
    places = windows.reshape(B, rows, columns, h * w, C)
    winner = places.argmax(axis=3)                              # (B, rows, columns, C)
    return places.max(axis=3), (ops, winner, size, cut)


def backward(dy, cache):
    """Return dx (B, height, width, C) for dy (B, rows, columns, C).

    The place that won its window gets the gradient; of several equal ones, the first.
    """
    ops, winner, (h, w), cut = cache
    xp, (B, rows, columns, C) = get_xp(dy), dy.shape
    # y = places.max(axis=3)
    won = winner[:, :, :, None] == xp.arange(h * w)[:, None]    # (B, rows, columns, h·w, C)
    dplaces = won * dy[:, :, :, None]                           # (B, rows, columns, h·w, C)
    # places = windows(x)
    return ops.windows.backward(dplaces.reshape(B, rows, columns, h, w, C), cut)
