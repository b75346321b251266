"""How far a picture is from those that a network was trained on: in grey or colour, dark or light.

A network for grey pictures knows the ground, which is what surrounds the things in its training
pictures: black around the digits of MNIST. A dark digit on white paper is another thing to it.
"""

from dataclasses import replace

import numpy as np

from vitnp.data import picture

MOST = 500                      # training pictures that are looked at
SPREAD = 0.1                    # a ground that differs more from picture to picture is none
DARK, LIGHT = 0.3, 0.6          # of a ground that is surely dark, and surely light
MOST_OF = 0.75                  # share of a picture's border that has to be so
TINT = 0.04                     # mean difference of the channels from which on there is colour


def ground_of(images):
    """Return the brightness of the border of grey training pictures, from 0 to 1, or None.

    It is the median of their borders' medians; None for pictures in colour, and where half of the
    pictures lie further than SPREAD from it.

    images: uint8 (count, height, width, C), or read like such an array.
    """
    if images.shape[-1] != 1:
        return None
    few = images[np.arange(0, len(images), -(-len(images) // MOST))]
    borders = np.median(border(few), axis=1) / 255
    ground = float(np.median(borders))
    return ground if np.median(abs(borders - ground)) <= SPREAD else None


def border(images):
    """Return the outermost pixels (B, count) of grey images (B, height, width, 1)."""
    top, bottom, left, right = images[:, 0], images[:, -1], images[:, 1:-1, 0], images[:, 1:-1, -1]
    return np.concatenate([side[..., 0] for side in (top, bottom, left, right)], axis=1)


def is_opposite(image, ground):
    """Tell whether a grey image (height, width, 1) is light where training pictures are dark.

    Or the other way round. ground: that of the training pictures, or None for unknown.
    """
    if ground is None:
        return False
    around = border(image[None]) / 255
    light, dark = (around > LIGHT).mean(), (around < 1 - LIGHT).mean()
    return bool(light > MOST_OF and ground < DARK) or bool(dark > MOST_OF and ground > 1 - DARK)


def has_colour(image):
    """Tell whether an image, uint8 (height, width, 3), has colours."""
    spread = image.max(axis=2).astype(int) - image.min(axis=2)
    return bool(spread.mean() / 255 > TINT)


def remark(path, image, preprocess):
    """Return a sentence where a picture is far from what a network knows, or an empty text.

    image: uint8 (height, width, C), as preprocess has read it from the file.
    """
    if preprocess.channels == 1:
        return of_grey(path, preprocess)
    return "" if has_colour(image) else f"{path} is in grey, but the network takes colours"


def of_grey(path, preprocess):
    """Return what a network for grey pictures is to be warned of, or an empty text."""
    ground = preprocess.ground
    known = "" if ground is None else ", light on dark" if ground < DARK else ", dark on light"
    words, done = [], []
    if has_colour(np.asarray(picture.resized(picture.load(path), *preprocess.size, "bilinear"))):
        words.append("in colour")
        done.append("made grey")
    if is_opposite(replace(preprocess, ground=None).read(path), ground):
        words.append("dark on light" if ground < DARK else "light on dark")
        done.append("inverted")
    if not words:
        return ""
    return (f"{path} is {' and '.join(words)}; it was {' and '.join(done)}, as the network was "
            f"trained on grey pictures{known}")
