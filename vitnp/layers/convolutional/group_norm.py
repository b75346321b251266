"""Group normalisation: over the places of an image and some of its channels."""

from vitnp.backend import get_xp


def forward(x, gamma, beta, groups, eps=1e-5):
    """Give each group of channels of each image mean 0 and variance 1, then scale and shift.

    Equation: y = (x - mean) / √(variance + eps) · gamma + beta, mean and biased variance over all
    rows and columns and the C / G neighbouring channels of a group. Unlike BatchNorm, no image
    depends on the others of its batch. The variance is computed in two passes, as in layernorm.
    Source: Wu, He 2018, section 3.1; eps 1e-5 as in their paper and in BiT.

    x: (B, rows, columns, C); gamma, beta: (C,), one a channel; groups: G, a divisor of C.
    Returns y (B, rows, columns, C) and the cache.
    """
    xp, C = get_xp(x), x.shape[-1]
    places = x.reshape(len(x), -1, C)                           # (B, rows·columns, C)
    centred = places - group_mean(places, groups)
    variance = group_mean(centred * centred, groups)            # (B, 1, C)
    rstd = 1.0 / xp.sqrt(variance + eps)                        # (B, 1, C)
    normalised = xp.multiply(centred, rstd, out=centred)        # (B, rows·columns, C)
    y = normalised * gamma
    y += beta
    return y.reshape(x.shape), (normalised, rstd, gamma, groups)


def backward(dy, cache):
    """Return dx (B, rows, columns, C), dgamma (C,) and dbeta (C,) for dy (B, rows, columns, C).

    Closed form, as that of LayerNorm, with the means over a group:
    dx = rstd · (dn - mean(dn) - normalised · mean(dn · normalised)), with dn = dnormalised.
    """
    normalised, rstd, gamma, groups = cache
    xp, C, places = get_xp(dy), dy.shape[-1], dy.reshape(normalised.shape)
    ones = xp.ones(dy.size // C, dy.dtype)                      # ones @ rows: sum over rows
    # y = normalised * gamma + beta
    dbeta = ones @ places.reshape(-1, C)                        # (C,)
    dgamma = ones @ (places * normalised).reshape(-1, C)        # (C,)
    dnormalised = places * gamma                                # (B, rows·columns, C)
    # normalised = (x - mean) / √(variance + eps)
    dx = dnormalised - group_mean(dnormalised, groups)
    dx -= normalised * group_mean(dnormalised * normalised, groups)
    dx *= rstd
    return dx.reshape(dy.shape), dgamma, dbeta


def group_mean(x, groups):
    """Return, for each channel of x (B, places, C), the mean over its group: (B, 1, C)."""
    xp, (B, places, C) = get_xp(x), x.shape
    average = xp.full(places, 1.0 / places, x.dtype)            # average @ x: mean over places
    means = (average @ x).reshape(B, groups, C // groups).mean(axis=2)          # (B, G)
    return xp.repeat(means, C // groups, axis=1)[:, None]       # (B, 1, C)
