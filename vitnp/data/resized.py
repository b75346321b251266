"""Images of another size than their files have, resized when they are indexed."""

from dataclasses import dataclass

import numpy as np

from vitnp.data.geometry import resize


@dataclass(frozen=True)
class Resized:
    """Images (count, height, width, C) that read like an array of (count, side, side, C)."""

    images: np.ndarray
    side: int

    def __len__(self):
        return len(self.images)

    @property
    def shape(self):
        """The shape of the array that this reads like."""
        return (len(self.images), self.side, self.side, self.images.shape[3])

    def __getitem__(self, indices):
        return resize(self.images[indices], self.side, self.side)


def with_side(images, side):
    """Return images whose height and width are `side`: themselves, or Resized."""
    return images if images.shape[1:3] == (side, side) else Resized(images, side)
