"""Changing the colours of whole batches, with one strength an image, on either device.

The operations are those of Pillow's ImageEnhance and ImageOps. Where Pillow cuts a result off to
a whole number, it is rounded here, so that the two differ by one level in places.

images: (B, height, width, C) uint8, with one channel (grey) or three (red, green, blue).
Strengths: one number an image, a NumPy array (B,) that is moved to the device of the images.
"""

import numpy as np

from vitnp.backend import get_xp, to_device

LUMA = (0.299, 0.587, 0.114)                                    # ITU-R BT.601, as Pillow has it
LEVELS = 256


def brightness(images, factor):
    """Return factor · x: black for 0, unchanged for 1, twice as bright for 2."""
    return blend(0.0, images, factor)


def contrast(images, factor):
    """Return m + factor · (x − m), where m is the mean grey of the image, rounded.

    Source: Pillow, ImageEnhance.Contrast.
    """
    xp = get_xp(images)
    grey = grey_values(images)
    mean = xp.rint(grey.mean(axis=(1, 2), keepdims=True))       # (B, 1, 1, 1)
    return blend(mean, images, factor)


def saturation(images, factor):
    """Return g + factor · (x − g), where g is the grey value of the pixel.

    Grey images stay as they are. Source: Pillow, ImageEnhance.Color.
    """
    return blend(grey_values(images), images, factor)


def sharpness(images, factor):
    """Return s + factor · (x − s), where s is the image smoothed: blurred for 0, sharper above 1.

    s is the sum of the 3 x 3 pixels around, the middle one five times, divided by 13, rounded; at
    the edge, where a neighbour is missing, s is x. Source: Pillow, ImageEnhance.Sharpness.
    """
    xp = get_xp(images)
    wide = images.astype("float32")
    rows = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    square = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]
    smooth = wide.copy()
    smooth[:, 1:-1, 1:-1] = xp.rint((square + 4 * wide[:, 1:-1, 1:-1]) / 13)
    return blend(smooth, images, factor)


def blend(base, images, factor):
    """Return base + factor · (x − base), rounded and cut off at 0 and 255, as uint8.

    base: a number or a float32 array that broadcasts to the images; where it holds whole numbers,
    a factor of 1 is the identity.
    """
    xp = get_xp(images)
    mixed = images.astype("float32")
    mixed -= base
    mixed *= per_image(factor, "float32", xp)
    mixed += base
    return xp.rint(xp.clip(mixed, 0, 255)).astype("uint8")


def grey_values(images):
    """Return the grey value of each pixel, 0.299 R + 0.587 G + 0.114 B, rounded: (B, h, w, 1)."""
    if images.shape[-1] == 1:
        return images.astype("float32")
    red, green, blue = [images[..., i:i + 1].astype("float32") for i in range(3)]
    return get_xp(images).rint(LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)


def per_image(strength, dtype, xp):
    """Return strengths (B,) on the device, as (B, 1, 1, 1)."""
    return to_device(np.asarray(strength, dtype), xp).reshape(-1, 1, 1, 1)


def autocontrast(images):
    """Return 255 (x − low) / (high − low), with the lowest and highest value of each channel.

    A channel of one value stays as it is. Source: Pillow, ImageOps.autocontrast.
    """
    xp = get_xp(images)
    B, _, _, C = images.shape
    # One axis after the other, because NumPy is slow where the last axis, of C numbers, stays
    low = images.min(axis=1).min(axis=1).reshape(B, 1, 1, C).astype("float32")
    high = images.max(axis=1).max(axis=1).reshape(B, 1, 1, C).astype("float32")
    stretched = (images - low) * (255 / xp.maximum(high - low, 1))
    return xp.where(high > low, xp.rint(stretched).astype("uint8"), images)


def equalize(images):
    """Return the images with each channel's values spread, so that all are about as frequent.

    With n(v) the pixels of a channel that are below v, and s = (pixels − those of the highest
    value) / 255, rounded down, the new value is (n(x) + s / 2) / s, each division rounded down; a
    channel where s is 0 stays as it is. Source: Pillow, ImageOps.equalize.
    """
    xp = get_xp(images)
    B, height, width, C = images.shape
    planes = images.transpose(0, 3, 1, 2).reshape(B, C, height * width)
    counts = histogram(planes)                                  # (B, C, 256)
    below = counts.cumsum(axis=-1) - counts
    step = xp.where(counts > 0, below, 0).max(axis=-1, keepdims=True) // 255
    table = xp.minimum((below + step // 2) // xp.maximum(step, 1), 255)
    table = xp.where(step > 0, table, xp.arange(LEVELS)).astype("uint8")
    start = xp.arange(B * C).reshape(B, C, 1) * LEVELS
    result = table.reshape(-1).take(start + planes)             # (B, C, height·width)
    return xp.ascontiguousarray(result.reshape(B, C, height, width).transpose(0, 2, 3, 1))


def histogram(planes):
    """Return how often each of the 256 levels occurs: planes (B, C, pixels) to (B, C, 256), int64.

    A level is 16 · high + low. For each pixel two rows of 16 numbers say which high and which low
    it has, by a 1 among zeros; the product of the two matrices counts the pairs. That needs
    no write to a place that depends on the data, which on a GPU several pixels would do at once.
    """
    xp = get_xp(planes)
    digits = xp.arange(16, dtype="uint8").reshape(16, 1)
    high = (planes[:, :, None] // 16 == digits).astype("float32")       # (B, C, 16, pixels)
    low = (planes[:, :, None] % 16 == digits).astype("float32")
    pairs = xp.matmul(high, low.swapaxes(2, 3))                 # (B, C, 16, 16)
    return pairs.reshape(*planes.shape[:2], LEVELS).astype("int64")


def posterize(images, bits):
    """Return x with only its `bits` highest bits kept, the others 0; bits: (B,), 0 to 8.

    Source: Pillow, ImageOps.posterize.
    """
    mask = LEVELS - 2 ** (8 - np.asarray(bits, np.int64))
    return images & per_image(mask, "uint8", get_xp(images))


def solarize(images, threshold):
    """Return x where it is below the threshold, else 255 − x; threshold: (B,), 256 changes nothing.

    Source: Pillow, ImageOps.solarize.
    """
    xp = get_xp(images)
    return xp.where(images < per_image(threshold, "float32", xp), images, 255 - images)


def invert(images):
    """Return 255 − x."""
    return 255 - images
