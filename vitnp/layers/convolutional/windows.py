"""Cut images into overlapping windows, and put gradients of windows back into images.

Patches are windows that do not overlap: stride = side, and nothing outside the image.
"""

from vitnp.backend import get_xp


def forward(x, size, stride=1, outside=0.0):
    """Copy the window of h x w numbers around every stride-th place of each image.

    Equation: y[r, c, i, j] = x[r·stride + i - top, c·stride + j - left], or `outside` where the
    image has ended; top = ⌊(h - 1) / 2⌋ and left = ⌊(w - 1) / 2⌋ centre the window on its place.
    This pads as the code of BiT and PyTorch's layers do; TensorFlow's "same" would move the windows
    of an even image by one place where the stride is 2.

    x: (B, height, width, C); size: (h, w). Returns y (B, rows, columns, h, w, C), with rows =
    ⌈height / stride⌉ and columns = ⌈width / stride⌉, and the cache.
    """
    xp, (B, height, width, C), (h, w) = get_xp(x), x.shape, size
    top, left = (h - 1) // 2, (w - 1) // 2
    padded = xp.full((B, height + h - 1, width + w - 1, C), outside, x.dtype)
    padded[:, top:top + height, left:left + width] = x
    rows, columns = -(-height // stride), -(-width // stride)
    y = xp.empty((B, rows, columns, h, w, C), x.dtype)
    for i, j, seen in shifts(y.shape, stride):
        y[:, :, :, i, j] = padded[seen]                         # (B, rows, columns, C)
    return y, (x.shape, stride)


def backward(dy, cache):
    """Return dx (B, height, width, C) for dy (B, rows, columns, h, w, C).

    A number that several windows have copied gets the sum of what they hand back.
    """
    (B, height, width, C), stride = cache
    h, w = dy.shape[3:5]
    top, left = (h - 1) // 2, (w - 1) // 2
    dpadded = get_xp(dy).zeros((B, height + h - 1, width + w - 1, C), dy.dtype)
    # y[:, :, :, i, j] = padded[seen]
    for i, j, seen in shifts(dy.shape, stride):
        dpadded[seen] += dy[:, :, :, i, j]                      # (B, rows, columns, C)
    # padded[:, top:top + height, left:left + width] = x
    return dpadded[:, top:top + height, left:left + width]


def shifts(shape, stride):
    """Yield (i, j, index of what all windows see at their place (i, j) in the padded images)."""
    _, rows, columns, h, w, _ = shape
    for i in range(h):
        for j in range(w):
            down = slice(i, i + stride * rows, stride)
            across = slice(j, j + stride * columns, stride)
            yield i, j, (slice(None), down, across)
