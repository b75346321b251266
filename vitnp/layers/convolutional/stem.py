"""A convolutional stem: the feature map that a hybrid's Transformer sees in place of pixels."""

import math

# A fixed number, so that a ViT needs no setting for it; widths must be multiples of it
GROUPS = 8


def forward(images, p, ops):
    """Halve the sides again and again, by strided convolutions.

    Equation: x = ReLU(GN(conv(x))) for each layer, a 3 x 3 convolution with stride 2. Its map goes
    to the ViT with patch side 1, so that two layers make as many tokens as patches of side 4.
    Source: Dosovitskiy et al. 2021, section 3.1 (hybrid), there with a whole ResNet; a few strided
    convolutions in its place: Xiao et al. 2021.

    images: (B, height, width, C); p: layer1, layer2, …, each with convolution and norm.
    Returns the map (B, rows, columns, last width) and the cache.
    """
    x, caches = images, []
    for i in range(1, len(p) + 1):
        layer = p[f"layer{i}"]
        gamma, beta = layer["norm"]["gamma"], layer["norm"]["beta"]
        x, convolution = ops.standardised_convolution.forward(
            x, layer["convolution"]["weight"], ops, stride=2)   # (B, rows, columns, F), each half
        x, norm = ops.group_norm.forward(x, gamma, beta, GROUPS)
        x, relu = ops.relu.forward(x)
        caches.append((convolution, norm, relu))
    return x, {"ops": ops, "layers": caches}


def backward(dx, cache):
    """Return dimages (B, height, width, C) and the gradients of p for dx of the map's shape."""
    ops, dp = cache["ops"], {}
    for i in reversed(range(len(cache["layers"]))):
        convolution, norm, relu = cache["layers"][i]
        # x = relu(norm(convolution(x)))
        dx = ops.relu.backward(dx, relu)
        dx, dgamma, dbeta = ops.group_norm.backward(dx, norm)
        dx, dweight = ops.standardised_convolution.backward(dx, convolution)
        dp[f"layer{i + 1}"] = {"convolution": {"weight": dweight},
                               "norm": {"gamma": dgamma, "beta": dbeta}}
    return dx, dp


def shapes(channels, widths):
    """Return the parameters' shapes, path → shape, of a stem with these widths, one a layer."""
    result = {}
    for i, (C, F) in enumerate(zip((channels, *widths), widths, strict=False), start=1):
        result |= {f"layer{i}/convolution/weight": (3, 3, C, F),
                   f"layer{i}/norm/gamma": (F,), f"layer{i}/norm/beta": (F,)}
    return result


def init(p, rng):
    """Write the initial values, drawn from rng, to the parameters p (NumPy arrays).

    Convolutions: normal, variance 2 / (h·w·C) (He et al. 2015, equation 10). Norms: 1 and 0.
    """
    for i in range(1, len(p) + 1):
        layer = p[f"layer{i}"]
        weight = layer["convolution"]["weight"]
        weight[:] = rng.standard_normal(weight.shape) * math.sqrt(2.0 / math.prod(weight.shape[:3]))
        layer["norm"]["gamma"][:] = 1.0
        layer["norm"]["beta"][:] = 0.0


def grid(image_size, widths):
    """Return (rows, columns) of the map that a stem with these widths makes of an image."""
    height, width = image_size
    for _ in widths:
        height, width = -(-height // 2), -(-width // 2)
    return height, width


def widest(image_size, channels, widths):
    """Return how many numbers the largest array within a stem has, for one image: its windows."""
    inputs = zip((channels, *widths), range(1, len(widths) + 1), strict=False)
    return max((math.prod(grid(image_size, widths[:i])) * 9 * C for C, i in inputs), default=0)
