"""Whether picture files can be read: quickly, from how they begin and end, or by decoding them."""

import os

import numpy as np

from vitnp.common.progress import Phase
from vitnp.data import picture
from vitnp.errors import Error

# What a whole file of a format ends in; formats that are not listed are decoded
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB\x60\x82", "GIF": b";"}
FEW = 2_000         # files that are looked at quicker than processes start
AT_ONCE = 256
MOST_NAMED = 10


def check(paths, decoders, whole=False):
    """Return (sizes, complaints): an array (files, 2) of width and height, and path → sentence.

    whole: decode every file; else only those whose beginning or end is not as it should be.
    """
    paths, found = list(paths), []
    calls = [(paths[start:start + AT_ONCE], whole) for start in range(0, len(paths), AT_ONCE)]
    name = "reading pictures" if whole else "looking at the pictures' headers"
    alone = decoders.workers <= 1 or (len(paths) < FEW and not whole)
    results = (look_at(*call) for call in calls) if alone else decoders.each(look_at, calls)
    with Phase(name, "pictures", len(paths)) as shown:
        for looked in results:
            found += looked
            shown.update(len(looked))
    complaints = {path: sentence for path, (_, sentence) in zip(paths, found, strict=True)
                  if sentence}
    sizes = [size for size, _ in found if size]
    return np.array(sizes, np.int64).reshape(len(sizes), 2), complaints


def refuse(complaints, data_dir):
    """Raise an Error that names the files which cannot be read, if there are any."""
    if not complaints:
        return
    shown = "; ".join(list(complaints.values())[:MOST_NAMED])
    more = len(complaints) - MOST_NAMED
    shown += f"; and {more:,} more" if more > 0 else ""
    raise Error(f"{shown}. Mend or remove {'them' if len(complaints) > 1 else 'it'}; python -m "
                f"vitnp.data check {os.fspath(data_dir)} reads all pictures and lists the bad ones")


def describe(sizes):
    """Return a line about the sizes (files, 2) of pictures."""
    areas = sizes.prod(axis=1)
    kinds, counts = np.unique(sizes, axis=0, return_counts=True)
    smallest, largest = sizes[areas.argmin()], sizes[areas.argmax()]
    if len(kinds) == 1:
        return f"sizes: all {words(smallest)}"
    common = kinds[counts.argmax()]
    return (f"sizes: from {words(smallest)} to {words(largest)}, most often {words(common)} "
            f"({counts.max():,} pictures)")


def words(size):
    """Return a size such as "500 x 375"."""
    return f"{size[0]} x {size[1]}"


def look_at(paths, whole):
    """Return [((width, height), None)] or [(None, sentence)] of each file."""
    found = []
    for path in paths:
        try:
            found.append((size_of(path, whole), None))
        except Error as error:
            found.append((None, str(error)))
    return found


def size_of(path, whole=False):
    """Return (width, height) of a picture as its file announces it, or raise Error.

    The file is decoded where it does not end as its format does, and where `whole` is true.
    """
    from PIL import Image

    size = None
    try:
        formats = picture.known_formats(path)
        with picture.without_warnings(), Image.open(path, formats=formats) as file:
            size, usual = file.size, file.mode not in ("I", "F")
        picture.check_size(*size)
        whole = whole or not usual or not ends_well(path, file.format)
    except Exception:  # noqa: BLE001  what is wrong is said by picture.load
        whole = True
    if whole:
        picture.load(path)
    return size


def ends_well(path, form):
    """Tell whether a file ends as those of its format do."""
    with open(path, "rb") as file:
        start = file.read(8)
        file.seek(-min(8, os.path.getsize(path)), os.SEEK_END)
        end = file.read()
        if form == "WEBP":
            return int.from_bytes(start[4:8], "little") + 8 == file.tell()
    return form in ENDS and end.endswith(ENDS[form])
