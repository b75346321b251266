"""One picture file, whatever its format, upright and with 8 bits in each channel."""

import contextlib
import os
import sys
import threading
import warnings

import numpy as np

from vitnp.errors import Error

# Pillow knows many more, and some of them start other programs (EPS starts Ghostscript).
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "AVIF", "HEIF")
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".gif", ".webp", ".tif",
            ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif")
LARGEST = 200_000_000       # pixels
# Of the same container, told by what a file announces in its first bytes
CURES = {"AVIF": "a Pillow of 11.3 or newer", "HEIF": "pip install pillow-heif"}

# Pillow's limit and Python's warnings belong to the whole process
quiet = threading.Lock()


def read(path, height, width, channels=3, resample="bilinear"):
    """Return the whole picture in a file, see load, as uint8 (height, width, channels).

    resample: nearest, bilinear, bicubic or lanczos.
    """
    picture = resized(load(path, channels), height, width, resample)
    return np.asarray(picture).reshape(height, width, channels)


def resized(picture, height, width, resample):
    """Return one of Pillow's pictures in that size."""
    from PIL import Image

    if picture.size == (width, height):
        return picture
    return picture.resize((width, height), Image.Resampling[resample.upper()])


def load(path, channels=3, least=None):
    """Return the picture in a file as one of Pillow's, of mode RGB for 3 channels, or L for 1.

    least: sides that a JPEG keeps where it is made smaller while it is decoded. It is turned as
    its EXIF orientation says; of an animation it is the first one; transparency is dropped; 16
    bits become 8. Raises Error, naming the file, for what is damaged, of none of FORMATS, or
    announces more than LARGEST pixels.
    """
    from PIL import Image

    try:
        if os.path.exists(path) and not os.path.isfile(path):
            # Opening a pipe would wait without end.
            raise Error("it is a folder or a device")
        formats = known_formats(path)
        with without_warnings(), Image.open(path, formats=formats) as picture:
            check_size(*picture.size)
            if least:
                picture.draft(None, (least, least))
            return converted(upright(picture), channels)
    except Exception as error:  # noqa: BLE001  Pillow raises nearly anything on damaged files
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Error(f"{path} cannot be read as a picture: {' '.join(reason.split())}") from None


@contextlib.contextmanager
def without_warnings():
    """Keep Pillow's warnings and its own limit off: what is too large is said in our words."""
    from PIL import Image

    with quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def known_formats(path):
    """Return those of FORMATS that are there; raise Error for a file of one that is missing."""
    from PIL import Image

    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    with open(path, "rb") as file:
        start = file.read(32)
    if start[4:8] == b"ftyp":
        name = "AVIF" if b"avif" in start or b"avis" in start else "HEIF"
        if name not in formats:
            raise Error(f"it is a picture of the format {name}, which needs {CURES[name]}; or save "
                        "it as JPEG or PNG")
    return formats


def check_size(width, height):
    """Raise Error for a picture that is too large, before its pixels are unpacked."""
    if width * height > LARGEST:
        raise Error(f"it announces {width} x {height} pixels, in all {width * height:,}, but at "
                    f"most {LARGEST:,} are read; make it smaller")


def is_picture(value):
    """Tell whether a value is one of Pillow's pictures, without loading Pillow for it."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(value, pillow.Image)


def prepared(picture, channels):
    """Return one of Pillow's pictures as load does; it may come from a file not yet decoded."""
    check_size(*picture.size)
    try:
        with without_warnings():
            return converted(upright(picture), channels)
    except (OSError, SyntaxError, ValueError) as error:         # Pillow's, on damaged files
        raise Error(f"a picture cannot be decoded: {' '.join(str(error).split())}") from None


def of_array(array, channels):
    """Return uint8 (height, width, 1 to 4) as load does: grey or RGB, its transparency dropped."""
    from PIL import Image

    array = array[:, :, 0] if array.shape[2] == 1 else np.ascontiguousarray(array)
    return converted(Image.fromarray(array), channels)


def converted(picture, channels):
    """Return a picture with 8 bits, of mode RGB for 3 channels, or L for 1."""
    return eight_bits(picture).convert("L" if channels == 1 else "RGB")


def upright(picture):
    """Return a picture turned or mirrored as its EXIF orientation says."""
    from PIL import ImageOps

    picture.load()
    # Damaged EXIF says nothing about the pixels; as viewers do, show them as they are stored.
    with contextlib.suppress(Exception):
        picture = ImageOps.exif_transpose(picture)
    return picture


def eight_bits(picture):
    """Return a picture, or its copy with 8 bits where it has 16: convert() would cut them off."""
    from PIL import Image

    if picture.mode.startswith("I;16"):
        return Image.fromarray(np.round(np.asarray(picture) / 257).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise Error("its numbers have 32 bits and no known range; save it with 8 or 16 bits")
    return picture
