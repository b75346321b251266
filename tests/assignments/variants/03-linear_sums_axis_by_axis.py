"""layers/linear.py: whole arrays multiplied, leading axes summed one after another."""


def forward(x, weight, bias):
    return x @ weight + bias, (weight, x)


def backward(dy, cache):
    weight, x = cache
    dx = dy @ weight.T
    dweight = x[..., :, None] * dy[..., None, :]
    dbias = dy
    while dbias.ndim > 1:
        dweight, dbias = dweight.sum(axis=0), dbias.sum(axis=0)
    return [dx, dweight, dbias]
