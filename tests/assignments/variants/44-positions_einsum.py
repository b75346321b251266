"""positions.py: the functions of the task only, with einsum, columns before rows."""

import numpy as np

from vitnp.errors import Error


def resize(position, old_grid, new_grid, class_token=True, method="google"):
    possible = {"google": linear, "huggingface": bicubic, "timm": bicubic_antialiased}
    if method not in possible:
        raise Error(f"no method {method!r}; choose google, huggingface or timm")
    first = 1 if class_token else 0
    if position.ndim != 2 or len(position) - first != np.prod(old_grid):
        raise Error(f"positions {position.shape} do not fit the grid {old_grid}")
    token, patches = np.split(position, [first])
    patches = patches.reshape(*old_grid, position.shape[1])
    patches = np.einsum("cj,ijd->icd", possible[method](old_grid[1], new_grid[1]), patches)
    patches = np.einsum("ri,icd->rcd", possible[method](old_grid[0], new_grid[0]), patches)
    patches = patches.reshape(-1, position.shape[1])
    return np.vstack([token, patches.astype(position.dtype)])


def linear(old, new):
    places = np.linspace(0, old - 1, new)
    return np.stack([np.interp(places, np.arange(old), row) for row in np.eye(old)], axis=1)


def bicubic(old, new):
    places = centres(old, new)[:, None]
    border = 2 + old // new
    neighbours = np.arange(-border - 2, old + border + 2)
    weights = cubic(places - neighbours, -0.75)
    to_inside = np.eye(old)[np.clip(neighbours, 0, old - 1)]
    return weights @ to_inside


def bicubic_antialiased(old, new):
    distances = centres(old, new)[:, None] - np.arange(old)
    weights = cubic(distances * min(1.0, new / old), -0.5)
    return weights / weights.sum(axis=1)[:, None]


def centres(old, new):
    return (np.arange(new) + 0.5) * (old / new) - 0.5


def cubic(x, a):
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * (x**3 - 5 * x**2 + 8 * x - 4)
    return near * (x <= 1) + far * ((x > 1) & (x < 2))
