"""From images to tokens."""


def forward(images, p, config, ops, rng=None):
    """Cut images into patches, project each to the width, add class token and positions.

    With a stem, it is its feature map that is cut (a hybrid, section 3.1).

    Equation: z₀ = [x_class; x_p¹ E; …; x_pᴺ E] + E_pos, then dropout as in the authors' code.
    Source: Dosovitskiy et al. 2021, equation 1.

    images: (B, height, width, C); p: projection, and where the configuration has them stem,
    class_token, and position or position_row and position_column. Returns x (B, T, D), the cache.
    """
    cache = {"ops": ops}
    weight, bias = p["projection"]["weight"], p["projection"]["bias"]
    if "stem" in p:
        images, cache["stem"] = ops.stem.forward(images, p["stem"], ops)        # the map
    patches, cache["patches"] = ops.patches.forward(images, config.patch_size)  # (B, N, P·P·C)
    x, cache["projection"] = ops.linear.forward(patches, weight, bias)          # (B, N, D)
    position = p.get("position")
    if config.positions == "2d":
        position, cache["position_2d"] = ops.position_2d.forward(
            p["position_row"], p["position_column"], "class_token" in p)        # (T, D)
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
    if "position_2d" in cache:
        # position = row + column
        drow, dcolumn = ops.position_2d.backward(dposition, cache["position_2d"])
        dp["position_row"], dp["position_column"] = drow, dcolumn
    elif dposition is not None:
        dp["position"] = dposition
    # x = linear(patches)
    dpatches, dweight, dbias = ops.linear.backward(dx, cache["projection"])
    dp["projection"] = {"weight": dweight, "bias": dbias}
    # patches = cut(images)
    dimages = ops.patches.backward(dpatches, cache["patches"])
    if "stem" in cache:
        # images = stem(images)
        dimages, dp["stem"] = ops.stem.backward(dimages, cache["stem"])
    return dimages, dp
