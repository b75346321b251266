"""Single files out of a tar archive, without unpacking it to the disk.

The headers are read one by one, and only what they say about size and kind is used: longer
names, sparse files and all else that later tar formats announce in extra members is skipped.
"""

import tarfile
import zlib

from vitnp.data.idx import PIECE, open_unpacked
from vitnp.errors import Error

BLOCK = tarfile.BLOCKSIZE
WITHOUT_DATA = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE,
                tarfile.BLKTYPE, tarfile.FIFOTYPE)


def read_members(path, wanted, max_bytes):
    """Return {name: bytearray} of the files in an archive, packed with gzip or not.

    wanted, max_bytes, errors: see each_member.
    """
    return dict(each_member(path, wanted, max_bytes))


def each_member(path, wanted, max_bytes):
    """Yield (name, bytearray) of the files in an archive, packed with gzip or not, one by one.

    wanted: the names to yield, of which those that are there are; max_bytes: where reading stops,
    in bytes unpacked, all members and headers together. Raises Error for a damaged or longer
    archive, and where a wanted member is there twice or is no file.
    """
    seen = set()
    try:
        with open_unpacked(path) as stream:
            while (header := read_header(stream, path)) is not None:
                size = 0 if header.type in WITHOUT_DATA else header.size
                if stream.tell() + size > max_bytes:
                    raise Error(f"{path} announces {size} bytes for its member {header.name!a}, "
                                f"but is read to {max_bytes} bytes only, unpacked")
                name = header.name.removeprefix("./")
                if name in wanted:
                    check_member(header, name in seen, path)
                    seen.add(name)
                    yield name, read_data(stream, size, path)
                    skip(stream, -size % BLOCK, path)
                else:
                    skip(stream, size + -size % BLOCK, path)
            # To its end, because only there gzip finds that a byte was wrong.
            while stream.read(PIECE):
                if stream.tell() > max_bytes:
                    raise Error(f"{path} holds more than {max_bytes} bytes, unpacked")
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise Error(f"{path} cannot be read ({reason}), but a whole archive, .tar or .tar.gz, "
                    "was expected") from None


def read_header(stream, path):
    """Return the TarInfo in the next block of the stream, or None at the archive's end."""
    block = stream.read(BLOCK)
    if not block.strip(b"\0"):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, OverflowError) as error:
        raise Error(f"{path} has a damaged header at byte {stream.tell() - len(block)} of the "
                    f"archive ({error})") from None
    if header.size < 0:
        raise Error(f"{path} announces {header.size} bytes for its member {header.name!a}")
    return header


def check_member(header, is_there, path):
    """Raise Error unless a wanted member is a plain file and the first one of its name."""
    if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise Error(f"the member {header.name!a} of {path} is no plain file but of type "
                    f"{header.type!r}; links and folders are not followed")
    if is_there:
        raise Error(f"{path} holds the member {header.name!a} twice")


def read_data(stream, size, path):
    """Return the next `size` bytes of the stream; memory grows with what is really there."""
    data = bytearray()
    while len(data) < size:
        piece = stream.read(min(PIECE, size - len(data)))
        if not piece:
            raise Error(f"{path} ends inside a member, {size - len(data)} bytes too early")
        data += piece
    return data


def skip(stream, size, path):
    """Read over the next `size` bytes of the stream."""
    while size > 0:
        piece = stream.read(min(PIECE, size))
        if not piece:
            raise Error(f"{path} ends inside a member, {size} bytes too early")
        size -= len(piece)
