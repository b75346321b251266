"""From what users have, files, pictures and arrays, to what the network takes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from vitnp.backend import get_xp, to_host
from vitnp.data import likeness, picture
from vitnp.errors import Error

File = str | os.PathLike[str]
Images = File | np.ndarray | Sequence[Any]      # Pillow's pictures too
RESAMPLE = ("nearest", "bilinear", "bicubic", "lanczos")
ROUNDING = ("floor", "even")


@dataclass(frozen=True)
class Preprocess:
    """How a picture of any size becomes the pixels that a network was trained on.

    size: (height, width) of the network's images; mean, std: one number a channel (1: grey, 3:
    RGB), in units of the range 0 to 1; resample: the filter for resizing, one of RESAMPLE.
    resize: (height, width) that a picture is resized to before its centre, of the network's size,
    is cut out; None: the network's size, so that nothing is cut off. keep_ratio: the picture keeps
    its proportions and is only just as large as resize says, on the shorter side. rounding: where
    the cut starts if the margin is odd: "floor" (transformers) or "even" (the even one of both
    numbers; timm). A picture smaller than the cut gets a black border.
    ground: brightness, from 0 to 1, of what surrounds the things in grey training pictures, or None
    where it is unknown or varies; a file or picture of Pillow's that is light where they are dark
    is inverted, an array never.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: str = "bilinear"
    resize: tuple[int, int] | None = None
    keep_ratio: bool = False
    rounding: str = "floor"
    ground: float | None = None

    def __post_init__(self) -> None:
        for name in ("size", "mean", "std"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "resize", tuple(self.resize or self.size))
        for name in ("size", "resize"):
            if not is_size(getattr(self, name)):
                raise Error(f"{name} is {getattr(self, name)}; it must be height and width, whole "
                            "numbers above 0")
        if len(self.mean) != len(self.std) or not all(std > 0 for std in self.std):
            raise Error(f"mean {self.mean} and std {self.std} must have one number for each "
                        "channel, and each std must be above 0")
        for name, possible in {"resample": RESAMPLE, "rounding": ROUNDING}.items():
            if getattr(self, name) not in possible:
                raise Error(f"{name} is {getattr(self, name)!r}; possible are "
                            f"{', '.join(possible)}")
        if self.resize == self.size and not self.keep_ratio:        # one way to say one thing
            object.__setattr__(self, "resize", None)
            object.__setattr__(self, "rounding", "floor")

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape (height, width, C) of one image."""
        return (*self.size, len(self.mean))

    def with_size(self, size: tuple[int, int]) -> "Preprocess":
        """Return this way for images of another (height, width): the same share is cut out."""
        (tall, wide), (height, width) = self.resize or self.size, self.size
        resize = (max(1, tall * size[0] // height), max(1, wide * size[1] // width))
        return replace(self, size=size, resize=resize)

    @property
    def channels(self) -> int:
        """The number of channels C."""
        return len(self.mean)

    def batch(self, images: Images) -> np.ndarray:
        """Return one image or many as one array (B, height, width, C), uint8 or floats.

        images: one or a list of paths, of Pillow's pictures, or of arrays (height, width, C) or
        (height, width), of any size; or a batch (B, height, width, C). Each is resized and cut as
        this object says, but a batch of the network's own size is taken as it is. Arrays are uint8,
        or floats from 0 to 1, which are rounded to uint8 where they are resized.
        Raises Error for the wrong shape, for floats outside 0 to 1, and for unreadable files.
        """
        if is_path(images) or picture.is_picture(images):
            images = [images]
        if not isinstance(images, list | tuple):
            return self.check(images)
        batches = [self.read(image)[None] if is_path(image)
                   else self.like_others(picture.prepared(image, self.channels))[None]
                   if picture.is_picture(image) else self.check(image) for image in images]
        if not batches:
            raise Error("no images were given; give at least one")
        if len({batch.dtype == np.uint8 for batch in batches}) > 1:
            raise Error("pictures of uint8 (0 to 255; files are read so) and floats (0 to 1) came "
                        "together; give one kind")
        return get_xp(*batches).concatenate(batches)

    def check(self, images: Any) -> np.ndarray:
        """Return an array of one image or many as (B, height, width, C); see batch."""
        if not hasattr(images, "dtype"):
            try:
                images = np.asarray(images)
            except ValueError:
                raise Error("images are neither paths nor arrays of numbers") from None
        pictures = self.as_pictures(images)
        check_values(images)
        if pictures.shape[1:] == self.shape and (images.ndim == 4 or self.resize is None
                                                 or images.shape[1:] == self.size):
            return pictures
        return np.stack([self.pixels_of(image) for image in to_host(pictures)])

    def as_pictures(self, images):
        """Return an array as (B, any height, any width, channels), or raise Error."""
        found, C = images.shape, self.channels
        possible = {1, 2, 3, 4, C} if C in (1, 3) else {C}
        if images.ndim == 2 or (images.ndim == 3 and C == 1 and (
                found[1:] == self.size or found[2] not in possible)):
            images = images[..., None]                          # grey, one or many
        images = images[None] if images.ndim == 3 else images
        if images.ndim != 4 or images.shape[3] not in possible or 0 in images.shape[1:3]:
            raise Error(f"images have the shape {found}, but this model takes pictures (height, "
                        f"width, channels), best of {self.shape}, or a batch of them (B, height, "
                        "width, channels)")
        if not len(images):
            raise Error("no images were given; give at least one")
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

    def read(self, path: File, draft: bool = False) -> np.ndarray:
        """Return the picture in a file as uint8 (height, width, C); see vitnp.data.picture.load.

        draft: whether a JPEG may be made smaller while it is decoded, to no less than twice the
        sides that it is resized to, which is quick and changes pixels a little; see Pictures.
        Raises Error for a file that cannot be read, and where C is neither 1 nor 3.
        """
        if self.channels not in (1, 3):
            raise Error(f"this model takes images of {self.channels} channels, but files are read "
                        "with 1 or 3; give arrays")
        least = 2 * max(self.resize or self.size) if draft else None
        loaded = picture.load(path, self.channels, least)
        try:
            return self.like_others(loaded)
        except Error as error:
            raise Error(f"{path} cannot be read as a picture: {error}") from None

    def like_others(self, whole):
        """Return pixels(whole), inverted where it is light and training pictures are dark."""
        pixels = self.pixels(whole)
        opposite = self.channels == 1 and likeness.is_opposite(pixels, self.ground)
        return 255 - pixels if opposite else pixels

    def pixels_of(self, array):
        """Return an array (any height, any width, channels) as uint8 (height, width, C)."""
        if array.dtype != np.uint8:
            array = np.round(255 * array).astype(np.uint8)
        if self.channels in (1, 3):
            return self.pixels(picture.of_array(array, self.channels))
        grey = replace(self, mean=(0.5,), std=(0.5,))
        return np.concatenate([grey.pixels_of(array[:, :, c:c + 1])
                               for c in range(self.channels)], axis=2)

    def pixels(self, whole):
        """Return one of Pillow's pictures, of mode L or RGB, as uint8 (height, width, C)."""
        height, width = self.resized_sides(*whole.size[::-1])
        if height * width > picture.LARGEST:
            raise Error(f"with sides of {whole.width} and {whole.height} pixels it is too long to "
                        f"keep its proportions: it would become {width} x {height}")
        resized = np.asarray(picture.resized(whole, height, width, self.resample))
        return self.cut(resized.reshape(height, width, self.channels))

    def resized_sides(self, height, width):
        """Return the height and width to which a picture is resized before it is cut."""
        tall, wide = self.resize or self.size
        if not self.keep_ratio:
            return tall, wide
        if tall != wide:                                        # as timm's ResizeKeepRatio
            ratio = min(height / tall, width / wide)
            return round(height / ratio), round(width / ratio)
        # Both libraries cut off the decimals of the longer side
        return ((tall, int(tall * width / height)) if height <= width
                else (int(tall * height / width), tall))

    def cut(self, pixels):
        """Return the centre of an array (any height, any width, C), black where there is none."""
        (top, left), shape = map(self.start, pixels.shape, self.size), pixels.shape
        bottom, right = top + self.size[0], left + self.size[1]
        if min(top, left) >= 0 and bottom <= shape[0] and right <= shape[1]:
            return pixels[top:bottom, left:right]
        result = np.zeros(self.shape, pixels.dtype)
        inner = pixels[max(top, 0):bottom, max(left, 0):right]
        top, left = max(-top, 0), max(-left, 0)
        result[top:top + inner.shape[0], left:left + inner.shape[1]] = inner
        return result

    def start(self, side, cut):
        """Return where the centre of a side begins, below 0 where the side is shorter."""
        margin = side - cut
        if self.rounding == "floor":
            return margin // 2
        return round(margin / 2) if margin >= 0 else -(-margin // 2)


def whole(size, channels=3):
    """Return the Preprocess that resizes the whole picture, and scales it to -1 … 1."""
    middle = (0.5,) * channels
    return Preprocess(size, middle, middle)


def check_values(images):
    """Raise Error for an array that is neither uint8 nor floats from 0 to 1."""
    if images.dtype.kind != "f" and images.dtype != np.uint8:
        raise Error(f"images are of type {images.dtype}; "
                    "possible are uint8 (0 to 255) and floats (0 to 1)")
    if images.dtype.kind == "f":
        low, high = float(images.min()), float(images.max())
        if not (low >= 0.0 and high <= 1.0):
            raise Error(f"float images hold values from {low} to {high}, but must lie "
                        "between 0 and 1; divide by 255, or give uint8")


def is_size(pair):
    """Tell whether a tuple is height and width, whole numbers above 0."""
    return len(pair) == 2 and all(isinstance(n, int) and n > 0 for n in pair)


def is_path(value):
    """Tell whether a value names a file."""
    return isinstance(value, str | os.PathLike)
