"""How a kernel is called: each argument becomes what the kernel's declaration in CUDA says.

CuPy hands over the bytes as they are. A NumPy number of 8 bytes for a parameter of 4 would shift
all that follow it, and an array with gaps or of another type would be read as if it had none.
"""

import functools
import re

import numpy as np

from vitnp.backend import get_xp
from vitnp.kernels.cuda import LANES, PLACES, SOURCE, WARPS, source

CTYPES = {"float32": "float", "float64": "double"}
DTYPES = {"bool": np.bool_, "long long": np.int64, "unsigned long long": np.uint64,
          "unsigned short": np.uint16, "float": np.float32, "Places": PLACES}
KINDS = {"b": (bool, np.bool_), "i": (int, np.integer), "u": (int, np.integer),
         "f": (int, float, np.integer, np.floating), "V": np.void}
DECLARATION = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')


@functools.cache
def kernel(xp, name, dtype):
    """Return a compiled kernel; CuPy compiles at the first use and keeps the result on disk."""
    return xp.RawModule(code=source(CTYPES[dtype])).get_function(name)


@functools.cache
def parameters(name, dtype):
    """Return (name, dtype, whether it is an array's) for each parameter of a kernel."""
    found = []
    for text in dict(DECLARATION.findall(SOURCE))[name].split(","):
        *words, label = text.replace("const", "").replace("*", " * ").split()
        kind = " ".join(word for word in words if word != "*")
        found.append((label, np.dtype(DTYPES.get(kind, dtype)), "*" in words))
    return found


def launch(name, grid, *arguments, like=None):
    """Run a kernel on a grid of blocks.

    arguments: arrays and numbers; like: an array of T's, by default the first of them. Numbers,
    Python's or NumPy's, get the type that the kernel declares. Raises TypeError for what it does
    not take: other arrays, arrays with gaps, a fraction for a whole number.
    """
    like = arguments[0] if like is None else like
    xp, dtype = get_xp(like), like.dtype.name
    typed = [checked(name, *parameter, value, type(like)) for parameter, value in
             zip(parameters(name, dtype), arguments, strict=True)]
    kernel(xp, name, dtype)(grid, (LANES, WARPS), tuple(typed))


def checked(name, label, dtype, is_array, value, array_type):
    """Return the argument for a kernel's parameter, of its type, or raise TypeError."""
    if is_array:
        if type(value) is array_type and value.dtype == dtype and value.flags.c_contiguous:
            return value
    elif isinstance(value, KINDS[dtype.kind]) and (
            dtype == np.bool_ or not isinstance(value, bool)):
        return value if dtype.kind == "V" else dtype.type(value)
    raise TypeError(f"the kernel {name} takes {'an array without gaps' if is_array else 'a number'}"
                    f" of {dtype} as {label}, not {type(value).__name__} "
                    f"{getattr(value, 'dtype', '')}")


def blocks(count, size):
    """Return how many blocks of a size hold a count."""
    return -(-count // size)


def numbers(count):
    """Return the grid with a thread for each of `count` numbers."""
    return (blocks(count, LANES * WARPS),)


def contiguous(*arrays):
    """Return the arrays as kernels read them, without gaps; copied only where they have some."""
    return [get_xp(array).ascontiguousarray(array) for array in arrays]
