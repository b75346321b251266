"""Arrays in .npz files, such as numpy.savez writes.

An .npz is a zip archive of .npy files; each of them is a header with type and shape, then the
elements. Nothing in it is believed before the data are there, and objects are never unpickled.
"""

import contextlib
import math
import warnings
import zipfile

import numpy as np

from vitnp.errors import Error

PIECE = 2**20
LARGEST_PACKING = 1032  # deflate makes at most this many bytes of one
ANY_KIND = "biufcmMSUV"  # NumPy's kinds of types; all but "O", objects


@contextlib.contextmanager
def reading(path):
    """Turn whatever goes wrong while an archive is read into an Error that names it."""
    try:
        yield
    except Error:
        raise
    except Exception as error:  # noqa: BLE001  zipfile raises nearly anything on damaged files
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        # Some of its sentences quote the file at length.
        reason = " ".join(reason.split())[:200]
        raise Error(f"{path} cannot be read ({reason}), but a whole .npz file was "
                    "expected") from None


def names(archive):
    """Return the names of the arrays in an archive, those that "np.savez(file, name=…)" got."""
    return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def read_array(archive, name, source, kinds=ANY_KIND, possible="numbers"):
    """Return one array of the archive.

    source: what messages call it; kinds: NumPy's letters of the types that are taken; possible:
    these types in words. Raises Error for other types, and for an array that is damaged.
    """
    with open_array(archive, name, source) as stream:
        shape, is_fortran, dtype = read_header(archive, name, stream, source, kinds, possible)
        # Piece by piece, because read(size) joins its pieces into a second copy.
        data = bytearray()
        while piece := stream.read(PIECE):
            data += piece
    size = math.prod(shape) * dtype.itemsize
    if len(data) != size:
        raise Error(f"{source} announces {size} bytes, but holds {len(data)}")
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if is_fortran else "C")
    return np.asarray(array, order="C")


def read_shape(archive, name, source):
    """Return (shape, dtype) that one array of the archive announces, without its elements."""
    with open_array(archive, name, source) as stream:
        shape, _, dtype = read_header(archive, name, stream, source, ANY_KIND, "numbers")
    return shape, dtype


def open_array(archive, name, source):
    """Return a stream of one array's bytes, or raise Error where it is packed in no usual way."""
    member = archive.getinfo(name + ".npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Error(f"{source} is packed in a way that numpy.savez does not use; save it again")
    if member.file_size > LARGEST_PACKING * (member.compress_size + 1):
        raise Error(f"{source} announces {member.file_size} bytes, but its {member.compress_size} "
                    "packed bytes cannot hold so many")
    return archive.open(member)


def read_header(archive, name, stream, source, kinds, possible):
    """Return (shape, whether the first dimension is fastest, dtype), or raise Error."""
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            # Later versions announce headers of up to 4 GiB, which only records need.
            raise ValueError(f"it has version {version} of the format, but only (1, 0) is read")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    except (OSError, EOFError, zipfile.BadZipFile):
        raise
    except Exception as error:  # noqa: BLE001  numpy's parser raises nearly anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise Error(f"{source} has a damaged header: {reason[:200]}") from None
    if dtype.kind not in kinds or dtype.hasobject:
        raise Error(f"{source} is of type {dtype}; possible are {possible}, and objects are never "
                    "read")
    size = math.prod(shape) * dtype.itemsize
    there = archive.getinfo(name + ".npy").file_size - stream.tell()
    if min(shape, default=1) < 1 or size != there:
        raise Error(f"{source} announces the shape ({' x '.join(map(str, shape))}) of {dtype}, "
                    f"{size} bytes, but has {there}; at least one element is needed")
    return shape, is_fortran, dtype
