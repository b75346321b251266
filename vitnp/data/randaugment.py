"""RandAugment: a few operations drawn for each image, all with one magnitude."""

import numpy as np

from vitnp.backend import get_xp, to_device
from vitnp.data import colour
from vitnp.data.geometry import centred, sample

LARGEST_MAGNITUDE = 10
FILL = 128                      # mid grey for what comes in from outside

# What each operation does to images (n, height, width, C) with strengths s (n,), a NumPy array
# from -1 to 1; where an operation has no opposite, the sign of s is without effect.
#
# The names and the largest turn (30 degrees), shear (0.3) and shift (10 of 32 pixels) are those
# of the authors' code for pictures of 32 pixels (AutoAugment, augmentation_transforms.py). Colours
# go from 0.1 to 1.9 as there, but grow from 1 in both directions, posterize keeps 8 to 4 bits and
# a shear is about the centre, not a corner, so that strength 0 changes nothing (as in torchvision).
OPERATIONS = {
    "identity": lambda images, s: images,
    "autocontrast": lambda images, s: colour.autocontrast(images),
    "equalize": lambda images, s: colour.equalize(images),
    "posterize": lambda images, s: colour.posterize(images, 8 - np.rint(4 * abs(s))),
    "solarize": lambda images, s: colour.solarize(images, 256 * (1 - abs(s))),
    "brightness": lambda images, s: colour.brightness(images, 1 + 0.9 * s),
    "contrast": lambda images, s: colour.contrast(images, 1 + 0.9 * s),
    "saturation": lambda images, s: colour.saturation(images, 1 + 0.9 * s),
    "sharpness": lambda images, s: colour.sharpness(images, 1 + 0.9 * s),
    "rotate": lambda images, s: rotate(images, 30 * s),
    "shear x": lambda images, s: warp(images, (1, 0, 0), (0.3 * s, 1, 0)),
    "shear y": lambda images, s: warp(images, (1, 0.3 * s, 0), (0, 1, 0)),
    "translate x": lambda images, s: translate(images, 0 * s, 10 / 32 * s),
    "translate y": lambda images, s: translate(images, 10 / 32 * s, 0 * s),
}


def randaugment(images, operations, magnitude, rng):
    """Return images changed by `operations` of OPERATIONS each, one after the other.

    In each round an image draws one of OPERATIONS, any as likely as another, and a sign; the
    strength is magnitude / 10. Magnitude 0 changes nothing but by autocontrast and equalize,
    which have no strength.
    Source: Cubuk et al. 2020, "RandAugment", section 3.

    images: (B, height, width, C) uint8, C 1 or 3; operations: a whole number; magnitude: 0 to 10;
    rng: a NumPy Generator, two draws an image and round.
    """
    xp = get_xp(images)
    B = len(images)
    result = images.copy()
    for _ in range(operations):
        drawn = rng.integers(0, len(OPERATIONS), B)
        sign = np.where(rng.random(B) < 0.5, -1.0, 1.0)
        strength = sign * (magnitude / LARGEST_MAGNITUDE)
        for number, operation in enumerate(OPERATIONS.values()):
            group = np.flatnonzero(drawn == number)
            if len(group):
                place = to_device(group, xp)
                result[place] = operation(result[place], strength[group])
    return result


def rotate(images, degrees):
    """Return images turned about their centres; degrees: (B,)."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return warp(images, (cos, -sin, 0), (sin, cos, 0))


def translate(images, down, right):
    """Return images moved by whole pixels; down, right: (B,), in shares of height and width."""
    _, height, width, _ = images.shape
    return warp(images, (1, 0, -np.rint(down * height)), (0, 1, -np.rint(right * width)))


def warp(images, row, column):
    """Return images whose pixel (y, x), from the centre, comes from a linear function of y and x.

    It comes from (row[0] y + row[1] x + row[2], column[0] y + column[1] x + column[2]), bilinear;
    from outside comes FILL. row, column: three each, a number or (B,).
    """
    xp = get_xp(images)
    B, height, width, _ = images.shape
    factors = np.array([np.full(B, factor) for factor in (*row, *column)], np.float32)
    a, b, c, d, e, f = to_device(factors.reshape(6, B, 1, 1), xp)
    y, x = centred(height, width, xp, "float32")
    return sample(images, a * y + b * x + (c + (height - 1) / 2),
                  d * y + e * x + (f + (width - 1) / 2), FILL)
