"""layers/attention.py: queries, keys and values each by its own linear layer."""

import numpy as np


def forward(x, p, config, ops, rng=None, queries=None):
    weights = np.split(p["qkv"]["weight"], 3, axis=1)
    biases = np.split(p["qkv"]["bias"], 3)
    inputs = [x[:, :queries], x, x]
    made = [ops.linear.forward(*three) for three in zip(inputs, weights, biases, strict=True)]
    q, k, v = (ops.heads.split(array, config.heads, 1)[0] for array, _ in made)
    mixed, mix = ops.dot_product_attention.forward(q, k, v, ops, config.attention_dropout, rng)
    y, out = ops.linear.forward(ops.heads.merge([mixed]), p["out"]["weight"], p["out"]["bias"])
    return y, {"weights": mix["weights"], "mix": mix, "out": out, "ops": ops,
               "linear": [cache for _, cache in made], "H": config.heads}


def backward(dy, cache):
    ops = cache["ops"]
    dmerged, dweight, dbias = ops.linear.backward(dy, cache["out"])
    [dmixed] = ops.heads.split(dmerged, cache["H"], 1)
    gradients = ops.dot_product_attention.backward(dmixed, cache["mix"])
    made = [ops.linear.backward(ops.heads.merge([gradient]), linear)
            for gradient, linear in zip(gradients, cache["linear"], strict=True)]
    (dx_q, _, _), (dx_k, _, _), (dx_v, _, _) = made
    dx = dx_v + dx_k
    dx[:, :dx_q.shape[1]] += dx_q
    return dx, {"out": {"weight": dweight, "bias": dbias},
                "qkv": {"weight": np.hstack([one[1] for one in made]),
                        "bias": np.hstack([one[2] for one in made])}}
