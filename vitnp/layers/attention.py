"""Multi-head self-attention."""

from vitnp.backend import get_xp


def forward(x, p, config, ops, rng=None, queries=None):
    """Let every token gather from all tokens, in several heads at once.

    Equation: [q, k, v] = x U_qkv; each head attends; MSA(x) = [head₁; …; head_H] U_msa.
    Source: Dosovitskiy et al. 2021, appendix A, equations 5 to 8; with biases, as in the authors'
    code. queries=1 asks for the first token only, all that token pooling needs of the last block.

    x: (B, T, D); p: qkv (D, 3D) and out (D, D), each with weight and bias.
    Returns y (B, Tq, D), Tq = queries or T, and the cache, whose "weights" are (B, H, Tq, T).
    """
    D, H = config.width, config.heads
    weight, bias = p["qkv"]["weight"], p["qkv"]["bias"]
    q, q_cache = ops.linear.forward(x[:, :queries], weight[:, :D], bias[:D])    # (B, Tq, D)
    kv, kv_cache = ops.linear.forward(x, weight[:, D:], bias[D:])               # (B, T, 2D)
    (q,), (k, v) = ops.heads.split(q, H, 1), ops.heads.split(kv, H, 2)          # (B, H, T, Dh)
    mixed, mix_cache = ops.dot_product_attention.forward(
        q, k, v, ops, config.attention_dropout, rng)                            # (B, H, Tq, Dh)
    merged = ops.heads.merge([mixed])                                           # (B, Tq, D)
    y, out_cache = ops.linear.forward(merged, p["out"]["weight"], p["out"]["bias"])
    return y, {"ops": ops, "heads": H, "queries": queries, "q": q_cache, "kv": kv_cache,
               "mix": mix_cache, "weights": mix_cache["weights"], "out": out_cache}


def backward(dy, cache):
    """Return dx (B, T, D) and the gradients of p for dy (B, Tq, D)."""
    ops = cache["ops"]
    xp = get_xp(dy)
    # y = linear(merged)
    dmerged, dout, dout_bias = ops.linear.backward(dy, cache["out"])            # (B, Tq, D)
    # merged = merge([mixed])
    (dmixed,) = ops.heads.split(dmerged, cache["heads"], 1)                     # (B, H, Tq, Dh)
    # mixed = softmax(q kᵀ / √Dh) v
    dq, dk, dv = ops.dot_product_attention.backward(dmixed, cache["mix"])
    # q, k, v = split(q), split(kv)
    dq, dkv = ops.heads.merge([dq]), ops.heads.merge([dk, dv])                  # (B, T, 2D)
    # kv = linear(x), with all tokens
    dx, dweight_kv, dbias_kv = ops.linear.backward(dkv, cache["kv"])            # (B, T, D)
    # q = linear(x), with the first tokens
    dx_q, dweight_q, dbias_q = ops.linear.backward(dq, cache["q"])              # (B, Tq, D)
    dx[:, :cache["queries"]] += dx_q
    dqkv = {"weight": xp.concatenate([dweight_q, dweight_kv], axis=1),
            "bias": xp.concatenate([dbias_q, dbias_kv])}
    return dx, {"qkv": dqkv, "out": {"weight": dout, "bias": dout_bias}}
