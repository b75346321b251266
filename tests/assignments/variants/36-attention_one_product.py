"""layers/attention.py: one product for q, k, v, unneeded queries thrown away; own reshapes."""

import numpy as np


def forward(x, p, config, ops, rng=None, queries=None):
    B, T, D = x.shape
    H = config.heads
    qkv, linear = ops.linear.forward(x, p["qkv"]["weight"], p["qkv"]["bias"])
    q, k, v = qkv.reshape(B, T, 3, H, D // H).transpose(2, 0, 3, 1, 4)
    mixed, mix = ops.dot_product_attention.forward(
        q[:, :, :queries], k, v, ops, config.attention_dropout, rng)
    joined = mixed.transpose(0, 2, 1, 3).reshape(B, -1, D)
    y, out = ops.linear.forward(joined, p["out"]["weight"], p["out"]["bias"])
    return y, {"weights": mix["weights"], "mix": mix, "linear": linear, "out": out, "ops": ops,
               "shape": k.shape}


def backward(dy, cache):
    ops, (B, H, T, Dh) = cache["ops"], cache["shape"]
    djoined, dout, dout_bias = ops.linear.backward(dy, cache["out"])
    dmixed = djoined.reshape(B, -1, H, Dh).transpose(0, 2, 1, 3)
    dq, dk, dv = ops.dot_product_attention.backward(dmixed, cache["mix"])
    dqkv = np.zeros((B, T, 3, H, Dh), dy.dtype)
    dqkv[:, :dq.shape[2], 0] = dq.swapaxes(1, 2)
    dqkv[:, :, 1] = dk.swapaxes(1, 2)
    dqkv[:, :, 2] = dv.swapaxes(1, 2)
    dx, dweight, dbias = ops.linear.backward(dqkv.reshape(B, T, 3 * H * Dh), cache["linear"])
    return dx, {"qkv": {"weight": dweight, "bias": dbias},
                "out": {"weight": dout, "bias": dout_bias}}
