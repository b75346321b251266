"""From images to tokens."""


def forward(images, p, config, ops, rng=None):
    """Cut images into patches, project each to the width, add class token and positions.

    Equation: z₀ = [x_class; x_p¹ E; …; x_pᴺ E] + E_pos, then dropout as in the authors' code.
    Source: Dosovitskiy et al. 2021, equation 1.

    images: (B, height, width, C); p: projection, and where the configuration has them class_token
    and position (other kinds of positions: position.py). Returns x (B, T, D) and the cache.
    """
    cache = {"ops": ops}
    weight, bias = p["projection"]["weight"], p["projection"]["bias"]
    patches, cache["patches"] = ops.patches.forward(images, config.patch_size)  # (B, N, P·P·C)
    x, cache["projection"] = ops.linear.forward(patches, weight, bias)          # (B, N, D)
    position, cache["position"] = ops.position.forward(p, ops)                  # (T, D)
    x, cache["class_token"] = ops.class_token.forward(x, p.get("class_token"), position)
    x, cache["dropout"] = ops.dropout.forward(x, config.dropout, rng)           # (B, T, D)
    return x, cache


def backward(dx, cache):
    """Return dimages (B, height, width, C) and the gradients of p for dx (B, T, D)."""
    ops, dp = cache["ops"], {}
    # x = dropout(x)
    dx = ops.dropout.backward(dx, cache["dropout"])
    # x = [class_token; x] + position
    dx, dclass_token, dposition = ops.class_token.backward(dx, cache["class_token"])
    if dclass_token is not None:
        dp["class_token"] = dclass_token
    # position = position(p)
    dp |= ops.position.backward(dposition, cache["position"])
    # x = linear(patches)
    dpatches, dweight, dbias = ops.linear.backward(dx, cache["projection"])
    dp["projection"] = {"weight": dweight, "bias": dbias}
    # patches = cut(images)
    return ops.patches.backward(dpatches, cache["patches"]), dp
