"""positions.py: the functions of the task only, a loop over the new patches."""

import math

import numpy as np

from vitnp.errors import Error


def resize(position, old_grid, new_grid, class_token=True, method="google"):
    if method not in METHODS:
        raise Error(f"unknown method {method!r}; possible are {', '.join(METHODS)}")
    start = 1 if class_token else 0
    if position.ndim != 2 or position.shape[0] != start + old_grid[0] * old_grid[1]:
        raise Error(f"positions {position.shape} do not belong to a grid {old_grid}")
    old = position[start:].astype(np.float64)
    down = METHODS[method](old_grid[0], new_grid[0])
    across = METHODS[method](old_grid[1], new_grid[1])
    rows = [position[0]] if class_token else []
    for r in range(new_grid[0]):
        for c in range(new_grid[1]):
            shares = np.outer(down[r], across[c]).ravel()
            rows.append((shares @ old).astype(position.dtype))
    return np.stack(rows)


def linear(old, new):
    matrix = np.zeros((new, old))
    for i in range(new):
        place = i * (old - 1) / (new - 1) if new > 1 else 0.0
        lower = min(int(place), old - 1)
        upper = min(lower + 1, old - 1)
        matrix[i, lower] += 1 - (place - lower)
        matrix[i, upper] += place - lower
    return matrix


def bicubic(old, new):
    matrix = np.zeros((new, old))
    for i in range(new):
        place = (i + 0.5) * old / new - 0.5
        for neighbour in range(math.floor(place) - 1, math.floor(place) + 3):
            inside = min(max(neighbour, 0), old - 1)
            matrix[i, inside] += cubic(place - neighbour, -0.75)
    return matrix


def bicubic_antialiased(old, new):
    wider = old / new if old > new else 1.0
    matrix = np.zeros((new, old))
    for i in range(new):
        place = (i + 0.5) * old / new - 0.5
        for j in range(old):
            matrix[i, j] = cubic((place - j) / wider, -0.5)
        matrix[i] /= matrix[i].sum()
    return matrix


def cubic(x, a):
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


METHODS = {"google": linear, "huggingface": bicubic, "timm": bicubic_antialiased}
