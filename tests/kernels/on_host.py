"""CUDA kernels on a machine without a GPU: a C++ compiler makes functions of them.

RawModule is CuPy's, for the arrays of strict_cupy. It also sees to what CuPy leaves to the caller:
the number and types of the arguments, and that arrays have no gaps.
"""

import ctypes
import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import strict_cupy

from vitnp import kernels
from vitnp.kernels import products

SHIM = Path(__file__).with_name("cuda_on_host.h")
COMPILER = shutil.which("g++")
KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
TYPES = {"float": np.float32, "double": np.float64, "long long": np.int64, "bool": np.bool_,
         "unsigned long long": np.uint64, "unsigned short": np.uint16, "Places": np.void}


def use(monkeypatch):
    """Let the fused layers run on strict_cupy: kernels by a C++ compiler, products by NumPy."""
    monkeypatch.setattr(strict_cupy, "RawModule", RawModule, raising=False)
    monkeypatch.setattr(products, "product_on_gpu", lambda a, b, scale: strict_cupy.ndarray(
        products.product(a._host, b._host, scale)))
    monkeypatch.setattr(kernels, "address", lambda array: array._host.ctypes.data)


class RawModule:
    """CuPy's RawModule, as far as kernels.py needs it."""

    def __init__(self, code):
        """Keep the source; it is compiled at the first use, as in CuPy."""
        self.code = code

    def get_function(self, name):
        """Return a function of grid, block and arguments that runs a kernel."""
        parameters = dict(KERNEL.findall(self.code))[name]
        ctype = re.search(r"typedef (\w+) T;", self.code)[1]
        types = [split_type(parameter, ctype) for parameter in parameters.split(",")]
        function = getattr(library(self.code), f"run_{name}")

        def run(grid, block, arguments):
            assert len(arguments) == len(types), f"{name} takes {len(types)} arguments"
            kept = [convert(argument, *kind)
                    for argument, kind in zip(arguments, types, strict=True)]
            places = (ctypes.c_void_p * len(kept))(*[array.ctypes.data for array in kept])
            function(three(grid), three(block), places)

        return run


def split_type(parameter, ctype):
    """Return (NumPy's type, whether it is a pointer)."""
    words = parameter.replace("const", "").replace("*", "").split()[:-1]
    return TYPES[" ".join(ctype if word == "T" else word for word in words)], "*" in parameter


def convert(argument, kind, pointer):
    """Return a NumPy array whose bytes are those of an argument, after checking it."""
    if not pointer:
        assert type(argument) is kind, f"{type(argument)} for {kind}"
        return np.array(argument)
    assert type(argument) is strict_cupy.ndarray and argument.dtype == kind
    assert argument.flags.c_contiguous
    return np.array(argument._host.ctypes.data, np.uint64)


def three(sizes):
    """Return a grid or block, a tuple of at most two numbers, as an array of unsigned ints."""
    assert 1 <= len(sizes) <= 2 and all(type(size) is int for size in sizes)
    return (ctypes.c_uint * 2)(*sizes, *[1] * (2 - len(sizes)))


def host_source(code):
    """Return the source with the shim before it, and behind it a function run_NAME a kernel."""
    functions = [f'extern "C" void run_{name}(const unsigned* grid, const unsigned* block, '
                 f"void** arguments) {{ launch(true, grid, block, {name}, arguments); }}"
                 for name, _ in KERNEL.findall(code)]
    return "\n".join([f'#include "{SHIM}"', code, *functions])


@functools.cache
def library(code):
    """Return the compiled library of a CUDA source."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.cpp"
        path.write_text(host_source(code))
        # Fortified functions take the jump from one thread's stack to another's for a mistake
        subprocess.run([COMPILER, "-std=c++17", "-O1", "-Wall", "-Werror", "-Wdouble-promotion",
                        "-U_FORTIFY_SOURCE", "-shared", "-fPIC", path, "-o",
                        path.with_suffix(".so")], check=True)
        return ctypes.CDLL(str(path.with_suffix(".so")))
