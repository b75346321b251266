"""layers/mlp.py: one token of all images after the other; the sums grow in a loop."""

import numpy as np


def forward(x, p, config, ops, rng=None):
    cache = {"ops": ops, "in": [], "out": []}
    hidden = []
    for t in range(x.shape[1]):
        h, c = ops.linear.forward(x[:, t], p["in"]["weight"], p["in"]["bias"])
        hidden.append(h)
        cache["in"].append(c)
    hidden, cache["gelu"] = ops.gelu.forward(np.stack(hidden, axis=1), config.gelu)
    hidden, cache["drop"] = ops.dropout.forward(hidden, config.dropout, rng)
    y = []
    for t in range(x.shape[1]):
        out, c = ops.linear.forward(hidden[:, t], p["out"]["weight"], p["out"]["bias"])
        y.append(out)
        cache["out"].append(c)
    y, cache["drop_out"] = ops.dropout.forward(np.stack(y, axis=1), config.dropout, rng)
    return y, cache


def backward(dy, cache):
    ops = cache["ops"]
    dy = ops.dropout.backward(dy, cache["drop_out"])
    dhidden, dp_out = through(dy, cache["out"], ops)
    dhidden = ops.dropout.backward(dhidden, cache["drop"])
    dx, dp_in = through(ops.gelu.backward(dhidden, cache["gelu"]), cache["in"], ops)
    return dx, {"in": dp_in, "out": dp_out}


def through(dy, caches, ops):
    """Return the gradients of a linear layer that saw the tokens one by one."""
    triples = [ops.linear.backward(dy[:, t], cache) for t, cache in enumerate(caches)]
    return (np.stack([dx for dx, _, _ in triples], axis=1),
            {"weight": sum(dweight for _, dweight, _ in triples),
             "bias": sum(dbias for _, _, dbias in triples)})
