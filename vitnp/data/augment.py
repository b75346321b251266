"""Augmentation of whole batches, on the host."""

import numpy as np


def random_crop(images, padding, rng):
    """Return images moved by up to `padding` pixels, what comes in from outside being 0.

    images: (B, height, width, C), any type; rng: a NumPy Generator, two draws an image.
    """
    B, height, width, _ = images.shape
    margin = (padding, padding)
    padded = np.pad(images, ((0, 0), margin, margin, (0, 0)))
    top, left = rng.integers(0, 2 * padding + 1, (2, B))
    rows = top[:, None] + np.arange(height)                     # (B, height)
    columns = left[:, None] + np.arange(width)                  # (B, width)
    image = np.arange(B)[:, None, None]
    return padded[image, rows[:, :, None], columns[:, None, :]]     # (B, height, width, C)
