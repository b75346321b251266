"""Products of matrices on a GPU, and the layers that are made of them.

cuBLAS takes a factor as it lies in memory, transposed or cut out of a wider matrix, where CuPy
would copy it. In bfloat16, the upper half of a float32's bits, factors have 8 bits of precision in
place of 24, and a GPU multiplies them many times faster; sums and results stay float32. Nothing
needs to be scaled, since bfloat16 reaches as far as float32.
"""

import math

import numpy as np

from vitnp.backend import TF32_MATH, get_xp
from vitnp.kernels.launching import contiguous, launch, numbers
from vitnp.kernels.layers import sums_over_rows
from vitnp.layers import textbook

# Of cublas_api.h and library_types.h: how a product is computed, and the types of its arrays
FLOAT32, TF32, FLOAT64, DEFAULT = 68, 77, 70, -1
TYPES = {"float32": 0, "float64": 1, "uint16": 14}      # bfloat16 is kept as whole numbers


def shorten(x):
    """Return float32 numbers rounded to bfloat16, as their bits: uint16 of the same shape."""
    if isinstance(x, np.ndarray):
        bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
        rounded = (bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16
        return np.where(np.isnan(x), 0x7FC0, rounded).astype(np.uint16)
    (x,) = contiguous(x)
    y = get_xp(x).empty(x.shape, np.uint16)
    launch("shorten", numbers(x.size), x, y, x.size)
    return y


def lengthen(x):
    """Return the float32 numbers of bfloat16's bits, on a CPU; others as they are."""
    return (x.astype(np.uint32) << 16).view(np.float32) if x.dtype == np.uint16 else x


def product(a, b, scale=1.0):
    """Return scale · a b, for two matrices or equally many of each; bfloat16 factors as uint16.

    a: (…, rows, inner); b: (…, inner, columns), with the same leading axes.
    """
    if isinstance(a, np.ndarray):
        y = lengthen(a) @ lengthen(b)
        return y if scale == 1.0 else y * scale
    return product_on_gpu(a, b, scale)


def product_on_gpu(a, b, scale):
    """Do what product does with cuBLAS."""
    xp = get_xp(a, b)
    cublas, handle = xp.cuda.cublas, xp.cuda.device.get_cublas_handle()
    *batch, rows, inner = a.shape
    dtype = np.dtype(np.float32 if a.dtype == np.uint16 else a.dtype)
    y = xp.empty((*batch, rows, b.shape[-1]), dtype)
    (a, op_a, step_a), (b, op_b, step_b) = layout(a), layout(b)
    compute = FLOAT64 if dtype == np.float64 else FLOAT32
    if a.dtype == np.float32 and cublas.getMathMode(handle) == TF32_MATH:
        compute = TF32
    one, zero = np.array(scale, dtype), np.array(0.0, dtype)
    if y.size:
        # cuBLAS counts by columns: yᵀ = bᵀ aᵀ, and what lies row by row is its own transpose there
        cublas.gemmStridedBatchedEx(
            handle, op_b, op_a, y.shape[-1], rows, inner, one.ctypes.data,
            b.data.ptr, TYPES[b.dtype.name], step_b, math.prod(b.shape[-2:]),
            a.data.ptr, TYPES[a.dtype.name], step_a, math.prod(a.shape[-2:]), zero.ctypes.data,
            y.data.ptr, TYPES[dtype.name], y.shape[-1], math.prod(y.shape[-2:]),
            math.prod(batch), compute, DEFAULT)
    return y


def layout(x):
    """Return x, copied where it must be, whether cuBLAS transposes it, and its step between rows.

    Rows that lie further apart than they are long are read as they are, of a single matrix.
    """
    size = x.itemsize
    for turned, y in enumerate((x, x.swapaxes(-1, -2))):
        row, number = y.strides[-2:]
        if y.flags.c_contiguous or y.ndim == 2 and number == size and row >= y.shape[1] * size:
            return x, turned, max(row // size, y.shape[-1])
    (x,) = contiguous(x)
    return x, 0, x.shape[-1]


def same(x):
    """Return a factor as it is, for products in float32 or float64."""
    return x


def linear_forward(factor, x, weight, bias):
    """Multiply the last axis of x (…, in) by weight (in, out) and add bias (out,).

    factor: what a factor of a product becomes, same or shorten.
    """
    rows, weight = factor(x.reshape(-1, x.shape[-1])), factor(weight)
    y = product(rows, weight)
    y += bias
    return y.reshape(*x.shape[:-1], weight.shape[1]), (x.shape, rows, weight)


def linear_backward(factor, dy, cache):
    """Return dx (…, in), dweight (in, out) and dbias (out,) for dy (…, out)."""
    shape, rows, weight = cache
    (drows,) = contiguous(dy.reshape(-1, dy.shape[-1]))
    on_host = isinstance(drows, np.ndarray)
    dbias = drows.sum(axis=0) if on_host else sums_over_rows(drows)[0]
    drows = factor(drows)
    return product(drows, weight.T).reshape(shape), product(rows.T, drows), dbias


def dot_product_forward(factor, q, k, v, ops, rate=0.0, rng=None):
    """Return softmax(q kᵀ / √Dh) v; see layers/dot_product_attention.py for the shapes.

    The scale is that of the products, so that no array is multiplied by it.
    """
    scale = 1.0 / math.sqrt(q.shape[-1])
    q, k, v = factor(q), factor(k), factor(v)
    weights, softmax = ops.softmax.forward(product(q, transposed(k), scale))    # (B, H, Tq, T)
    dropped, dropout = ops.dropout.forward(weights, rate, rng)
    dropped = factor(dropped)
    return product(dropped, v), {
        "ops": ops, "scale": scale, "q": q, "k": k, "v": v, "weights": weights,
        "dropped": dropped, "softmax": softmax, "dropout": dropout}


def dot_product_backward(factor, dy, cache):
    """Return dq (B, H, Tq, Dh), dk and dv (B, H, T, Dh) for dy (B, H, Tq, Dh)."""
    ops, scale, dy = cache["ops"], cache["scale"], factor(dy)
    dv = product(transposed(cache["dropped"]), dy)                              # (B, H, T, Dh)
    dweights = ops.dropout.backward(product(dy, transposed(cache["v"])), cache["dropout"])
    dscores = factor(ops.softmax.backward(dweights, cache["softmax"]))          # (B, H, Tq, T)
    dk = product(transposed(dscores), cache["q"], scale)                        # (B, H, T, Dh)
    return product(dscores, cache["k"], scale), dk, dv


def transposed(matrices):
    """Return a view with the last two axes exchanged."""
    return matrices.swapaxes(-1, -2)


def attention_forward(x, p, config, ops, rng=None, queries=None):
    """Let every token gather from all tokens; queries, keys and values come from one product.

    See layers/attention.py, which does the last block where the first token alone is asked for.
    """
    if queries is not None:
        return textbook.attention.forward(x, p, config, ops, rng, queries)
    H = config.heads
    qkv, qkv_cache = ops.linear.forward(x, p["qkv"]["weight"], p["qkv"]["bias"])    # (B, T, 3D)
    q, k, v = ops.heads.split(qkv, H, 3)                                        # (B, H, T, Dh)
    mixed, mix = ops.dot_product_attention.forward(q, k, v, ops, config.attention_dropout, rng)
    y, out = ops.linear.forward(ops.heads.merge([mixed]), p["out"]["weight"], p["out"]["bias"])
    return y, {"ops": ops, "heads": H, "qkv": qkv_cache, "mix": mix, "weights": mix["weights"],
               "out": out}


def attention_backward(dy, cache):
    """Return dx (B, T, D) and the gradients of p for dy (B, Tq, D)."""
    if "qkv" not in cache:
        return textbook.attention.backward(dy, cache)
    ops = cache["ops"]
    dmerged, dout, dout_bias = ops.linear.backward(dy, cache["out"])            # (B, T, D)
    (dmixed,) = ops.heads.split(dmerged, cache["heads"], 1)                     # (B, H, T, Dh)
    dqkv = ops.heads.merge(list(ops.dot_product_attention.backward(dmixed, cache["mix"])))
    dx, dweight, dbias = ops.linear.backward(dqkv, cache["qkv"])                # (B, T, D)
    return dx, {"qkv": {"weight": dweight, "bias": dbias},
                "out": {"weight": dout, "bias": dout_bias}}
