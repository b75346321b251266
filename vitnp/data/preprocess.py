"""From what users have, files and arrays, to what the network takes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from vitnp.backend import get_xp
from vitnp.data import likeness, picture
from vitnp.errors import Error

File = str | os.PathLike[str]
Images = File | np.ndarray | Sequence[File | np.ndarray]
RESAMPLE = ("nearest", "bilinear", "bicubic")


@dataclass(frozen=True)
class Preprocess:
    """The size, channels and scale of the images that a network was trained on.

    size: (height, width); mean, std: one number a channel, in units of the range 0 to 1;
    resample: how files of another size are resized, one of RESAMPLE.
    ground: brightness, from 0 to 1, of what surrounds the things in grey training pictures, or None
    where it is unknown or varies; a file that is light where they are dark is inverted.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: str = "bilinear"
    ground: float | None = None

    def __post_init__(self) -> None:
        for name in ("size", "mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.size) != 2 or not all(isinstance(n, int) and n > 0 for n in self.size):
            raise Error(f"size is {self.size}; it must be height and width, whole numbers above 0")
        if len(self.mean) != len(self.std) or not all(std > 0 for std in self.std):
            raise Error(f"mean {self.mean} and std {self.std} must have one number for each "
                        "channel, and each std must be above 0")
        if self.resample not in RESAMPLE:
            raise Error(f"resample is {self.resample!r}; possible are {', '.join(RESAMPLE)}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (height, width, C) of one image."""
        return (*self.size, len(self.mean))

    def batch(self, images: Images) -> np.ndarray:
        """Return one image or many, arrays or paths of files, as one array (B, height, width, C).

        Arrays keep their type and must have the right size; files become uint8 and are resized.
        Raises Error for the wrong shape, for floats outside 0 to 1, and for unreadable files.
        """
        if isinstance(images, str | os.PathLike):
            images = [images]
        if not isinstance(images, list | tuple):
            return self.check(images)
        arrays = [self.read(image) if isinstance(image, str | os.PathLike) else self.check(image)
                  for image in images]
        if not arrays:
            raise Error("no images were given; give at least one")
        if len({array.dtype == np.uint8 for array in arrays}) > 1:
            raise Error("pictures of uint8 (0 to 255; files are read so) and floats (0 to 1) came "
                        "together; give one kind")
        return get_xp(*arrays).concatenate(arrays)

    def check(self, images: Any) -> np.ndarray:
        """Return an array of one image or many as (B, height, width, C), or raise Error."""
        if not hasattr(images, "dtype"):
            try:
                images = np.asarray(images)
            except ValueError:
                raise Error("images are neither paths nor arrays of numbers") from None
        found = images.shape
        if self.shape[-1] == 1 and (found == self.size or found[1:] == self.size):
            images = images[..., None]
        if images.shape == self.shape:
            images = images[None]
        if images.ndim != 4 or images.shape[1:] != self.shape:
            raise Error(f"images have the shape {found}, but this model takes (height, width, "
                        f"channels) = {self.shape}, one or many; resize them, or give files")
        if not len(images):
            raise Error("no images were given; give at least one")
        if images.dtype.kind != "f" and images.dtype != np.uint8:
            raise Error(f"images are of type {images.dtype}; "
                        "possible are uint8 (0 to 255) and floats (0 to 1)")
        if images.dtype.kind == "f":
            low, high = float(images.min()), float(images.max())
            if not (low >= 0.0 and high <= 1.0):
                raise Error(f"float images hold values from {low} to {high}, but must lie "
                            "between 0 and 1; divide by 255, or give uint8")
        return images

    def scale(self, images: np.ndarray, dtype: DTypeLike = np.float32) -> np.ndarray:
        """Return (images - mean) / std as `dtype`, where images are uint8 or from 0 to 1.

        images: (B, height, width, C), on either device, already checked.
        """
        xp = get_xp(images)
        unit = 255.0 if images.dtype == np.uint8 else 1.0
        scale = xp.asarray(1.0 / (unit * np.array(self.std)), dtype)
        shift = xp.asarray(np.array(self.mean) / np.array(self.std), dtype)
        return images.astype(dtype) * scale - shift

    def read(self, path: File) -> np.ndarray:
        """Return the picture in a file as uint8 (1, height, width, C); see vitnp.data.picture.read.

        Raises Error for a file that cannot be read, and where C is neither 1 nor 3.
        """
        height, width, channels = self.shape
        if channels not in (1, 3):
            raise Error(f"this model takes images of {channels} channels, but files are read with "
                        "1 or 3; give arrays")
        image = picture.read(path, height, width, channels, self.resample)
        opposite = channels == 1 and likeness.is_opposite(image, self.ground)
        return (255 - image if opposite else image)[None]
