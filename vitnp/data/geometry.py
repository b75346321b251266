"""Moving pictures about: crops, flips, turns, on whole batches and on either device.

All randomness is drawn on the host, as many numbers for every picture; only the few numbers that
follow from it (angles, first pixels) are moved to the device of the images.
"""

import numpy as np

from vitnp.backend import get_xp, to_device

CROP_ASPECTS = (3 / 4, 4 / 3)                                   # width / height


def random_crop(images, padding, rng):
    """Return images moved by up to `padding` pixels, what comes in from outside being 0.

    images: (B, height, width, C), any type; rng: a NumPy Generator, two draws an image.
    """
    xp = get_xp(images)
    B, height, width, C = images.shape
    padded = surround(images, padding, 0)
    top, left = rng.integers(0, 2 * padding + 1, (2, B))
    # A row of a crop is width·C neighbours in memory, so one index a row says where it starts
    row = np.arange(B)[:, None] * (height + 2 * padding) + top[:, None] + np.arange(height)
    start = (row * (width + 2 * padding) + left[:, None]) * C   # (B, height)
    index = to_device(start[:, :, None], xp) + xp.arange(width * C)
    return padded.reshape(-1).take(index).reshape(images.shape)


def random_flip(images, rng, probability=0.5):
    """Return images of which each is, with that probability, exchanged left for right.

    images: (B, height, width, C), any type; rng: a NumPy Generator, one draw an image.
    """
    xp = get_xp(images)
    B, height, width, C = images.shape
    chosen = to_device(np.flatnonzero(rng.random(B) < probability), xp)
    # Rows as one axis of width·C numbers, because NumPy copies pixels of C numbers slowly
    backwards = np.arange(width * C).reshape(width, C)[::-1].reshape(-1)
    result = images.reshape(B, height, width * C).copy()
    result[chosen] = result[chosen].take(to_device(backwards, xp), axis=2)
    return result.reshape(images.shape)


def random_affine(images, degrees, scale, rng):
    """Return images turned and scaled at random about their centre, what comes in being 0.

    Turned by up to ± degrees; each axis scaled by 1 ± scale.

    images: (B, height, width, C) uint8; rng: a NumPy Generator, three draws an image.
    """
    xp = get_xp(images)
    B, height, width, _ = images.shape
    angle = np.radians(rng.uniform(-degrees, degrees, (B, 1, 1)))
    down, across = to_device(rng.uniform(1.0 - scale, 1.0 + scale, (2, B, 1, 1)), xp)
    cos, sin = to_device(np.cos(angle), xp), to_device(np.sin(angle), xp)
    y, x = centred(height, width, xp, "float64")
    row = (cos * y - sin * x) * down + (height - 1) / 2         # (B, height, width)
    column = (sin * y + cos * x) * across + (width - 1) / 2
    return sample(images, row, column, 0)


def random_resized_crop(images, least_area, rng):
    """Return a random part of each image, resized back to the full size (bilinear).

    The part's share of the area is uniform in [least_area, 1] and its width / height log-uniform
    in [3/4, 4/3], as far as it fits into the image. It may start between two pixels.
    Source: Szegedy et al. 2015, "Going deeper with convolutions", section 6; there, and in the
    usual code, shapes that do not fit are drawn again, which makes large parts rarer.

    images: (B, height, width, C) uint8; least_area: above 0, at most 1; rng: a NumPy Generator,
    four draws an image.
    """
    xp = get_xp(images)
    B, height, width, _ = images.shape
    areas = (least_area, 1.0)
    top, left, part_height, part_width = random_boxes(B, height, width, areas, CROP_ASPECTS, rng)
    # Pixel i covers i to i + 1 and its colour is that of its centre; beyond the outermost centres
    # the colour stays, so that nothing comes in from outside
    row = top[:, None] + (np.arange(height) + 0.5) * (part_height / height)[:, None] - 0.5
    column = left[:, None] + (np.arange(width) + 0.5) * (part_width / width)[:, None] - 0.5
    row = np.clip(row, 0, height - 1).astype(np.float32)        # (B, height)
    column = np.clip(column, 0, width - 1).astype(np.float32)   # (B, width)
    return sample(images, to_device(row[:, :, None], xp), to_device(column[:, None], xp), 0)


def random_boxes(B, height, width, areas, aspects, rng):
    """Return tops, lefts, heights and widths (B,) of random boxes inside height x width, floats.

    The share of the area is uniform within `areas`, width / height log-uniform within the part
    of `aspects` that fits into the picture (else the nearest that fits), the place uniform.
    Four draws a box, from a NumPy Generator.
    """
    area, aspect, down, across = rng.random((4, B))
    area = areas[0] + (areas[1] - areas[0]) * area
    fitting = area * width / height, width / (area * height)    # as high, as wide as the picture
    narrowest, widest = np.clip(aspects[0], *fitting), np.clip(aspects[1], *fitting)
    aspect = narrowest * (widest / narrowest) ** aspect
    box_height = np.sqrt(area * height * width / aspect)
    box_width = np.sqrt(area * height * width * aspect)
    return down * (height - box_height), across * (width - box_width), box_height, box_width


def sample(images, row, column, fill):
    """Return for each place (row, column) the colour of the images there, `fill` outside.

    Each result is the mean of the four pixels around its place, weighted by nearness (bilinear):
    with i, j in {0, 1}, the sum of (1 − |row − top − i|) (1 − |column − left − j|) times pixel
    (top + i, left + j), where top and left are row and column rounded down.

    images: (B, height, width, C) uint8; row, column: floats that broadcast to (B, rows, columns),
    counted from the centre of the first pixel, in whose type is computed.
    Returns (B, rows, columns, C), rounded.
    """
    xp = get_xp(images, row, column)
    B, height, width, C = images.shape
    flat = surround(images, 1, fill).reshape(-1)
    line = (width + 2) * C                                      # numbers in a row of `flat`
    row, column = xp.clip(row, -1, height), xp.clip(column, -1, width)
    top = xp.minimum(xp.floor(row), height - 1)                 # top + 1 is still in the frame
    left = xp.minimum(xp.floor(column), width - 1)
    image = xp.arange(B).reshape(B, 1, 1) * (height + 2)
    first = (image + top.astype("int64") + 1) * line + (left.astype("int64") + 1) * C
    taps = [(i * line + j * C, (1 - abs(row - top - i)) * (1 - abs(column - left - j)))
            for i in (0, 1) for j in (0, 1)]
    result = xp.empty((*first.shape, C), images.dtype)
    for channel in range(C):
        total = xp.zeros(first.shape, row.dtype)
        for offset, weight in taps:
            total += weight * flat[offset + channel:].take(first)
        result[..., channel] = xp.rint(total).astype(images.dtype)
    return result


def surround(images, margin, fill):
    """Return images with a frame of `margin` pixels of the value `fill`."""
    xp = get_xp(images)
    B, height, width, C = images.shape
    framed = xp.full((B, height + 2 * margin, width + 2 * margin, C), fill, images.dtype)
    framed[:, margin:margin + height, margin:margin + width] = images
    return framed


def centred(height, width, xp, dtype):
    """Return y (height, 1) and x (1, width): how far pixels are from the centre of the picture."""
    y = xp.arange(height, dtype=dtype)[:, None] - (height - 1) / 2
    x = xp.arange(width, dtype=dtype)[None] - (width - 1) / 2
    return y, x
