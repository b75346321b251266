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


def random_affine(images, degrees, scale, rng):
    """Return images turned and scaled at random about their centre, what comes in being 0.

    Each output pixel is the mean of the four pixels around the place that it comes from, weighted
    by nearness (bilinear). Turned by up to ± degrees; each axis scaled by 1 ± scale.

    images: (B, height, width, C) uint8; rng: a NumPy Generator, three draws an image.
    """
    B, height, width, _ = images.shape
    angle = np.radians(rng.uniform(-degrees, degrees, (B, 1, 1)))
    down, across = rng.uniform(1.0 - scale, 1.0 + scale, (2, B, 1, 1))
    y = np.arange(height)[:, None] - (height - 1) / 2           # from the centre
    x = np.arange(width)[None] - (width - 1) / 2
    row = (np.cos(angle) * y - np.sin(angle) * x) * down + (height - 1) / 2     # (B, height, width)
    column = (np.sin(angle) * y + np.cos(angle) * x) * across + (width - 1) / 2
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    image = np.arange(B)[:, None, None]
    result = np.zeros(images.shape)
    for i in (0, 1):
        for j in (0, 1):
            weight = (1 - abs(row - top - i)) * (1 - abs(column - left - j))
            place = np.clip(top + i + 1, 0, height + 1), np.clip(left + j + 1, 0, width + 1)
            result += weight[..., None] * padded[image, *place]
    return np.round(result).astype(images.dtype)
