"""Files of tensors as others write them, read one tensor at a time."""

import contextlib
import json
import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vitnp.common import npz
from vitnp.common.files import replacing
from vitnp.errors import Error

TYPES = {"F16": np.dtype(np.float16), "F32": np.dtype(np.float32), "F64": np.dtype(np.float64),
         "BF16": np.dtype(np.float32)}      # NumPy has no bfloat16, the upper half of a float32
INDEX = ".index.json"       # ends the name of the file that says in which file each tensor is
LARGEST_RATIO = 50      # weights hardly shrink: what unpacks to more times its size is a bomb


class Source(NamedTuple):
    """A file of tensors: the shape and type that it announces for each, and what reads one.

    shapes: name → shape; types: name → NumPy's type, or its name where NumPy has none;
    get: name → array.
    """

    path: str
    shapes: dict
    types: dict
    get: Callable


@contextlib.contextmanager
def of_npz(path):
    """Yield the Source of an .npz file. Raises Error, while it is used too, for a damaged one."""
    with npz.reading(path):
        archive = zipfile.ZipFile(path)
    with archive:
        with npz.reading(path):
            total = sum(member.file_size for member in archive.infolist())
            if total > LARGEST_RATIO * os.path.getsize(path):
                raise Error(f"{path} would unpack to {total} bytes, more than {LARGEST_RATIO} "
                            "times its size, which weights never do")
            headers = {name: npz.read_shape(archive, name, f"{name} in {path}")
                       for name in npz.names(archive)}

        def get(name):
            with npz.reading(path):
                return npz.read_array(archive, name, f"{name} in {path}")

        yield Source(path, {name: shape for name, (shape, _) in headers.items()},
                     {name: dtype for name, (_, dtype) in headers.items()}, get)


@contextlib.contextmanager
def of_safetensors(path):
    """Yield the Source of a safetensors file, or of the files that an index names.

    Raises Error for a damaged one.
    """
    if not str(path).endswith(INDEX):
        yield of_one(path)
        return
    parts = {place: of_one(place) for place in shards(path)}
    where = {name: place for place, part in parts.items() for name in part.shapes}
    shapes, types = ({name: getattr(parts[place], field)[name] for name, place in where.items()}
                     for field in ("shapes", "types"))
    yield Source(path, shapes, types, lambda name: parts[where[name]].get(name))


def shards(path):
    """Return the paths of the files that an index names, or raise Error."""
    try:
        places = set(json.loads(Path(path).read_bytes())["weight_map"].values())
        if not places or any(Path(place).name != place for place in places):
            raise ValueError("a file in another folder")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Error(f"{path} is damaged: it does not say which files the tensors are in") from None
    places = [Path(path).with_name(place) for place in sorted(places)]
    missing = [place.name for place in places if not place.is_file()]
    if missing:
        raise Error(f"{path} names {len(places)} files, but there is no {missing[0]} beside it; "
                    "load it again")
    return places


def of_one(path):
    """Return the Source of one safetensors file."""
    with opened(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
        types = {name: TYPES.get(part.get_dtype(), part.get_dtype())
                 for name, part in slices.items()}

    return Source(path, shapes, types, partial(read_tensor, path))


def metadata(path):
    """Return the metadata of a safetensors file, a dict of strings."""
    with opened(path) as file:
        return file.metadata() or {}


def read_tensor(path, name):
    """Return one tensor of a safetensors file.

    The library maps the file into memory; opened again for each tensor, it holds one at a time.
    """
    with opened(path) as file:
        if file.get_slice(name).get_dtype() != "BF16":
            return file.get_tensor(name)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        said = json.loads(file.read(length))[name]
        start, end = said["data_offsets"]
        file.seek(8 + length + start)
        upper = np.frombuffer(file.read(end - start), "<u2")
    return (upper.astype(np.uint32) << 16).view(np.float32).reshape(said["shape"])


@contextlib.contextmanager
def opened(path):
    """Yield a safetensors file, and turn whatever is wrong with it into an Error."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            yield file
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise Error(f"{path} is damaged or no safetensors file ({error})") from None


def write_npz(path, tensors):
    """Write tensors, a dict name → array, as an .npz file. Raises Error where that fails."""
    with replacing(path) as aside, open(aside, "wb") as file:
        np.savez(file, **tensors)


def write_safetensors(path, tensors, metadata, previous=None):
    """Write tensors, a dict name → array, and metadata, a dict of strings, as safetensors.

    previous: see files.replacing. Raises Error where the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    with replacing(path, previous) as aside:
        aside.touch()
        mode = aside.stat().st_mode     # save_file lets the owner alone read its files
        try:
            save_file(tensors, aside, metadata)
        except SafetensorError as error:
            raise Error(f"{path} cannot be written ({error})") from None
        aside.chmod(mode)
