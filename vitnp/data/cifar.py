"""CIFAR-10 and CIFAR-100 from their binary versions, in the published archive or unpacked.

A record is its labels, one byte each (CIFAR-10: the class; CIFAR-100: the coarse class, then the
fine one, which is used), and 3,072 pixels: the red plane, the green, the blue, row by row.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitnp.data.dataset import Dataset, check_class_names, check_part
from vitnp.data.tar import read_data, read_members
from vitnp.errors import Error

SIDE = 32
PIXEL_BYTES = 3 * SIDE * SIDE
MAX_BYTES = 2**29  # of all files together, which have 184 million


@dataclass(frozen=True)
class Layout:
    """Which files a set has. class_names: used where names_file is not there."""

    archive: str
    folder: str
    train_files: tuple[str, ...]
    test_file: str
    names_file: str
    label_bytes: int
    class_names: tuple[str, ...]

    @property
    def files(self):
        """The names of all files with images."""
        return (*self.train_files, self.test_file)


LAYOUTS = {
    "cifar10": Layout(
        "cifar-10-binary.tar.gz", "cifar-10-batches-bin",
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin",
        "batches.meta.txt", 1,
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")),
    "cifar100": Layout(
        "cifar-100-binary.tar.gz", "cifar-100-binary", ("train.bin",), "test.bin",
        "fine_label_names.txt", 2, tuple(str(label) for label in range(100))),
}


def load(name, data_dir):
    """Return the Dataset "cifar10" or "cifar100"; images are (count, 32, 32, 3), RGB.

    data_dir: the folder that holds the archive or the folder unpacked from it, or that folder
    itself; what is unpacked is preferred. Raises Error for missing and damaged files.
    """
    layout = LAYOUTS[name]
    source, files = read_files(layout, data_dir)
    class_names = layout.class_names
    if layout.names_file in files:
        class_names = parse_names(files.pop(layout.names_file), len(class_names),
                                  source / layout.names_file)
    missing = [file_name for file_name in layout.files if file_name not in files]
    if missing:
        raise Error(f"{source} holds no file {', '.join(missing)}; the binary version of {name} "
                    f"has the files {', '.join(layout.files)}")
    train = join_parts([parse(files.pop(file_name), layout, class_names, source / file_name)
                        for file_name in layout.train_files])
    test = join_parts([parse(files.pop(layout.test_file), layout, class_names,
                             source / layout.test_file)])
    return Dataset(name, *train, *test, class_names)


def read_files(layout, data_dir):
    """Return (the folder or archive that was found, {file name: bytearray})."""
    data_dir = Path(data_dir)
    names = {*layout.files, layout.names_file}
    for folder in (data_dir / layout.folder, data_dir):
        if any(os.path.exists(folder / name) for name in layout.files):
            return folder, {name: read_file(folder / name) for name in names
                            if os.path.exists(folder / name)}
    archive = data_dir / layout.archive
    if os.path.isfile(archive):
        members = read_members(archive, {f"{layout.folder}/{name}" for name in names}, MAX_BYTES)
        return archive, {name.split("/")[-1]: data for name, data in members.items()}
    raise Error(f"{data_dir} holds neither the archive {layout.archive} nor the folder "
                f"{layout.folder} unpacked from it; --data-dir names the folder that does")


def read_file(path):
    """Return the bytes of a file, at most MAX_BYTES of them, or raise Error."""
    if not os.path.isfile(path):
        # Also a pipe, which open() would wait for without end.
        raise Error(f"{path} is a folder or a device, but a file was expected")
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_BYTES:
                raise Error(f"{path} has {size} bytes, but at most {MAX_BYTES} are read")
            return read_data(stream, size, path)
    except OSError as error:
        raise Error(f"{path} cannot be read ({error.strerror or error})") from None


def parse_names(data, count, source):
    """Return the class names in a file that has one a line, `count` of them."""
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise Error(f"{source} is no text, but holds the names of the classes") from None
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) != count:
        raise Error(f"{source} holds {len(names)} class names, but there are {count} classes")
    check_class_names(names, source)
    return names


def parse(data, layout, class_names, source):
    """Return images, a view (count, 32, 32, 3) of the records in data, and int64 labels (count,).

    Raises Error, naming the source, for data that are no whole records or have other labels.
    """
    record_bytes = layout.label_bytes + PIXEL_BYTES
    if len(data) % record_bytes:
        raise Error(f"{source} has {len(data)} bytes, but records of {record_bytes} bytes were "
                    "expected; the file is cut, or is not of the binary version")
    records = np.frombuffer(data, np.uint8).reshape(-1, record_bytes)
    planes = records[:, layout.label_bytes:].reshape(-1, 3, SIDE, SIDE)
    images = planes.transpose(0, 2, 3, 1)  # (count, 32, 32, 3)
    labels = records[:, layout.label_bytes - 1].astype(np.int64)
    check_part(images, labels, class_names, source, source)
    return images, labels


def join_parts(parts):
    """Return the images and labels of several parts, one after another, in the order of memory."""
    labels = np.concatenate([labels for _, labels in parts])
    images = np.empty((len(labels), SIDE, SIDE, 3), np.uint8)
    # Not concatenate(), which would keep the planes apart in memory.
    np.concatenate([images for images, _ in parts], out=images)
    return images, labels
