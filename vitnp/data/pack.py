"""A folder of pictures, resized once, as rows of pixels in one file that is mapped into memory.

A pack is a folder with `pixels`, the pictures one after another; `crcs`, four bytes for each of
them; and `pack.json.gz`, which names them and is written last. Until then the first two end in
.part, and `list.json.gz` has the names that they are made for.
"""

import itertools
import json
import math
import os
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from vitnp.common.files import locked, read_packed_json, refusing, write_packed_json
from vitnp.common.progress import Phase
from vitnp.data import fingerprint, parts, scan
from vitnp.data.pictures import Decoders
from vitnp.data.preprocess import Preprocess
from vitnp.errors import Error

INDEX, LIST, PIXELS, CRCS = "pack.json.gz", "list.json.gz", "pixels", "crcs"
CURE = "remove the folder, and pack again"
AT_ONCE = 256       # pictures that are decoded, written and synced together


@dataclass(frozen=True)
class Packed:
    """Rows of a pack that read like a uint8 array (count, size, size, 3), as Pictures do.

    Each row that is read is checked by its crc; a wrong one raises Error.
    """

    pixels: np.ndarray      # of all rows, mapped
    crcs: np.ndarray
    rows: np.ndarray
    path: str

    @property
    def shape(self):
        """The shape of these rows."""
        return (len(self.rows), *self.pixels.shape[1:])

    ndim, dtype = 4, np.dtype(np.uint8)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, key):
        """Return the chosen images, uint8 (..., size, size, 3)."""
        chosen = self.rows[key]
        images = self.pixels[chosen]
        flat = images.reshape(-1, *self.shape[1:])
        for row, image in zip(np.ravel(chosen), flat, strict=True):
            if zlib.crc32(image) != self.crcs[row]:
                raise Error(f"{self.path} is damaged at picture {row}: its pixels are not those "
                            "that were packed; pack again")
        return images


@dataclass(frozen=True)
class Pack:
    """What lies in a pack: the Scan of the folder it was made of, whose paths are rows."""

    found: scan.Scan
    pixels: np.ndarray
    crcs: np.ndarray
    path: str

    def images(self, rows):
        """Return some rows as Packed."""
        return Packed(self.pixels, self.crcs, np.array(rows, np.int64), self.path)


def is_pack(folder):
    """Tell whether a folder is a pack, finished or not."""
    return any((Path(folder) / name).exists() for name in (INDEX, LIST))


def side_of(folder):
    """Return the side of the pictures in a pack."""
    return read(folder).pixels.shape[1]


def read(folder, preprocess=None):
    """Return the Pack in a folder. Raises Error where it is damaged, or not packed to its end.

    preprocess: how the pictures must have been read, None for any way.
    """
    folder = Path(folder)
    if not (folder / INDEX).exists():
        raise Error(f"{folder} is not packed to its end; the command that packs it goes on with it")
    index = read_index(folder / INDEX)
    found, way = scan_of(index), Preprocess(**index["way"])
    count = len(rows_of(found))
    try:
        pixels = np.memmap(folder / PIXELS, np.uint8, "r", shape=(count, *way.shape))
        crcs = np.fromfile(folder / CRCS, "<u4")
    except (OSError, ValueError) as error:
        raise Error(f"{folder} is damaged: it is no whole pack ({error}); {CURE}") from None
    if len(crcs) != count or os.path.getsize(folder / PIXELS) != pixels.nbytes or (
            zlib.crc32(crcs.tobytes()) != index.get("crc")):
        raise Error(f"{folder} is damaged: its files do not belong together; {CURE}")
    if preprocess and way != neutral(preprocess):
        raise Error(f"{folder} holds pictures of {words(way)}, but {words(preprocess)} are needed; "
                    f"pack again with {as_options(preprocess)}, or leave out --image-size")
    return Pack(found, pixels, crcs, os.fspath(folder / PIXELS))


def check(packed):
    """Raise Error unless all pixels of a Pack are those that were packed."""
    images = packed.images(np.arange(len(packed.crcs)))
    with Phase("checking", "pictures", len(images)) as shown:
        for start in range(0, len(images), AT_ONCE):
            shown.update(len(images[start:start + AT_ONCE]))


def read_index(path):
    """Return the content of pack.json.gz or list.json.gz, or raise Error."""
    index = fingerprint.checked(read_packed_json(path, CURE), path, CURE)
    try:
        Preprocess(**index["way"])
        dict(index["folders"])
    except (KeyError, TypeError, ValueError):
        raise Error(f"{path} is damaged: it does not tell how the pictures were read; "
                    f"{CURE}") from None
    return index


def neutral(preprocess):
    """Return a Preprocess without the scale, which is not packed."""
    middle = (0.5,) * preprocess.channels
    return replace(preprocess, mean=middle, std=middle)


def words(way):
    """Return how a Preprocess makes pixels."""
    height, width = way.size
    cut = f", cut from {' x '.join(map(str, way.resize))}" if way.resize else ""
    kept = ", in their proportions" if way.keep_ratio else ""
    return f"{height} x {width} pixels ({way.resample}{cut}{kept})"


def as_options(way):
    """Return the options of the command that packs in this way."""
    options = f"--image-size {way.size[0]} --resample {way.resample}"
    options += f" --resize {way.resize[0]}" if way.resize else ""
    options += " --keep-ratio" if way.keep_ratio else ""
    return options + (f" --rounding {way.rounding}" if way.rounding != "floor" else "")


def scan_of(index):
    """Return the Scan that an index describes; the paths of its files are rows."""
    numbers, root = itertools.count(), Path(index["root"])
    parts_found = {part: {name: [scan.Found(next(numbers), *file) for file in files]
                          for name, files in classes.items()}
                   for part, classes in index["pictures"].items()}
    return scan.Scan(root, parts_found, {part: root / name
                                         for part, name in index["folders"].items()})


def rows_of(found):
    """Return (Found, whether it is trained on) of all files of a Scan, in the order of the rows."""
    trained = parts.divide(found, evaluating=True, unknown=False)["train"]
    drafted = {file.name for files in trained.values() for file in files}
    return [(file, file.name in drafted) for file in found.files()]


def write(data_dir, out, preprocess, workers):
    """Pack a folder of pictures, or go on where that was stopped; return how many there are.

    preprocess: the Preprocess that says how they are resized and cut. Those to train on are
    decoded by draft, as for training. Raises Error for a picture that cannot be read, and where
    `out` holds something else or cannot be written.
    """
    found, out = scan.scan(data_dir, training=False), Path(out)
    folders = {part: os.path.relpath(path, found.root) for part, path in found.folders.items()}
    index = fingerprint.of(found.root, found.parts) | {
        "way": asdict(way := neutral(preprocess)), "folders": folders}
    rows = rows_of(found)
    if (out / INDEX).exists():
        if read_index(out / INDEX) | {"crc": None} != as_read(index) | {"crc": None}:
            raise Error(f"{out} is the pack of other pictures, or of another size; name another "
                        "folder, or remove it")
        return len(rows)
    with refusing(f"{out} cannot be written", "the same command goes on when that is mended"):
        if out.exists() and not is_pack(out) and any(out.iterdir()):
            raise Error(f"the folder {out} is not empty; name another one")
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{PIXELS}.part").touch()
        with locked(out / f"{PIXELS}.part", f"another process is packing to {out}; wait for it, or "
                    "stop it first"):
            done = begin(out, index, rows)
            crc = append(out, rows[done:], len(rows), way, workers)
        for name in (PIXELS, CRCS):
            os.replace(out / f"{name}.part", out / name)
        write_packed_json(out / INDEX, index | {"crc": crc})
        (out / LIST).unlink()
    return len(rows)


def as_read(index):
    """Return an index as it is read back from its file."""
    return json.loads(json.dumps(index))


def begin(out, index, rows):
    """Return how many rows of the .part files are whole and still wanted, and cut off the rest."""
    before, paths = [], [out / f"{name}.part" for name in (PIXELS, CRCS)]
    way = Preprocess(**index["way"])
    if (out / LIST).exists():
        kept = read_index(out / LIST)
        if kept["root"] == index["root"] and Preprocess(**kept["way"]) == way:
            before = rows_of(scan_of(kept))
    same = 0
    for (old, was_drafted), (new, drafted) in zip(before, rows, strict=False):
        if (old.name, old.size, was_drafted) != (new.name, new.size, drafted):
            break
        same += 1
    lengths = (math.prod(way.shape), 4)
    for path, length in zip(paths, lengths, strict=True):
        same = min(same, path.stat().st_size // length if path.exists() else 0)
    for path, length in zip(paths, lengths, strict=True):
        with open(path, "ab") as file:
            file.truncate(same * length)
    write_packed_json(out / LIST, index)
    return same


def append(out, rows, total, way, workers):
    """Append rows to the .part files, and return the crc of all crcs."""
    with (open(out / f"{PIXELS}.part", "ab") as pixels, open(out / f"{CRCS}.part", "ab") as crcs,
          Decoders(workers) as decoders,
          Phase("packing", "pictures", total, total - len(rows)) as shown):
        for start in range(0, len(rows), AT_ONCE):
            files, drafted = zip(*rows[start:start + AT_ONCE], strict=True)
            images = decoders.decode([file.path for file in files], way, list(drafted))
            # The crcs last, so that what has one is whole
            for file, data in ((pixels, images), (crcs, np.array(
                    [zlib.crc32(image) for image in images], "<u4"))):
                file.write(data.tobytes())
                file.flush()
                os.fsync(file.fileno())
            shown.update(len(files))
    return zlib.crc32((out / f"{CRCS}.part").read_bytes())
