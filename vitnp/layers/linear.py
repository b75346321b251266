"""The linear layer: y = x W + b."""


def forward(x, weight, bias):
    """Multiply the last axis of x by a matrix and add a bias.

    Equation: y = x W + b.

    x: (…, in), any number of leading axes; weight: (in, out); bias: (out,).
    Returns y (…, out) and the cache, which keeps x and weight themselves: do not overwrite them
    before the backward pass.
    """
    rows = x.reshape(-1, x.shape[-1])                           # (rows, in)
    y = rows @ weight                                           # (rows, out)
    y += bias
    return y.reshape(*x.shape[:-1], weight.shape[1]), (x, weight)


def backward(dy, cache):
    """Return dx (…, in), dweight (in, out) and dbias (out,) for dy (…, out).

    Every row uses the same weight and bias, so their gradients are sums over the rows.
    """
    x, weight = cache
    rows = x.reshape(-1, x.shape[-1])                           # (rows, in)
    drows = dy.reshape(-1, dy.shape[-1])                        # (rows, out)
    # y = rows @ weight + bias
    dbias = drows.sum(axis=0)                                   # (out,)
    dweight = rows.T @ drows                                    # (in, out)
    dx = drows @ weight.T                                       # (rows, in)
    return dx.reshape(x.shape), dweight, dbias
