"""MNIST and Fashion-MNIST from their published idx files, packed with gzip or not.

An idx file is two zero bytes, the type of the elements, the number of dimensions, the length of
each dimension (big-endian, four bytes each), then the elements, the last dimension fastest.
Nothing in a file is believed before the data are there.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from vitnp.data.dataset import Dataset, check_part
from vitnp.errors import Error

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
         "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
CLASS_NAMES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                      "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
}
GZIP_START = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
MAX_DIMENSIONS = 4
MAX_BYTES = 4 * 2**30
PIECE = 2**20


def load(name, data_dir):
    """Return the Dataset "mnist" or "fashion-mnist" from the four FILES in the folder data_dir.

    Images are (count, height, width, 1). Raises Error for a missing or damaged file, and for files
    that do not belong together.
    """
    if not os.path.isdir(data_dir):
        raise Error(f"{data_dir} is not a folder; --data-dir names the one that holds the files "
                    f"of {name}")
    paths = [find_file(Path(data_dir), file_name) for file_name in FILES]
    train_images, train_labels = read_part(paths[0], paths[1], CLASS_NAMES[name])
    test_images, test_labels = read_part(paths[2], paths[3], CLASS_NAMES[name])
    if train_images.shape[1:] != test_images.shape[1:]:
        raise Error(f"the images in {paths[0]} are {describe(train_images.shape[1:3])}, but those "
                    f"in {paths[2]} are {describe(test_images.shape[1:3])}; one size is needed")
    return Dataset(name, train_images, train_labels, test_images, test_labels, CLASS_NAMES[name])


def find_file(folder, name):
    """Return the path of `name`, else of `name`.gz, in the folder; raise Error if none is there."""
    for path in (folder / name, folder / (name + ".gz")):
        if os.path.exists(path):
            return path
    raise Error(f"{folder} holds no file {name} or {name}.gz; one of them is needed (python -m "
                "vitnp.data fetch brings it)")


def read_part(images_path, labels_path, class_names):
    """Return images, uint8 (count, height, width, 1), and labels, int64 (count,), checked."""
    images = read(images_path)
    if images.ndim != 3:
        raise Error(f"{images_path} has the shape {describe(images.shape)}, but images are "
                    "count x height x width")
    labels = read(labels_path)
    if labels.ndim != 1:
        raise Error(f"{labels_path} has the shape {describe(labels.shape)}, but labels have one "
                    "dimension")
    images = images[..., np.newaxis]  # (count, height, width, 1)
    labels = labels.astype(np.int64)
    check_part(images, labels, class_names, images_path, labels_path)
    return images, labels


def read(path):
    """Return the uint8 array of one idx file, in the shape that its header announces.

    Raises Error, naming the file, for anything but a whole idx file of unsigned bytes.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        # Also a pipe, which open() would wait for without end.
        raise Error(f"{path} is a folder or a device, but an idx file was expected")
    try:
        with open_unpacked(path) as stream:
            shape = read_header(stream, path)
            return read_elements(stream, shape, path)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise Error(f"{path} cannot be read ({reason}), but a whole idx file, plain or gzip, "
                    "was expected") from None


def open_unpacked(path):
    """Return a stream of the file's bytes, unpacked where its first two bytes say gzip."""
    with open(path, "rb") as file:
        is_packed = file.read(2) == GZIP_START
    return gzip.open(path, "rb") if is_packed else open(path, "rb")


def read_header(stream, path):
    """Return the shape announced at the start of the stream, or raise Error."""
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0":
        raise Error(f"{path} starts with {start!r}, but an idx file starts with two zero bytes, "
                    "a type and a number of dimensions")
    element_type, dimensions = start[2], start[3]
    if element_type != UNSIGNED_BYTE:
        raise Error(f"{path} has elements of type 0x{element_type:02x}, but only unsigned bytes, "
                    f"0x{UNSIGNED_BYTE:02x}, can be read")
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise Error(f"{path} announces {dimensions} dimensions, but 1 to {MAX_DIMENSIONS} can be "
                    "read")
    lengths = stream.read(4 * dimensions)
    if len(lengths) < 4 * dimensions:
        raise Error(f"{path} ends inside its header, after {4 + len(lengths)} bytes, but its "
                    f"header should have {4 + 4 * dimensions}")
    return struct.unpack(f">{dimensions}I", lengths)


def read_elements(stream, shape, path):
    """Return the rest of the stream as a uint8 array of that shape, or raise Error."""
    size = math.prod(shape)
    if size == 0:
        raise Error(f"{path} announces the shape {describe(shape)}, but at least one element is "
                    "needed")
    if size > MAX_BYTES:
        raise Error(f"{path} announces {size} bytes in the shape {describe(shape)}, but at most "
                    f"{MAX_BYTES} are read")
    # Piece by piece, because read(size) allocates `size` bytes at once even if few are there;
    # one byte more than announced, because that finds what is too long and stops a gzip bomb.
    data = bytearray()
    while len(data) <= size:
        piece = stream.read(min(PIECE, size + 1 - len(data)))
        if not piece:
            break
        data += piece
    if len(data) != size:
        found = f"only {len(data)}" if len(data) < size else "more"
        raise Error(f"{path} announces {size} bytes in the shape {describe(shape)}, but holds "
                    f"{found}")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def describe(shape):
    """Return the lengths of a shape as words, such as "28 x 28"."""
    return " x ".join(str(length) for length in shape)
