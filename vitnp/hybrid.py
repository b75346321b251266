"""What a convolutional stem makes of an image: the sizes of a hybrid."""

import math

from vitnp.errors import Error
from vitnp.layers.convolutional.stem import GROUPS, grid


def widths(stem):
    """Return the widths of a stem's layers as a tuple. Raises Error for impossible ones."""
    if not isinstance(stem, tuple | list) or not all(
            isinstance(width, int) and width > 0 and width % GROUPS == 0 for width in stem):
        raise Error(f"stem is {stem!r}; give the channels of each layer, multiples of {GROUPS}, "
                    "such as (24, 48)")
    return tuple(stem)


def widest(config):
    """Return how many numbers the largest array within the stem has, for one image: windows."""
    channels, sizes = (config.channels, *config.stem), [0]
    for i in range(len(config.stem)):
        sizes.append(math.prod(grid(config.image_size, config.stem[:i + 1])) * 9 * channels[i])
    return max(sizes)
