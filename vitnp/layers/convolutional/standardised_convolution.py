"""A convolution with standardised weights, as BiT has them everywhere."""


def forward(x, weight, ops, stride=1):
    """Standardise the weight, then convolve.

    Source: Kolesnikov et al. 2020, section 2.1.

    x: (B, height, width, C); weight: (h, w, C, F); stride: see windows.
    Returns y (B, rows, columns, F) and the cache.
    """
    standard, standard_cache = ops.weight_standardisation.forward(weight)       # (h, w, C, F)
    y, cache = ops.convolution.forward(x, standard, ops, stride)            # (B, rows, columns, F)
    return y, (ops, standard_cache, cache)


def backward(dy, cache):
    """Return dx (B, height, width, C) and dweight (h, w, C, F) for dy (B, rows, columns, F)."""
    ops, standard_cache, cache = cache
    # y = convolution(x, standard)
    dx, dstandard = ops.convolution.backward(dy, cache)
    # standard = weight_standardisation(weight)
    return dx, ops.weight_standardisation.backward(dstandard, standard_cache)
