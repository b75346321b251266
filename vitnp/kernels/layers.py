"""The fused layers without products of matrices: each computes what its textbook twin does.

The caches are smaller, because what is quickly computed is computed again.
"""

import numpy as np

from vitnp.backend import get_xp
from vitnp.common.randomness import Hashed
from vitnp.kernels.cuda import CHUNK, LANES, WARPS
from vitnp.kernels.launching import blocks, contiguous, launch, numbers
from vitnp.layers import textbook


def layernorm_forward(x, gamma, beta, eps=1e-6):
    """Give each token mean 0 and variance 1, then scale and shift; see layers/layernorm.py.

    The cache keeps x itself: do not overwrite it before the backward pass.
    """
    xp, n = get_xp(x), x.shape[-1]
    x, gamma, beta = contiguous(x, gamma, beta)
    y, rows = xp.empty_like(x), x.size // n
    mean, rstd = xp.empty(rows, x.dtype), xp.empty(rows, x.dtype)
    launch("layernorm_forward", (blocks(rows, WARPS),), x, gamma, beta, y, mean, rstd, eps, rows, n)
    return y, (x, gamma, mean, rstd)


def layernorm_backward(dy, cache):
    """Return dx (…, D), dgamma (D,) and dbeta (D,) for dy (…, D)."""
    x, gamma, mean, rstd = cache
    (dy,) = contiguous(dy)
    dx, n = get_xp(dy).empty_like(dy), dy.shape[-1]
    launch("layernorm_backward", (blocks(len(mean), WARPS),), dy, x, gamma, mean, rstd, dx,
           len(mean), n)
    dbeta, dgamma = sums_over_rows(dy.reshape(-1, n), x, mean, rstd)
    return dx, dgamma, dbeta


def sums_over_rows(dy, *normalisation):
    """Return the sums (2, n) over the rows of dy (rows, n), and of dy · normalised.

    normalisation: x, mean and rstd of the rows; without them the sums are (1, n).
    """
    rows, n = dy.shape
    grid = (blocks(n, LANES), blocks(rows, CHUNK))
    sums = get_xp(dy).empty((2 if normalisation else 1, grid[1], n), dy.dtype)
    x, mean, rstd = normalisation or (dy, dy, dy)
    launch("column_sums", grid, dy, x, mean, rstd, sums, bool(normalisation), rows, n)
    return sums.sum(axis=1)


def softmax_forward(x):
    """Turn each row of scores into positive weights with sum 1; see layers/softmax.py."""
    (x,) = contiguous(x)
    y, n = get_xp(x).empty_like(x), x.shape[-1]
    launch("softmax_forward", (blocks(x.size // n, WARPS),), x, y, x.size // n, n)
    return y, (y,)


def softmax_backward(dy, cache):
    """Return dx (…, n) for dy (…, n)."""
    y, (dy,) = cache[0], contiguous(dy)
    dx, n = get_xp(dy).empty_like(dy), dy.shape[-1]
    launch("softmax_backward", (blocks(dy.size // n, WARPS),), dy, y, dx, dy.size // n, n)
    return dx


def gelu_forward(x, form="tanh"):
    """Let each number pass by its share Φ(x), in the form "tanh" or "erf"; see layers/gelu.py."""
    (x,) = contiguous(x)
    y = get_xp(x).empty_like(x)
    launch("gelu_forward", numbers(x.size), x, y, form == "tanh", x.size)
    return y, (x, form)


def gelu_backward(dy, cache):
    """Return dx for dy, of the same shape."""
    x, form = cache
    (dy,) = contiguous(dy)
    dx = get_xp(dy).empty_like(dy)
    launch("gelu_backward", numbers(x.size), dy, x, dx, form == "tanh", x.size)
    return dx


def dropout_forward(x, rate, rng, per_image=False):
    """Set a random share of x to zero and scale up the rest; see layers/dropout.py.

    No mask is kept: the backward draws it once more, from the key in the cache.
    """
    if rng is None or rate == 0.0:
        return x, (None,)
    if not isinstance(rng, Hashed):                     # a caller's own generator
        return textbook.dropout.forward(x, rate, rng, per_image)
    draw = rng.next_key(), rate, x.size // len(x) if per_image else 1
    return dropped(x, *draw), ("drawn", *draw)


def dropout_backward(dy, cache):
    """Return dx for dy, of the same shape."""
    if cache[0] != "drawn":
        return textbook.dropout.backward(dy, cache)
    return dropped(dy, *cache[1:])


def dropped(x, key, rate, each):
    """Return x · mask / (1 - rate), one draw for `each` numbers that lie together."""
    (x,) = contiguous(x)
    y = get_xp(x).empty_like(x)
    launch("dropout", numbers(x.size), x, y, key, rate, 1.0 / (1.0 - rate), each, x.size)
    return y


def split(x, heads, parts):
    """Cut `parts` matrices, side by side in x, into heads, in one copy; see layers/heads.py."""
    B, T, width = x.shape
    x = x.reshape(B, T, parts, heads, width // parts // heads)
    return list(get_xp(x).ascontiguousarray(x.transpose(2, 0, 3, 1, 4)))    # (parts, B, H, T, Dh)


def merge(parts):
    """Join one to three arrays (B, H, T, Dh) into one array (B, T, len(parts)·D)."""
    parts = contiguous(*parts)
    B, H, T, Dh = parts[0].shape
    y = get_xp(*parts).empty((B, T, len(parts) * H * Dh), parts[0].dtype)
    filled = (parts * 3)[:3]
    launch("merge_heads", numbers(y.size), *filled, y, len(parts), H, T, Dh, y.size)
    return y


def is_host(x):
    """Tell whether an array, or the first of a list, is NumPy's."""
    return isinstance(x[0] if isinstance(x, list) else x, np.ndarray)
