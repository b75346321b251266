"""The first layer of a ResNet."""


def forward(images, p, config, ops):
    """Make a feature map of each image.

    For small pictures one 3 x 3 convolution, at every place (He et al. 2016, section 4.2). For
    large ones, config.root "large", as in BiT: 7 x 7 with stride 2, then max pooling.

    images: (B, height, width, C); p: convolution.
    Returns the map (B, rows, columns, width) and the cache.
    """
    cache = {"ops": ops}
    large = config.root == "large"
    x, cache["convolution"] = ops.standardised_convolution.forward(
        images, p["convolution"]["weight"], ops, stride=2 if large else 1)
    if large:
        x, cache["max_pool"] = ops.max_pool.forward(x, ops)
    return x, cache                                             # (B, rows, columns, width)


def backward(dx, cache):
    """Return dimages (B, height, width, C) and the gradients of p for dx (B, rows, columns, …)."""
    ops = cache["ops"]
    if "max_pool" in cache:
        # x = max_pool(x)
        dx = ops.max_pool.backward(dx, cache["max_pool"])
    # x = convolution(images)
    dimages, dweight = ops.standardised_convolution.backward(dx, cache["convolution"])
    return dimages, {"convolution": {"weight": dweight}}
