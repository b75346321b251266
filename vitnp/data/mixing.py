"""Erasing a part of each image, and mixing pairs of images together with their targets.

Targets are (B, K), one probability for each class; mixed targets say what share of the picture
is of which image.
"""

import numpy as np

from vitnp.backend import get_xp, to_device
from vitnp.data.geometry import random_boxes

ERASED = 128                    # mid grey
ERASED_AREAS = (0.02, 1 / 3)
ERASED_ASPECTS = (0.3, 1 / 0.3)


def one_hot(labels, classes):
    """Return targets (B, classes) float32: 1 at each image's label, else 0; labels: (B,)."""
    xp = get_xp(labels)
    return (labels[:, None] == xp.arange(classes)).astype("float32")


def random_erase(images, probability, rng):
    """Return images of which each has, with that probability, one box painted mid grey.

    The box's share of the area is uniform from 0.02 to 1/3, its width / height log-uniform from
    0.3 to 1/0.3, as far as it fits. Source: Zhong et al. 2020, "Random erasing data augmentation";
    there the box holds random pixels. One grey needs no draws for them; it is about the paper's
    variant with the mean colour of ImageNet's pictures, (125, 122, 114).

    images: (B, height, width, C) uint8; rng: a NumPy Generator, five draws an image.
    """
    xp = get_xp(images)
    B, height, width, _ = images.shape
    chosen = rng.random(B) < probability
    top, left, box_height, box_width = random_boxes(
        B, height, width, ERASED_AREAS, ERASED_ASPECTS, rng)
    # Whole pixels, at least one: of a picture one pixel wide a box may be only 0.3 wide
    top, left = np.minimum(np.rint(top), height - 1), np.minimum(np.rint(left), width - 1)
    bottom = np.where(chosen, top + np.maximum(np.rint(box_height), 1), top)
    right = left + np.maximum(np.rint(box_width), 1)
    result = images.copy()
    xp.copyto(result, ERASED, where=inside(images, top, bottom, left, right))
    return result


def mixup(images, targets, alpha, rng):
    """Return w · x + (1 − w) · x' and the targets mixed likewise; x' is an image of the batch.

    The weight w is drawn for each image from Beta(alpha, alpha), and the partners x' are the batch
    in a random order. Source: Zhang et al. 2018, "mixup"; the authors' code has one weight a batch.

    images: (B, height, width, C) uint8; targets: (B, K) float32; alpha: above 0; rng: a NumPy
    Generator, for weights and partners.
    Returns images, uint8, rounded, and targets, float32, whose rows sum to what they summed to.
    """
    xp = get_xp(images, targets)
    B = len(images)
    weight = to_device(rng.beta(alpha, alpha, B).astype(np.float32), xp)
    partner = to_device(rng.permutation(B), xp)
    mixed = images[partner].astype("float32")
    mixed += weight.reshape(B, 1, 1, 1) * (images - mixed)
    return xp.rint(mixed).astype("uint8"), mix(targets, targets[partner], weight)


def cutmix(images, targets, alpha, rng):
    """Return images with a box of another one in them, and the targets by their shares of pixels.

    A weight w is drawn for each image from Beta(alpha, alpha); the box has the share 1 − w of the
    area and the picture's shape, its centre is anywhere, and what juts out is cut off. The
    partners are the batch in a random order. Source: Yun et al. 2019, "CutMix", section 3; the
    authors' code has one box a batch.

    images: (B, height, width, C) uint8; targets: (B, K) float32; alpha: above 0; rng: a NumPy
    Generator, for weights, places and partners.
    Returns images, uint8, and targets, float32, whose rows sum to what they summed to.
    """
    xp = get_xp(images, targets)
    B, height, width, _ = images.shape
    side = np.sqrt(1 - rng.beta(alpha, alpha, B))               # in shares of height and width
    down, across = rng.random((2, B))
    partner = to_device(rng.permutation(B), xp)
    top, bottom = ends(down * height, side * height, height)
    left, right = ends(across * width, side * width, width)
    mixed = images.copy()
    xp.copyto(mixed, images[partner], where=inside(images, top, bottom, left, right))
    kept = 1 - (bottom - top) * (right - left) / (height * width)
    return mixed, mix(targets, targets[partner], to_device(kept.astype(np.float32), xp))


def mix(a, b, weight):
    """Return weight · a + (1 − weight) · b; a, b: (B, K), weight: (B,)."""
    weight = weight.reshape(-1, 1)
    return weight * a + (1 - weight) * b


def ends(centre, length, limit):
    """Return the whole numbers where intervals start and end, cut off at 0 and limit; all (B,)."""
    start = np.clip(np.rint(centre - length / 2), 0, limit)
    return start, np.clip(np.rint(centre + length / 2), 0, limit)


def inside(images, top, bottom, left, right):
    """Return which numbers of the images lie in a box each, bool (B, height, width, C).

    top, bottom, left, right: (B,), NumPy; the pixels from top on and before bottom are in the box.
    """
    xp = get_xp(images)
    _, height, width, C = images.shape
    y, x = np.arange(height), np.repeat(np.arange(width), C)
    rows = (y >= top[:, None]) & (y < bottom[:, None])          # (B, height)
    columns = (x >= left[:, None]) & (x < right[:, None])       # (B, width·C)
    # In rows of width·C numbers, because NumPy goes slowly through a last axis of C numbers
    box = to_device(rows[:, :, None], xp) & to_device(columns[:, None], xp)
    return box.reshape(images.shape)
