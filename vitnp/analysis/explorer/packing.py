"""Numbers as 8 bits, compressed, as text that an HTML file can hold."""

import base64
import io
import zlib

import numpy as np

STEPS = 255


def rows_to_bytes(rows):
    """Return rows (…, T) of numbers from 0 up as their largest numbers, and 8 bits for each.

    Equation: byte = round(255 √(x / largest)), read back as largest · (byte / 255)². The root
    leaves small numbers more steps; none is off by more than 1/255 of its row's largest.

    Returns float32 (…,) and uint8 (…, T).
    """
    largest = rows.max(axis=-1).astype(np.float32)
    shares = rows / np.maximum(largest, np.finfo(np.float32).tiny)[..., None]
    return largest, np.round(STEPS * np.sqrt(np.clip(shares, 0, 1))).astype(np.uint8)


def rows_from_bytes(largest, numbers):
    """Return the rows (…, T) that rows_to_bytes has packed, as the page reads them."""
    return largest[..., None] * (numbers / np.float32(STEPS)) ** 2


def packed(*arrays):
    """Return arrays, one after the other, compressed with zlib and written as base64."""
    content = b"".join(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes()
                       for array in arrays)
    return base64.b64encode(zlib.compress(content, 9)).decode()


def picture_url(image):
    """Return a picture, uint8 (height, width, C), as the data URL of a PNG or, if large, a JPEG."""
    from PIL import Image

    picture = Image.fromarray(image if image.shape[2] == 3 else image[:, :, 0])
    kind, looks = ("png", {"optimize": True}) if max(picture.size) <= 96 else (
        "jpeg", {"quality": 88})
    file = io.BytesIO()
    picture.save(file, kind, **looks)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
