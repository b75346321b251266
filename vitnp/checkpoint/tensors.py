"""Files of tensors as others write them, read one tensor at a time."""

import contextlib
import os
import zipfile
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from vitnp.common import npz
from vitnp.common.files import replacing
from vitnp.errors import Error

TYPES = {"F16": np.dtype(np.float16), "F32": np.dtype(np.float32), "F64": np.dtype(np.float64)}
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
    """Yield the Source of a safetensors file. Raises Error for a damaged one."""
    with opened(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
        types = {name: TYPES.get(part.get_dtype(), part.get_dtype())
                 for name, part in slices.items()}

    yield Source(path, shapes, types, partial(read_tensor, path))


def read_tensor(path, name):
    """Return one tensor of a safetensors file.

    The library maps the file into memory; opened anew for each tensor, it holds one at a time.
    """
    with opened(path) as file:
        return file.get_tensor(name)


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
