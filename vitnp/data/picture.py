"""One picture file, whatever its format, as an array of 8 bits and of the size asked for."""

import contextlib
import os
import warnings

import numpy as np

from vitnp.errors import Error

# Pillow knows many more, and some of them start other programs (EPS starts Ghostscript).
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")


def read(path, height, width, channels=3, resample="bilinear", draft=False):
    """Return the picture in a file as uint8 (height, width, channels), resized to that size.

    channels: 3 (RGB) or 1 (grey); resample: nearest, bilinear or bicubic; draft: let a JPEG be made
    smaller while it is decoded, to no less than twice the size. The picture is turned
    as its EXIF orientation says; of an animation it is the first one; transparency is dropped;
    16 bits become 8. Raises Error, naming the file, for what is damaged, of none of FORMATS, or
    announces more pixels than Pillow takes for safe (about 89 million).
    """
    from PIL import Image

    try:
        if os.path.exists(path) and not os.path.isfile(path):
            # Opening a pipe would wait without end.
            raise Error("it is a folder or a device")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as file:
                if draft:
                    file.draft(None, (2 * max(width, height),) * 2)
                picture = eight_bits(upright(file)).convert("L" if channels == 1 else "RGB")
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling[resample.upper()])
    except Exception as error:  # noqa: BLE001  Pillow raises nearly anything on damaged files
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = " ".join(reason.split())
        raise Error(f"{path} cannot be read as a picture: {reason}") from None
    return np.asarray(picture).reshape(height, width, channels)


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
