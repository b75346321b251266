"""layers/heads.py: with moveaxis and einsum, views for copies."""

import numpy as np


def split(x, heads, parts):
    pieces = np.split(x, parts, axis=-1)
    return [np.moveaxis(p.reshape(*p.shape[:2], heads, -1), 2, 1) for p in pieces]


def merge(parts):
    parts = [np.einsum("bhtd->bthd", part) for part in parts]
    return np.concatenate([part.reshape(*part.shape[:2], -1) for part in parts], axis=-1)
