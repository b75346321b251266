"""A GPU for the real CuPy on a machine without one: `import stand_in` before cupy.

Of CuPy all is real: its arrays, its kernels, its memory pool. What it asks of the runtime, the
driver and cuBLAS is answered by driver.cpp and cublas.cpp, and g++ compiles each kernel for the
host. Not real are cuRAND, CUB's reductions, the speed, races between threads and what lies beyond
float32 in a sum.
"""

import contextlib
import ctypes
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("STAND_IN_CACHE") or
             Path(tempfile.gettempdir()) / f"vitnp-stand-in-{os.getuid()}")
HEADER = "\n".join(path.read_text() for path in (HERE.parent / "kernels" / "cuda_on_host.h",
                                                HERE / "cuda.h")) + "\n"
COMPILER = ["g++", "-std=c++17", "-O1", "-fPIC", "-shared"]

# How the functions of driver.cpp answer those of CuPy's bindings; all others do nothing, or give 0
ANSWERS = {"malloc": "malloc_device", "free": "free_device", "hostAlloc": "malloc_host",
           "freeHost": "free_host", "memset": "set_memory", "memsetAsync": "set_memory",
           "memcpy": "copy", "memcpyAsync": "copy", "deviceSynchronize": "wait",
           "streamSynchronize": "wait", "eventSynchronize": "wait", "eventCreate": "event",
           "eventCreateWithFlags": "event", "getDeviceCount": "one", "ctxGetCurrent": "one",
           "driverGetVersion": "version", "runtimeGetVersion": "version",
           "deviceGetAttribute": "deviceGetAttribute", "moduleLoadData": "load_module",
           "moduleGetFunction": "get_function", "launchKernel": "launch",
           "funcGetAttribute": "function_attribute", "pointerGetMemoryType": "zero"}


def built(name, source, *options):
    """Return the path of a library that g++ makes of a source, once."""
    key = hashlib.sha1(repr((source, options)).encode()).hexdigest()[:16]
    path = CACHE / f"{name}-{key}.so"
    if not path.exists():
        CACHE.mkdir(exist_ok=True, parents=True)
        whole = f"{path}.{os.getpid()}"
        done = subprocess.run([*COMPILER, "-x", "c++", "-", "-o", whole, *options],
                              input=source, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"g++ does not compile {name}: {done.stderr[:3000]}\n{source}")
        os.replace(whole, path)
    return path


def answer(module, driver):
    """Let the functions that CuPy's C code finds in a module of bindings be those of the driver."""
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_New.restype = ctypes.py_object
    api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    for name, capsule in list(module.__pyx_capi__.items()):
        signature = api.PyCapsule_GetName(capsule)
        if b"(" in signature and name not in ("check_status", "getDeviceProperties"):
            others = "nothing" if signature.startswith(b"PyObject") else "zero"
            function = getattr(driver, ANSWERS.get(name, others))
            kept.append((signature, capsule))       # the capsule does not copy its name
            module.__pyx_capi__[name] = api.PyCapsule_New(
                ctypes.cast(function, ctypes.c_void_p), signature, None)


def load_library(name):
    """Stand for the search for NVIDIA's libraries, of which two are needed and there is one."""
    if name in ("nvrtc", "cudart"):
        return find_library(name)
    file = {"cublas": "libcublas.so.12", "curand": "libcurand.so.10", "cufft": "libcufft.so.11",
            "cusolver": "libcusolver.so.11", "cusparse": "libcusparse.so.12"}.get(name)
    if file:
        source = (HERE / "cublas.cpp").read_text() if name == "cublas" else ""
        # The version of each function is the name of its library, as in NVIDIA's
        kept.append(ctypes.CDLL(str(built(name, source, f"-Wl,-soname,{file}",
                                          "-Wl,--default-symver")), mode=ctypes.RTLD_GLOBAL))
    return None


KERNEL = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(")


def compile_for_host(source, options=(), *others, **more):
    """Stand for NVRTC: return the path of the library with a source's kernels."""
    names, code = KERNEL.findall(source), source.replace('extern "C" __global__', "__global__")
    code = code.replace("CUPY_FOR(", "BACKWARDS(")
    code = re.sub(r"extern\s+__shared__\s+(.+?)\s+(\w+)\s*\[\s*\]", r"static \1 \2[6144]", code)
    threads = "true" if "threadIdx" in source else "false"
    code += "".join(f'\nextern "C" void launch_{name}(const unsigned* grid, const unsigned* block, '
                    f"void** arguments) {{ launch({threads}, grid, block, {name}, arguments); }}"
                    for name in names)
    include = Path(sys.modules["cupy"].__file__).parent / "_core" / "include"
    # Fortified functions take the jump from one thread's stack to another's for a mistake
    path = built(names[0] if names else "nothing", HEADER + code, "-w", "-fpermissive",
                 "-U_FORTIFY_SOURCE", "-fsanitize=float-cast-overflow", f"-I{HERE}/include",
                 f"-I{include}", *[option for option in options if option.startswith("-D")])
    return f"{path}\0".encode(), {}


class Generator:
    """Stand for cuRAND's, which is not there: NumPy draws."""

    def __init__(self, seed=None):
        """Start a stream of numbers."""
        self._rng = np.random.default_rng(seed)

    def random(self, size=None, dtype=np.float64):
        """Draw from [0, 1)."""
        return sys.modules["cupy"].asarray(self._rng.random(size, np.dtype(dtype).type))

    def standard_normal(self, size=None, dtype=np.float64):
        """Draw from the normal distribution."""
        return sys.modules["cupy"].asarray(self._rng.standard_normal(size, np.dtype(dtype).type))


def counted(step):
    """Return step() and a Counter of what it made the GPU do."""
    driver.forget()
    result = step()
    return result, Counter(driver.what(i).decode() for i in range(driver.how_many()))


@contextlib.contextmanager
def only_counting():
    """Compute nothing inside the with block: launches are checked and noted."""
    computing = ctypes.c_int.in_dll(driver, "computing")
    computing.value = 0
    try:
        yield
    finally:
        computing.value = 1


def number(name):
    """Return a number of the driver, such as the bytes in use."""
    return ctypes.c_long.in_dll(driver, name).value


def set_number(name, value):
    """Set a number of the driver: bytes_of_gpu, or what it fails_with, and at which launch."""
    ctypes.c_long.in_dll(driver, name).value = value


kept = []
driver = ctypes.PyDLL(str(built("driver", (HERE / "driver.cpp").read_text())),
                      mode=ctypes.RTLD_GLOBAL)
driver.what.restype = ctypes.c_char_p
driver.how_many.restype = ctypes.c_long
sys.setdlopenflags(os.RTLD_LAZY)            # most functions of the libraries are never called

os.environ["CUPY_ACCELERATORS"] = ""        # CUB's reductions are compiled into CuPy
os.environ.setdefault("CUPY_CACHE_DIR", str(CACHE / "cupy"))

from cuda import pathfinder

find_library = pathfinder.load_nvidia_dynamic_lib
pathfinder.load_nvidia_dynamic_lib = load_library

from cupy_backends.cuda.api import driver as driver_api
from cupy_backends.cuda.api import runtime

answer(runtime, driver)
answer(driver_api, driver)
# What CuPy's Python code calls
runtime.getDevice = lambda: 0
runtime.setDevice = lambda device: None
runtime.getDeviceCount = lambda: 1
runtime.driverGetVersion = runtime.runtimeGetVersion = driver_api.get_build_version = lambda: 12090
runtime.deviceGetAttribute = driver.deviceGetAttribute
runtime.deviceSynchronize = runtime.streamSynchronize = lambda *stream: driver.note(b"wait")
runtime.memGetInfo = lambda: (1 << 36, 1 << 37)
runtime.getDeviceProperties = lambda device: {
    "name": b"stand-in", "major": 9, "minor": 0, "multiProcessorCount": 132,
    "totalGlobalMem": 1 << 37}

import cupy
from cupy.cuda import compiler

compiler._compile_using_nvrtc_no_warning = compile_for_host
cupy.random.default_rng = Generator
