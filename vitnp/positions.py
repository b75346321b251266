"""Position embeddings for another grid of patches, as larger images need.

Each way is separable: along rows and along columns the new positions are weighted means of the old
ones, and so products with a matrix for each axis.
"""

import numpy as np

from vitnp.backend import get_xp, to_device
from vitnp.errors import Error


def resize(position, old_grid, new_grid, class_token=True, method="google"):
    """Return position embeddings (T, D) for a new grid, the class token's unchanged.

    position: (T, D), the class token's first where there is one, then the patches row by row;
    old_grid, new_grid: patches (down, across). method: "google" (linear, corners on corners),
    "huggingface" (bicubic, a = -0.75, each of four neighbours, the border repeated) or "timm"
    (bicubic, a = -0.5; where it shrinks, over as many more neighbours). Computed in float64.
    Source: Dosovitskiy et al. 2021, section 3.2, which says "2D interpolation".

    Raises Error for another method, and where position has not a row for each patch.
    """
    if method not in METHODS:
        raise Error(f"there is no way {method!r} to resize positions; possible are "
                    f"{', '.join(METHODS)}")
    first, (rows, columns) = int(class_token), old_grid
    if position.ndim != 2 or len(position) != rows * columns + first:
        raise Error(f"positions of the shape {position.shape} are not one for each of {rows} x "
                    f"{columns} patches{' and a class token' if first else ''}")
    xp = get_xp(position)
    down, across = (to_device(METHODS[method](old, new), xp)
                    for old, new in zip(old_grid, new_grid, strict=True))
    grid = position[first:].reshape(rows, columns, -1)                      # (h, w, D)
    grid = across @ xp.tensordot(down, grid, 1)                             # (h', w', D)
    grid = grid.reshape(-1, position.shape[1]).astype(position.dtype)
    return xp.concatenate([position[:first], grid])


def linear(old, new):
    """Return the matrix (new, old) of linear interpolation with the first and last kept.

    Source: the authors' code, which calls scipy.ndimage.zoom(order=1).
    """
    places = np.arange(new) * ((old - 1) / max(new - 1, 1))
    return np.maximum(1.0 - np.abs(places[:, None] - np.arange(old)), 0.0)


def bicubic(old, new):
    """Return the matrix (new, old) of bicubic interpolation, a = -0.75, as transformers does it.

    A new patch lies where its centre does; beyond the border, the outermost position repeats.
    """
    places = (np.arange(new) + 0.5) * old / new - 0.5
    matrix = np.zeros((new, old))
    for step in range(-1, 3):
        neighbours = np.floor(places).astype(int) + step
        weights = cubic(places - neighbours, -0.75)
        np.add.at(matrix, (np.arange(new), neighbours.clip(0, old - 1)), weights)
    return matrix


def bicubic_antialiased(old, new):
    """Return the matrix (new, old) of bicubic interpolation, a = -0.5, as timm does it.

    Where it shrinks, the kernel is as much wider; beyond the border is nothing, and the weights of
    what is left are made to sum to one.
    """
    places = (np.arange(new) + 0.5) * old / new - 0.5
    matrix = cubic((places[:, None] - np.arange(old)) / max(old / new, 1.0), -0.5)
    return matrix / matrix.sum(axis=1, keepdims=True)


def cubic(x, a):
    """Return the weight at distance x of cubic convolution (Keys 1981), a: the slope at 1."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x**2 + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


METHODS = {"google": linear, "huggingface": bicubic, "timm": bicubic_antialiased}


def sincos(grid, width):
    """Return positions (rows · columns, width) of sines and cosines, for a start with a sense of
    neighbourhood: a quarter each of sin and cos of the column, sin and cos of the row.

    Equation: ωₖ = 10000^(-k / (width/4 - 1)), for k = 0 … width/4 - 1.
    Source: Beyer, Zhai, Kolesnikov 2022, Better plain ViT baselines for ImageNet-1k, which keeps
    them fixed; Chen, Xie, He 2021, for the form. Raises Error where width is no multiple of 4.
    """
    if width % 4 or width < 8:
        raise Error(f"sines and cosines need a width that is a multiple of 4, at least 8, not "
                    f"{width}; choose --position-start normal")
    rows, columns = grid
    frequencies = 10_000.0 ** -(np.arange(width // 4) / (width // 4 - 1))
    y, x = np.divmod(np.arange(rows * columns), columns)
    y, x = y[:, None] * frequencies, x[:, None] * frequencies               # (N, D / 4)
    return np.concatenate([np.sin(x), np.cos(x), np.sin(y), np.cos(y)], axis=1)     # (N, D)
