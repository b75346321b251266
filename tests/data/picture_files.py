"""What the tests of pictures share: folders of small ones, in every format and damaged."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

PIXELS = np.random.default_rng(2).integers(0, 256, (9, 13, 3), np.uint8)
SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "WEBP": ".webp", "TIFF": ".tif",
            "BMP": ".bmp", "PPM": ".ppm"}


def picture_bytes(form="PNG", mode="RGB", size=(13, 9), **options):
    """Return PIXELS as a file of this format and mode, of size (width, height)."""
    stream = io.BytesIO()
    Image.fromarray(PIXELS).resize(size).convert(mode).save(stream, form, **options)
    return stream.getvalue()


def animation_bytes(form="GIF"):
    """Return an animation whose first picture is grey 200 all over."""
    frames = [Image.new("RGB", (13, 9), (value,) * 3) for value in (200, 90, 10)]
    stream = io.BytesIO()
    frames[0].save(stream, form, save_all=True, append_images=frames[1:])
    return stream.getvalue()


def turned_bytes(orientation, form="JPEG"):
    """Return a picture that is stored as a camera held in another way stores it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if form == "JPEG" else {}
    stream = io.BytesIO()
    half = np.zeros((16, 24, 3), np.uint8)
    half[:8, :12] = 255                                     # white at the top left
    Image.fromarray(half).save(stream, form, exif=exif, **options)
    return stream.getvalue()


def announcing_png(width, height):
    """Return a PNG whose header announces that size, with next to no pixels after it."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b""))


def announcing(width, height):
    """Return {format: file that announces that size}, with next to no pixels in them."""
    bmp = bytearray(picture_bytes("BMP"))
    bmp[18:26] = struct.pack("<ii", width, height)
    gif = bytearray(picture_bytes("GIF", "P"))
    gif[6:10] = struct.pack("<HH", width, height)
    jpeg = bytearray(picture_bytes("JPEG"))
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place:place + 4] = struct.pack(">HH", height, width)
    tiff = bytearray(picture_bytes("TIFF"))
    for tag, value in ((256, width), (257, height)):
        place = next(i for i in range(len(tiff)) if tiff[i:i + 2] == struct.pack("<H", tag)
                     and tiff[i + 2:i + 4] in (b"\3\0", b"\4\0"))
        tiff[place + 2:place + 12] = struct.pack("<HII", 4, 1, value)
    return {"PNG": announcing_png(width, height), "BMP": bytes(bmp), "GIF": bytes(gif),
            "JPEG": bytes(jpeg), "TIFF": bytes(tiff),
            "PPM": f"P6 {width} {height} 255\n".encode() + b"few"}


def write_pictures(folder, names, shade=0):
    """Write PNGs of 6 x 6 pixels of one colour, which tells the part, class and number."""
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.new("RGB", (6, 6), (number, shade, 100)).save(folder / name, "PNG")
    return folder
