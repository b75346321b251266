"""CUDA kernels, each the twin of a textbook layer.

A textbook layer launches a small program on the GPU for each line, and each of them reads and
writes whole arrays. Here a layer is one program. It computes the same equation with the same
arguments and results; only its cache is smaller, because what is quickly computed is computed
again. `ops()` puts them in the place of their twins, `adamw` is that of steps.update.

What runs on the GPU is in cuda.py; here is what is handed to it.
"""

import functools
from dataclasses import replace
from types import ModuleType

import numpy as np

from vitnp.backend import get_xp
from vitnp.errors import Error
from vitnp.kernels.cuda import CHUNK, LANES, WARPS, source
from vitnp.layers import linear, textbook

NAMES = ("textbook", "fused")
CTYPES = {"float32": "float", "float64": "double"}


@functools.cache
def kernel(xp, name, dtype):
    """Return a compiled kernel; CuPy compiles at the first use and keeps the result on disk."""
    return xp.RawModule(code=source(CTYPES[dtype])).get_function(name)


def launch(name, grid, *arguments):
    """Run a kernel on a grid of blocks. arguments: arrays and Python numbers, an array first.

    CuPy does not compare the arguments with those of the kernel: numbers get their type here, and
    arrays must be contiguous, of one dtype.
    """
    xp, dtype = get_xp(arguments[0]), arguments[0].dtype
    types = {bool: np.bool_, int: np.int64, float: dtype.type}
    typed = [types[type(value)](value) if type(value) in types else value for value in arguments]
    kernel(xp, name, dtype.name)(grid, (LANES, WARPS), tuple(typed))


def blocks(count, size):
    """Return how many blocks of a size hold a count."""
    return -(-count // size)


def contiguous(*arrays):
    """Return the arrays as kernels read them, without gaps; copied only where they have some."""
    return [get_xp(array).ascontiguousarray(array) for array in arrays]


def layernorm_forward(x, gamma, beta, eps=1e-6):
    """Give each token mean 0 and variance 1, then scale and shift; see layers/layernorm.py.

    The cache keeps x itself: do not overwrite it before the backward pass.
    """
    xp, n = get_xp(x), x.shape[-1]
    x, gamma, beta = contiguous(x, gamma, beta)
    y, rows = xp.empty_like(x), x.size // n
    mean, rstd = xp.empty(rows, x.dtype), xp.empty(rows, x.dtype)
    launch("layernorm_forward", (blocks(rows, WARPS),), x, gamma, beta, y, mean, rstd, float(eps),
           rows, n)
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
    launch("gelu_forward", (blocks(x.size, LANES * WARPS),), x, y, form == "tanh", x.size)
    return y, (x, form)


def gelu_backward(dy, cache):
    """Return dx for dy, of the same shape."""
    x, form = cache
    (dy,) = contiguous(dy)
    dx = get_xp(dy).empty_like(dy)
    launch("gelu_backward", (blocks(x.size, LANES * WARPS),), dy, x, dx, form == "tanh", x.size)
    return dx


def linear_backward(dy, cache):
    """Return dx (…, in), dweight (in, out) and dbias (out,) for dy (…, out).

    The forward is the textbook's. cuBLAS takes a transposed matrix as it lies in memory.
    """
    x, weight = cache
    rows, (drows,) = x.reshape(-1, x.shape[-1]), contiguous(dy.reshape(-1, dy.shape[-1]))
    return (drows @ weight.T).reshape(x.shape), rows.T @ drows, sums_over_rows(drows)[0]


def attention_backward(dy, cache):
    """Return dq (B, H, Tq, Dh), dk and dv (B, H, T, Dh) for dy (B, H, Tq, Dh).

    CuPy copies a transposed factor of many products at once. So the small one is transposed, and
    never the weights or their gradient, which are T x T: (aᵀ b) = (bᵀ a)ᵀ.
    """
    ops = cache["ops"]
    dv = transposed(transposed(dy) @ cache["dropped"])                          # (B, H, T, Dh)
    dweights = ops.dropout.backward(dy @ transposed(cache["v"]), cache["dropout"])
    dscores = ops.softmax.backward(dweights, cache["softmax"])                  # (B, H, Tq, T)
    dk = transposed(transposed(cache["scaled"]) @ dscores)                      # (B, H, T, Dh)
    dq = dscores @ cache["k"]                                                   # (B, H, Tq, Dh)
    dq *= cache["scale"]
    return dq, dk, dv


def transposed(matrices):
    """Return a view with the last two axes exchanged."""
    return matrices.swapaxes(-1, -2)


def adamw(params, gradients, moment1, moment2, average, norm, finite, step, learning_rate, groups,
          max_norm, ema, beta1=0.9, beta2=0.999, eps=1e-8):
    """Clip, take a step of AdamW and move the average, in place; see optim.py for the equations.

    params, gradients, moment1, moment2, average: flat buffers of one length, average may be None;
    norm, finite: numbers on the device, and where finite is false nothing changes; max_norm 0: no
    clipping; ema: weight of the old in the average. The gradients stay as they are.
    """
    for part, multiplier, decay in groups:
        buffers = [buffer[part] for buffer in (params, gradients, moment1, moment2)]
        follows = buffers[0] if average is None else average[part]
        rate = learning_rate * multiplier
        launch("adamw", (blocks(buffers[0].size, LANES * WARPS),), *buffers, follows, norm, finite,
               float(max_norm), 1.0 - beta1, 1.0 - beta2, rate / (1.0 - beta1**step),
               1.0 - beta2**step, eps, 1.0 - rate * decay, 0.0 if average is None else 1.0 - ema,
               buffers[0].size)


def layer(twin, forward, backward):
    """Return a module of two functions for Ops; NumPy's arrays go to the textbook's twin.

    So a model that was trained with these layers can be moved to the CPU.
    """
    module = ModuleType(__name__)

    def either_forward(x, *others):
        return (twin.forward if isinstance(x, np.ndarray) else forward)(x, *others)

    def either_backward(dy, cache):
        return (twin.backward if isinstance(dy, np.ndarray) else backward)(dy, cache)

    module.forward, module.backward = either_forward, either_backward
    return module


@functools.cache
def ops():
    """Return the Ops with fused layers in the place of their textbook twins."""
    pairs = {"layernorm": (layernorm_forward, layernorm_backward),
             "softmax": (softmax_forward, softmax_backward),
             "gelu": (gelu_forward, gelu_backward), "linear": (linear.forward, linear_backward),
             "dot_product_attention": (textbook.dot_product_attention.forward, attention_backward)}
    return replace(textbook, **{name: layer(getattr(textbook, name), *pair)
                                for name, pair in pairs.items()})


def choose(name, xp):
    """Return "fused" or "textbook" for the option --ops; None is the device's own choice.

    Raises Error for other names, and for fused layers on a CPU.
    """
    if name not in (None, *NAMES):
        raise Error(f"there are no layers {name!r}; possible are {', '.join(NAMES)}")
    if name == "fused" and xp is np:
        raise Error("--ops fused needs a GPU, for which these layers are written, but the device "
                    "is the CPU; leave it out, or use --device gpu")
    return name or ("textbook" if xp is np else "fused")
