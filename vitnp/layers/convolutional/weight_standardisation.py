"""Weight standardisation: a norm of the weights, not of what they are applied to."""

from vitnp.backend import get_xp


def forward(weight, eps=1e-10):
    """Give the weights of each filter mean 0 and variance 1.

    Equation: y = (weight - mean) / √(variance + eps), mean and biased variance over h, w and C.
    Source: Qiao et al. 2019, there with deviation + 1e-5 as divisor, as Google's code
    of the ViT's hybrids has it too; this is that of BiT (Kolesnikov et al. 2020), with its eps.

    weight: (h, w, C, F). Returns y of that shape and the cache.
    """
    xp = get_xp(weight)
    rows = weight.reshape(-1, weight.shape[-1])                 # (h·w·C, F)
    centred = rows - rows.mean(axis=0)
    variance = (centred * centred).mean(axis=0)                 # (F,)
    rstd = 1.0 / xp.sqrt(variance + eps)                        # (F,)
    y = centred * rstd                                          # (h·w·C, F)
    return y.reshape(weight.shape), (y, rstd)


def backward(dy, cache):
    """Return dweight (h, w, C, F) for dy of that shape.

    Closed form, as that of LayerNorm: dweight = rstd · (dy - mean(dy) - y · mean(dy · y)). It has
    no part along the weights: a step of gradient descent can turn a filter, but not shorten it.
    """
    y, rstd = cache
    rows = dy.reshape(y.shape)                                  # (h·w·C, F)
    # y = (weight - mean) / √(variance + eps)
    dweight = rows - rows.mean(axis=0)
    dweight -= y * (rows * y).mean(axis=0)
    dweight *= rstd
    return dweight.reshape(dy.shape)
