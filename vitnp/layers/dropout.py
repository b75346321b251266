"""Dropout, of single numbers or of whole images (stochastic depth)."""

from vitnp.backend import get_xp


def forward(x, rate, rng, per_image=False):
    """Set a random share of x to zero and scale up the rest, so that the mean stays.

    Equation: y = x · mask / (1 - rate), each entry of the mask 1 with probability 1 - rate.
    Source: Srivastava et al. 2014; with per_image=True, one draw an image, stochastic depth:
    Huang et al. 2016.

    x: (B, …); rate: 0 <= rate < 1; rng: a Generator of x's library, or None for evaluation.
    Returns y and the cache. Without rng or with rate 0, y is x itself.
    """
    if rng is None or rate == 0.0:
        return x, (None,)
    xp = get_xp(x)
    shape = (x.shape[0],) + (1,) * (x.ndim - 1) if per_image else x.shape
    kept = rng.random(shape, dtype=xp.float32) >= rate
    mask = kept.astype(x.dtype) * (1.0 / (1.0 - rate))
    return x * mask, (mask,)


def backward(dy, cache):
    """Return dx for dy, of the same shape: what was dropped has no gradient."""
    (mask,) = cache
    # y = x * mask
    return dy if mask is None else dy * mask
