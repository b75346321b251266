"""Cut images into patches, and put gradients of patches back into images."""


def forward(images, patch_size):
    """Cut each image into square patches, row by row, and flatten each patch.

    Equation: patch n = (row, column) holds images[row·P : row·P + P, column·P : column·P + P, :],
    its numbers in the order (row, column, channel).
    Source: Dosovitskiy et al. 2021, section 3.1 (x_p).

    images: (B, height, width, C), both sides multiples of the patch side P = patch_size.
    Returns patches (B, N, P·P·C) with N = height/P · width/P, and the cache.
    """
    B, height, width, C = images.shape
    P = patch_size
    rows, columns = height // P, width // P
    grid = images.reshape(B, rows, P, columns, P, C)
    grid = grid.transpose(0, 1, 3, 2, 4, 5)                     # (B, rows, columns, P, P, C)
    patches = grid.reshape(B, rows * columns, P * P * C)        # (B, N, P·P·C)
    return patches, (images.shape, P)


def backward(dpatches, cache):
    """Return dimages (B, height, width, C): each number of a patch belongs to one pixel."""
    (B, height, width, C), P = cache
    rows, columns = height // P, width // P
    # patches = grid.reshape(B, rows * columns, P * P * C)
    dgrid = dpatches.reshape(B, rows, columns, P, P, C)
    # grid = grid.transpose(0, 1, 3, 2, 4, 5): exchanging axes 2 and 3 again undoes it
    dgrid = dgrid.transpose(0, 1, 3, 2, 4, 5)                   # (B, rows, P, columns, P, C)
    # grid = images.reshape(B, rows, P, columns, P, C)
    return dgrid.reshape(B, height, width, C)                   # (B, height, width, C)
