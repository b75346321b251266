"""layers/block.py: each branch a function of its own, with other names in the cache."""


def forward(x, p, config, ops, rng=None, drop_rate=0.0, queries=None):
    attended, attention = attend(x, p, config, ops, rng, drop_rate, queries)
    between = attended + x[:, :queries]
    thought, mlp = think(between, p, config, ops, rng, drop_rate)
    return thought + between, {"attention": attention[1], "first": attention, "second": mlp,
                               "ops": ops}


def attend(x, p, config, ops, rng, drop_rate, queries):
    y, norm = ops.layernorm.forward(x, *pick(p["norm1"]), config.eps)
    y, attention = ops.attention.forward(y, p["attention"], config, ops, rng, queries)
    y, dropout = ops.dropout.forward(y, config.dropout, rng)
    y, depth = ops.dropout.forward(y, drop_rate, rng, per_image=True)
    return y, (norm, attention, dropout, depth)


def think(x, p, config, ops, rng, drop_rate):
    y, norm = ops.layernorm.forward(x, *pick(p["norm2"]), config.eps)
    y, mlp = ops.mlp.forward(y, p["mlp"], config, ops, rng)
    y, depth = ops.dropout.forward(y, drop_rate, rng, per_image=True)
    return y, (norm, mlp, depth)


def pick(norm):
    return norm["gamma"], norm["beta"]


def backward(dx, cache):
    ops, (norm2, mlp, depth2) = cache["ops"], cache["second"]
    norm1, attention, dropout, depth1 = cache["first"]
    dnormed, dmlp = ops.mlp.backward(ops.dropout.backward(dx, depth2), mlp)
    dbetween, dgamma2, dbeta2 = ops.layernorm.backward(dnormed, norm2)
    dbetween = dbetween + dx
    dbranch = ops.dropout.backward(ops.dropout.backward(dbetween, depth1), dropout)
    dnormed, dattention = ops.attention.backward(dbranch, attention)
    dinput, dgamma1, dbeta1 = ops.layernorm.backward(dnormed, norm1)
    dinput = dinput.copy()
    dinput[:, :dx.shape[1]] += dbetween
    return dinput, {"mlp": dmlp, "attention": dattention,
                    "norm1": {"gamma": dgamma1, "beta": dbeta1},
                    "norm2": {"gamma": dgamma2, "beta": dbeta2}}
