"""Whole numbers from MATLAB's .mat files of version 5, as far as those of Flowers-102 need it.

After 128 bytes of header come elements: a type, a length, and as many bytes. One of type 15 is
another one, packed with zlib; one of type 14 is an array, of four: flags, sides, name, numbers.
"""

import struct
import zlib

import numpy as np

from vitnp.errors import Error

HEADER, ARRAY, PACKED = 128, 14, 15
KINDS = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8",
         13: "<u8"}
MOST_BYTES = 2**22


def read(path):
    """Return {name: int64 (count,)} of the arrays in a .mat file; raise Error for another one."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES)
        if data[126:128] != b"IM":
            raise ValueError("it is no .mat file of version 5 from a little-endian machine")
        arrays = {}
        for kind, content in elements(data[HEADER:]):
            if kind == PACKED:
                unpacked = zlib.decompressobj().decompress(content, MOST_BYTES)
                kind, content = next(elements(unpacked))
            if kind == ARRAY:
                _, _, (_, name), (number_kind, numbers) = list(elements(content))[:4]
                values = np.frombuffer(numbers, KINDS[number_kind])
                arrays[name.decode("ascii")] = values.astype(np.int64)
        return arrays
    except (OSError, ValueError, KeyError, StopIteration, struct.error, zlib.error) as error:
        raise Error(f"{path} cannot be read as a .mat file of whole numbers "
                    f"({getattr(error, 'strerror', None) or error or type(error).__name__})"
                    ) from None


def elements(data):
    """Yield (type, bytes) of each element; up to four bytes may stand beside type and length."""
    place = 0
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<II", data, place)
        if kind >> 16:
            yield kind & 0xffff, data[place + 4:place + 4 + (kind >> 16)]
            place += 8
            continue
        content = data[place + 8:place + 8 + length]
        if len(content) != length:
            raise ValueError("it ends inside an array")
        yield kind, content
        # Packed elements alone do not end at a multiple of 8
        place += 8 + length + (0 if kind == PACKED else -length % 8)
