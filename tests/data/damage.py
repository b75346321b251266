"""Read many damaged files in a process with little memory; started by test_damage.py.

Usage: damage.py FOLDER SEED COUNT. Each file must give an Error that names it in one sentence, or
what was saved (where a checksum guards it), or at least images and labels that fit together.
Prints what became of the files of each kind, as JSON.
"""

import gzip
import json
import random
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path

import cifar_files
import npz_files
import numpy as np
import picture_files
from idx_files import idx_bytes

from vitnp.data import arrays, cifar, idx, picture
from vitnp.errors import Error

ROOM = 300 * 2**20  # bytes of address space beyond what the process has at its start
BATCH = "cifar-10-batches-bin/data_batch_1.bin"
HUGE = (0, 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64)
TYPES = ("|u1", "<i8", ">i2", "|b1", "<f4", "|O", "<U3", "<U99999999", "|S5", "<M8[s]", "|V9",
         [("a", "<i4")], "", "nonsense")


def limit_memory():
    """Allow this process ROOM bytes more than it has, where the system can."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def cut_or_flip(data, numbers):
    """Return the bytes cut off, flipped, overwritten, doubled or moved at random places."""
    data = bytearray(data)
    place = numbers.randrange(len(data) + 1)
    length = numbers.choice((1, 4, 16, 200))
    kind = numbers.choice(("cut", "flip", "flip", "flip", "fill", "insert", "remove", "magic"))
    if kind == "cut":
        return bytes(data[:place])
    if kind == "flip":
        for _ in range(numbers.randint(1, 4)):
            data[numbers.randrange(len(data))] ^= 1 << numbers.randrange(8)
    elif kind == "fill":
        data[place:place + length] = numbers.choice((b"\0", b"\xff", b"9")) * length
    elif kind == "insert":
        data[place:place] = numbers.randbytes(length)
    elif kind == "remove":
        del data[place:place + length]
    else:
        data[:4] = numbers.choice((b"PK\x03\x04", b"\x1f\x8b\x08\0", b"\x93NUM", b"\0\0\x08\x03",
                                   b"\x89PNG", b"\xff\xd8\xff\xe0", b"GIF8", b"RIFF", b"II*\0"))
    return bytes(data)


def idx_file(numbers, folder, packed):
    """Damage an idx file, or give it a header that announces anything."""
    pixels = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
    data = idx_bytes(pixels)
    if numbers.random() < 0.3:
        counts = [min(numbers.choice(HUGE), 2**32 - 1) for _ in range(numbers.randint(0, 5))]
        data = bytes([0, 0, numbers.choice((8, 8, 9, 13)), len(counts)]) + b"".join(
            count.to_bytes(4, "big") for count in counts) + pixels.tobytes()
    elif not packed:
        data = cut_or_flip(data, numbers)
    if packed and numbers.random() < 0.2:
        data += bytes(2**24)                                # a bomb
    if packed:
        data = cut_or_flip(gzip.compress(data, 1), numbers)
    path = folder / "images"
    path.write_bytes(data)
    images = idx.read(path)
    return path, not packed or np.array_equal(images, pixels) or images.size in (1, 60)


def cifar_file(numbers, folder, packed):
    """Damage one file of CIFAR-10 or CIFAR-100, or the archive, inside or outside of gzip."""
    name = numbers.choice(("cifar10", "cifar100"))
    files, train_labels, _ = cifar_files.cifar_files(name)
    inside = not packed or numbers.random() < 0.3
    if inside:
        damaged = numbers.choice(sorted(files))
        files[damaged] = cut_or_flip(files[damaged], numbers)
    if packed:
        data = cifar_files.archive_bytes(name, files)
        if numbers.random() < 0.4:
            data, inside = cut_or_flip(gzip.decompress(data), numbers), True
            data = gzip.compress(data, 1)
        elif not inside:
            data = cut_or_flip(data, numbers)
        cifar_files.write_archive(folder, name, data)
    else:
        cifar_files.write_folder(folder / cifar.LAYOUTS[name].folder, files)
    dataset = cifar.load(name, folder)
    same = (dataset.train_labels.tolist() == train_labels
            and np.array_equal(dataset.train_images, cifar_files.PIXELS[:len(train_labels)]))
    return folder, same or (inside and fits_together(dataset))


def tar_file(numbers, folder):
    """Make an archive with members that no reader should believe."""
    member = tarfile.TarInfo(numbers.choice((
        BATCH, "./" + BATCH, "../" + BATCH, "/tmp/" + BATCH, "../../../climbed", "x" * 200)))
    member.size = numbers.choice(HUGE) * numbers.choice((1, 1, -1))
    member.type = numbers.choice((b"0", b"\0", b"1", b"2", b"3", b"5", b"6", b"7", b"x", b"g",
                                  b"L", b"K", b"S", b"Q"))
    member.linkname = numbers.choice(("", "/etc/passwd", "../climbed", BATCH))
    files, _, _ = cifar_files.cifar_files("cifar10")
    rest = gzip.decompress(cifar_files.archive_bytes("cifar10", files))
    data = numbers.choice((b"", b"few bytes", bytes(2**22), rest))
    packed = gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + data + rest, 1)
    cifar_files.write_archive(folder, "cifar10", packed)
    return folder, fits_together(cifar.load("cifar10", folder))


def npz_file(numbers, folder, packed):
    """Damage an .npz file from outside."""
    path = npz_files.write_npz(folder / "a.npz", packed)
    path.write_bytes(cut_or_flip(path.read_bytes(), numbers))
    dataset = arrays.load(path)
    same = all(np.array_equal(np.squeeze(array), npz_files.ARRAYS[name])
               for name, array in vars(dataset).items() if name in npz_files.ARRAYS)
    return path, same


def npy_file(numbers, folder):
    """Put an array into an .npz file whose header, size or way of packing is no good."""
    shape = tuple(numbers.choice((*HUGE, 5, 4, 6, -1)) for _ in range(numbers.randint(0, 5)))
    header = npz_files.described(numbers.choice((shape, (5, 4, 6), (5,))), numbers.choice(TYPES),
                                 numbers.choice((True, False, 7)))
    elements = numbers.choice((b"", bytes(5), bytes(120), bytes(2**22), b"cos\nmkdir\n(S'a'\ntR."))
    data = npz_files.npy_bytes(header, elements, numbers.choice((1, 1, 1, 2, 3)))
    if numbers.random() < 0.3:
        data = cut_or_flip(data, numbers)
    name = numbers.choice((*npz_files.ARRAYS, "class_names", "../../climbed"))
    packed = npz_files.replacing(name, data, numbers.choice((
        zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)))
    if numbers.random() < 0.2:
        packed = npz_files.with_announced_size(packed, min(numbers.choice(HUGE), 2**32 - 1))
    path = folder / "a.npz"
    path.write_bytes(packed)
    return path, fits_together(arrays.load(folder))


def picture_file(numbers, folder):
    """Damage a picture of any format, or let it announce a size that it does not have."""
    form = numbers.choice(tuple(picture_files.SUFFIXES))
    mode = {"GIF": "P", "JPEG": numbers.choice(("RGB", "L", "CMYK")), "BMP": "RGB",
            "PPM": "RGB"}.get(form) or numbers.choice(("RGB", "RGBA"))
    kind = numbers.choice(("plain", "plain", "one", "announcing", "animated", "turned"))
    if kind == "announcing":
        side = numbers.choice((0, 1, 9_000, 50_000))
        options = picture_files.announcing(side, numbers.choice((1, 9_000, 50_000)))
        data = options.get(form, options["PNG"])
    elif kind == "animated":
        data = picture_files.animation_bytes(numbers.choice(("GIF", "WEBP", "PNG", "TIFF")))
    elif kind == "turned":
        data = picture_files.turned_bytes(numbers.randint(0, 9))
    else:
        data = picture_files.picture_bytes(form, mode, (1, 1) if kind == "one" else (13, 9))
    if numbers.random() < 0.8:
        data = cut_or_flip(data, numbers)
    path = folder / f"a{picture_files.SUFFIXES[form]}"
    path.write_bytes(data)
    image = picture.read(path, 4, 6)
    return path, image.shape == (4, 6, 3) and image.dtype == np.uint8


def fits_together(dataset):
    """Tell whether a data set is one, whatever its pixels are."""
    return all(
        images.dtype == np.uint8 and images.ndim == 4 and images.size and len(images) == len(labels)
        and labels.dtype == np.int64 and labels.min() >= 0
        and labels.max() < len(dataset.class_names)
        for images, labels in ((dataset.train_images, dataset.train_labels),
                               (dataset.test_images, dataset.test_labels)))


KINDS = {
    "idx": lambda numbers, folder: idx_file(numbers, folder, False),
    "idx.gz": lambda numbers, folder: idx_file(numbers, folder, True),
    "cifar": lambda numbers, folder: cifar_file(numbers, folder, False),
    "cifar.tar.gz": lambda numbers, folder: cifar_file(numbers, folder, True),
    "tar": tar_file,
    "npz": lambda numbers, folder: npz_file(numbers, folder, False),
    "npz packed": lambda numbers, folder: npz_file(numbers, folder, True),
    "npy": npy_file,
    "picture": picture_file,
    "picture again": picture_file,
}


def one_file(kind, numbers, folder):
    """Return "read" or "refused"; raise what else happens."""
    folder.mkdir()
    try:
        path, is_right = KINDS[kind](numbers, folder)
        assert is_right, f"{path} was read as something else"
        return "read"
    except Error as error:
        sentence = str(error)
        assert str(folder) in sentence and "\n" not in sentence and len(sentence) < 1500, sentence
        return "refused"


def main(folder, seed, count):
    """Damage and read `count` files, one after another, each kind as often as the others."""
    folder = Path(folder)
    picture.read(picture_files_start(folder), 4, 4)         # loads Pillow's formats
    print_outcomes(KINDS, one_file, folder, seed, count)


def print_outcomes(kinds, try_one, folder, seed, count):
    """Print as JSON how many of each kind try_one(kind, numbers, path) returned as what.

    It returns "read" or "refused", or raises, and then the place is printed. Limits the memory.
    """
    limit_memory()
    counts = {kind: {"read": 0, "refused": 0} for kind in kinds}
    for number in range(count):
        kind = tuple(kinds)[number % len(kinds)]
        numbers = random.Random(f"{seed}/{number}")
        try:
            counts[kind][try_one(kind, numbers, folder / f"{number}")] += 1
        except BaseException:
            print(f"at number {number}, {kind}, seed {seed}", file=sys.stderr)
            raise
    print(json.dumps(counts))


def picture_files_start(folder):
    """Return the path of a whole picture, in a format that Pillow loads last."""
    path = folder / "whole.webp"
    path.write_bytes(picture_files.picture_bytes("WEBP"))
    return path


if __name__ == "__main__":
    warnings.simplefilter("error")
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
