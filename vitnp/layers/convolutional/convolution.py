"""The convolution: one small linear layer, the same at every place of the image."""


def forward(x, weight, ops, stride=1):
    """Multiply the window around each place by one matrix.

    Equation: y[r, c, f] = Σ_ijd windows(x)[r, c, i, j, d] · weight[i, j, d, f]: like all code of
    neural networks a correlation, the kernel is not turned round. There is no bias: the norm that
    follows has one, its beta.
    Source: LeCun et al. 1989; as one product of two matrices: Chellapilla, Puri, Simard 2006.

    x: (B, height, width, C); weight: (h, w, C, F); stride: see windows.
    Returns y (B, rows, columns, F) and the cache, which keeps weight itself.
    """
    h, w, C, F = weight.shape
    windows, cut = ops.windows.forward(x, (h, w), stride)       # (B, rows, columns, h, w, C)
    places = windows.reshape(-1, h * w * C)                     # (B·rows·columns, h·w·C)
    y = places @ weight.reshape(-1, F)                          # (B·rows·columns, F)
    return y.reshape(*windows.shape[:3], F), (ops, places, weight, cut)


def backward(dy, cache):
    """Return dx (B, height, width, C) and dweight (h, w, C, F) for dy (B, rows, columns, F).

    Every place uses the same weight, so that its gradient is a sum over the places.
    """
    ops, places, weight, cut = cache
    h, w, C, F = weight.shape
    dplaces = dy.reshape(-1, F)                                 # (B·rows·columns, F)
    # y = places @ weight
    dweight = places.T @ dplaces                                # (h·w·C, F)
    # The same for the windows, one product for each (i, j): what is added up then lies together
    dwindows = dplaces @ weight.swapaxes(2, 3)                  # (h, w, B·rows·columns, C)
    dwindows = dwindows.reshape(h, w, *dy.shape[:3], C)         # (h, w, B, rows, columns, C)
    dwindows = dwindows.transpose(2, 3, 4, 0, 1, 5)             # (B, rows, columns, h, w, C)
    # places = windows(x)
    return ops.windows.backward(dwindows, cut), dweight.reshape(weight.shape)
