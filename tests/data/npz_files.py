"""What the tests of .npz files share: a small set, and files that numpy would not write."""

import io
import struct
import zipfile

import numpy as np

NUMBERS = np.random.default_rng(0)
ARRAYS = {
    "train_images": NUMBERS.integers(0, 256, (5, 4, 6), np.uint8),
    "train_labels": np.array([0, 2, 1, 1, 0]),
    "test_images": NUMBERS.integers(0, 256, (3, 4, 6), np.uint8),
    "test_labels": np.array([2, 0, 1]),
}


def write_npz(path, packed=False, **changes):
    """Write ARRAYS with some of them changed, or left out where the change is None."""
    arrays = {name: array for name, array in (ARRAYS | changes).items() if array is not None}
    (np.savez_compressed if packed else np.savez)(path, **arrays)
    return path


def npy_bytes(header, data=b"", version=1):
    """Return a .npy file with any header, a str or a dict."""
    header = str(header).encode("latin1")
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def described(shape=(5, 4, 6), descr="|u1", is_fortran=False):
    """Return the dict of a .npy header."""
    return {"descr": descr, "fortran_order": is_fortran, "shape": shape}


def zip_bytes(members, compression=zipfile.ZIP_STORED):
    """Return a zip archive of {name: bytes}."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def replacing(name, data, compression=zipfile.ZIP_STORED):
    """Return an .npz of ARRAYS whose array `name` has these bytes instead."""
    members = {}
    for key, array in ARRAYS.items():
        stream = io.BytesIO()
        np.save(stream, array)
        members[key + ".npy"] = stream.getvalue()
    return zip_bytes(members | {name + ".npy": data}, compression)


def with_announced_size(packed, size):
    """Return a zip archive whose directory says that its first member unpacks to `size` bytes."""
    packed = bytearray(packed)
    place = packed.index(b"PK\x01\x02")
    packed[place + 24:place + 28] = struct.pack("<I", size)
    return bytes(packed)
