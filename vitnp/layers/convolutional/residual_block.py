"""One block of a ResNet: two convolutions, each behind a norm, beside a residual path."""


def forward(x, p, config, ops, stride=1):
    """Add to each place what two 3 x 3 convolutions make of its surroundings.

    Equations: a = ReLU(GN(x)), then y = x + conv(ReLU(GN(conv(a)))). Where the block changes the
    size of the map or its channels, x alone does not fit: y = shortcut(a) + …, a 1 x 1 convolution.
    Source: He et al. 2016b (pre-activation: norm and ReLU stand before their convolution), with
    GroupNorm and standardised weights as BiT has them. BiT's blocks have a bottleneck, 1 x 1, 3 x 3
    and 1 x 1; the block of two 3 x 3 is He's for small pictures.

    x: (B, height, width, C); p: norm1, convolution1, norm2, convolution2, and for a change also
    shortcut; stride of convolution1 and shortcut.
    Returns y (B, rows, columns, F) and the cache.
    """
    cache = {"ops": ops}
    norm1, norm2 = p["norm1"], p["norm2"]
    convolve = ops.standardised_convolution.forward
    a, cache["norm1"] = ops.group_norm.forward(
        x, norm1["gamma"], norm1["beta"], config.groups, config.eps)
    a, cache["relu1"] = ops.relu.forward(a)                                 # (B, height, width, C)
    y, cache["convolution1"] = convolve(a, p["convolution1"]["weight"], ops, stride)
    y, cache["norm2"] = ops.group_norm.forward(
        y, norm2["gamma"], norm2["beta"], config.groups, config.eps)
    y, cache["relu2"] = ops.relu.forward(y)                                 # (B, rows, columns, F)
    y, cache["convolution2"] = convolve(y, p["convolution2"]["weight"], ops)
    if "shortcut" in p:
        x, cache["shortcut"] = convolve(a, p["shortcut"]["weight"], ops, stride)
    return x + y, cache                                                     # (B, rows, columns, F)


def backward(dy, cache):
    """Return dx (B, height, width, C) and the gradients of p for dy (B, rows, columns, F)."""
    ops, dp = cache["ops"], {}
    deconvolve = ops.standardised_convolution.backward
    # y = … + convolution2(relu(norm2(convolution1(a))))
    dbranch, dweight2 = deconvolve(dy, cache["convolution2"])
    dbranch = ops.relu.backward(dbranch, cache["relu2"])
    dbranch, dgamma2, dbeta2 = ops.group_norm.backward(dbranch, cache["norm2"])
    da, dweight1 = deconvolve(dbranch, cache["convolution1"])               # (B, height, width, C)
    if "shortcut" in cache:
        # y = shortcut(a) + …
        dpath, dshortcut = deconvolve(dy, cache["shortcut"])
        da = da + dpath
        dp["shortcut"] = {"weight": dshortcut}
    # a = relu(norm1(x))
    da = ops.relu.backward(da, cache["relu1"])
    dx, dgamma1, dbeta1 = ops.group_norm.backward(da, cache["norm1"])
    if "shortcut" not in cache:
        # y = x + …
        dx = dx + dy
    return dx, dp | {"norm1": {"gamma": dgamma1, "beta": dbeta1},
                     "convolution1": {"weight": dweight1},
                     "norm2": {"gamma": dgamma2, "beta": dbeta2},
                     "convolution2": {"weight": dweight2}}
