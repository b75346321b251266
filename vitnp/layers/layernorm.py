"""Layer normalisation over the last axis."""

from vitnp.backend import get_xp


def forward(x, gamma, beta, eps=1e-6):
    """Give each token mean 0 and variance 1, then a learned scale and shift.

    Equation: y = (x - mean) / √(variance + eps) · gamma + beta, mean and biased variance over the
    last axis. The variance is computed in two passes: mean(x²) - mean(x)², as the authors' code
    has it, loses all digits where the mean is large.
    Source: Ba, Kiros, Hinton 2016, equation 4; eps 1e-6 as in the authors' code.

    x: (…, D); gamma, beta: (D,). Returns y (…, D) and the cache.
    """
    xp = get_xp(x)
    average = xp.full(x.shape[-1], 1.0 / x.shape[-1], x.dtype)      # x @ average: mean over D
    centred = x - (x @ average)[..., None]
    variance = (centred * centred) @ average                        # (…,)
    rstd = (1.0 / xp.sqrt(variance + eps))[..., None]               # (…, 1)
    normalised = xp.multiply(centred, rstd, out=centred)            # (…, D)
    y = normalised * gamma
    y += beta
    return y, (normalised, rstd, gamma)


def backward(dy, cache):
    """Return dx (…, D), dgamma (D,) and dbeta (D,) for dy (…, D).

    Closed form: mean and variance depend on every entry of the token, and their two paths take
    from dnormalised its mean and its part along normalised:
    dx = rstd · (dn - mean(dn) - normalised · mean(dn · normalised)), with dn = dnormalised.
    """
    normalised, rstd, gamma = cache
    xp, D = get_xp(dy), dy.shape[-1]
    average, rows = xp.full(D, 1.0 / D, dy.dtype), dy.reshape(-1, D)
    ones = xp.ones(len(rows), dy.dtype)                             # ones @ rows: sum over rows
    # y = normalised * gamma + beta
    dbeta = ones @ rows                                             # (D,)
    dgamma = ones @ (dy * normalised).reshape(-1, D)                # (D,)
    dnormalised = dy * gamma
    # normalised = (x - mean) / √(variance + eps)
    mean = (dnormalised @ average)[..., None]                       # (…, 1)
    along = ((dnormalised * normalised) @ average)[..., None]       # (…, 1)
    dx = dnormalised - mean
    dx -= normalised * along
    dx *= rstd                                                      # (…, D)
    return dx, dgamma, dbeta
