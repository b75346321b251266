"""Images of another size than their files have, resized when they are indexed."""

from dataclasses import dataclass, replace

import numpy as np

from vitnp.data.preprocess import Preprocess, whole


@dataclass(frozen=True)
class Resized:
    """Images (count, any height, any width, C) that read like those a Preprocess makes of them."""

    images: np.ndarray
    preprocess: Preprocess

    def __len__(self):
        return len(self.images)

    @property
    def shape(self):
        """The shape of the array that this reads like."""
        return (len(self.images), *self.preprocess.shape)

    def __getitem__(self, indices):
        """Return the chosen images, uint8 (count, height, width, C)."""
        chosen = self.images[indices]
        result = np.empty((len(chosen), *self.preprocess.shape), np.uint8)
        for image, pixels in zip(chosen, result, strict=True):
            pixels[...] = self.preprocess.pixels_of(image)
        return result


def prepared(images, size=None, preprocess=None):
    """Return images as a Preprocess makes them in a size: Resized, or themselves if they are so.

    size: (height, width), by default their own; preprocess: by default the whole picture,
    bilinear. The number of channels stays.
    """
    own, middle = images.shape[1:3], (0.5,) * images.shape[3]
    way = replace((preprocess or whole(own)).with_size(size or own), mean=middle, std=middle)
    return images if way.resize is None and way.size == own else Resized(images, way)
