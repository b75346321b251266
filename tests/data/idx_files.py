"""What the tests of idx files share: writing small ones, and catching a refusal."""

import gzip
import struct

import numpy as np
import pytest

from vitnp.data import idx
from vitnp.errors import Error

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx_bytes(array, element_type=0x08):
    lengths = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, element_type, array.ndim]) + lengths + array.tobytes()


def write(path, data):
    path.write_bytes(data)
    return path


def write_set(folder, packed=False):
    """Write a tiny data set under the names of MNIST: 5 training images and 3 test images."""
    numbers = np.random.default_rng(0)
    arrays = (numbers.integers(0, 256, (5, 3, 4)), np.array([0, 9, 1, 8, 2]),
              numbers.integers(0, 256, (3, 3, 4)), np.array([7, 7, 3]))
    for name, array in zip(idx.FILES, arrays, strict=True):
        data = idx_bytes(array.astype(np.uint8))
        if packed:
            write(folder / (name + ".gz"), gzip.compress(data))
        else:
            write(folder / name, data)
    return arrays


def refusal(call, *arguments):
    """Return the sentence with which the call refuses."""
    with pytest.raises(Error) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)
