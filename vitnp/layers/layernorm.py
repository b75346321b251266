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
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)     # (…, 1)
    rstd = 1.0 / xp.sqrt(variance + eps)                            # (…, 1)
    normalised = centred * rstd                                     # (…, D)
    y = normalised * gamma + beta
    return y, (normalised, rstd, gamma)


def backward(dy, cache):
    """Return dx (…, D), dgamma (D,) and dbeta (D,) for dy (…, D).

    Closed form: mean and variance depend on every entry of the token, and their two paths take
    from dnormalised its mean and its part along normalised:
    dx = rstd · (dn - mean(dn) - normalised · mean(dn · normalised)), with dn = dnormalised.
    """
    normalised, rstd, gamma = cache
    D = dy.shape[-1]
    # y = normalised * gamma + beta
    dbeta = dy.reshape(-1, D).sum(axis=0)                           # (D,)
    dgamma = (dy * normalised).reshape(-1, D).sum(axis=0)           # (D,)
    dnormalised = dy * gamma
    # normalised = (x - mean) / √(variance + eps)
    mean = dnormalised.mean(axis=-1, keepdims=True)                 # (…, 1)
    along = (dnormalised * normalised).mean(axis=-1, keepdims=True)     # (…, 1)
    dx = rstd * (dnormalised - mean - normalised * along)           # (…, D)
    return dx, dgamma, dbeta
