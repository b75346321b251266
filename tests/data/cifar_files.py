"""What the tests of CIFAR share: small sets of both layouts, unpacked or in an archive."""

import gzip
import io
import tarfile

import numpy as np

from vitnp.data import cifar

PIXELS = np.random.default_rng(0).integers(0, 256, (13, 32, 32, 3), np.uint8)
NAMES_TEXT = {"cifar10": "".join(f"ten {i}\n" for i in range(10)) + "\n",
              "cifar100": "".join(f"hundred {i}\n" for i in range(100))}


def records(images, labels, label_bytes):
    """Return images (count, 32, 32, 3) and labels as records, byte by byte."""
    data = b""
    for image, label in zip(images, labels, strict=True):
        data += bytes([7] * (label_bytes - 1) + [label])
        data += b"".join(image[:, :, channel].tobytes() for channel in range(3))
    return data


def cifar_files(name):
    """Return ({file name: bytes}, train_labels, test_labels): 2 images a file, 3 to test with.

    The images are PIXELS in the order of the files.
    """
    layout = cifar.LAYOUTS[name]
    labels = [9 - i % 10 for i in range(13)] if name == "cifar10" else list(range(87, 100))
    files, start = {}, 0
    for file_name in layout.files:
        stop = start + (3 if file_name == layout.test_file else 2)
        files[file_name] = records(PIXELS[start:stop], labels[start:stop], layout.label_bytes)
        start = stop
    files[layout.names_file] = NAMES_TEXT[name].encode()
    return files, labels[:start - 3], labels[start - 3:start]


def write_folder(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, data in files.items():
        (folder / file_name).write_bytes(data)
    return folder


def tar_bytes(members, **options):
    """Return a tar archive of (name, bytes) or (TarInfo, bytes)."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", **options) as archive:
        for member, data in members:
            if isinstance(member, str):
                name, member = member, tarfile.TarInfo(member)
                member.name = name
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def archive_bytes(name, files, prefix=""):
    """Return the files as the published archive has them, packed with gzip."""
    folder = cifar.LAYOUTS[name].folder
    members = [(f"{prefix}{folder}/{file_name}", data) for file_name, data in files.items()]
    return gzip.compress(tar_bytes(members), 1, mtime=0)


def write_archive(folder, name, data):
    path = folder / cifar.LAYOUTS[name].archive
    path.write_bytes(data)
    return path
