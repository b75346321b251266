"""Which array library: NumPy on the CPU, CuPy on a CUDA GPU. The only file that imports cupy."""

import sys

import numpy as np

from vitnp.errors import Error

INSTALL = "pip install 'cupy-cuda13x[ctk]', or 'cupy-cuda12x[ctk]' for an NVIDIA driver below 580"
OTHERS = "close other programs that use it (nvidia-smi lists them)"
TF32_MATH = 3       # CUBLAS_TF32_TENSOR_OP_MATH of cublas_api.h


def get_xp(*arrays):
    """Return the library (numpy or cupy) that all `arrays` belong to.

    A library is known by its name, so that CuPy need not be installed. Raises Error for a mixture.
    """
    names = {type(array).__module__.partition(".")[0] for array in arrays}
    if len(names) != 1:
        raise Error(f"arrays of {' and '.join(sorted(names))} came together; "
                    "move them to one device with vitnp.backend.to_device or to_host")
    return sys.modules[names.pop()]


def to_device(array, xp):
    """Return `array`, a NumPy array or one of xp's, as an array of the library xp."""
    return xp.asarray(array)


def to_host(array):
    """Return `array` as a NumPy array; from a GPU this copies, and waits for what is running."""
    return array if isinstance(array, np.ndarray) else array.get()


def pick_device(name):
    """Return the array library for the device "cpu", "gpu", or "auto" (a GPU where there is one).

    Raises Error for "gpu" where no GPU can be used, with the reason and the cure.
    """
    if name == "cpu":
        return np
    if name == "gpu":
        return load_cupy()
    if name == "auto":
        try:
            return load_cupy()
        except Error as reason:
            print(f"device auto: the CPU, because {reason}", file=sys.stderr)
            return np
    raise Error(f"unknown device {name!r}; possible are cpu, gpu and auto")


def use_tf32(xp):
    """Let a GPU shorten the factors of float32 products to TF32, from here on, in this thread.

    TF32 has 10 bits of fraction in place of 23; sums stay float32. A GPU that does not know it,
    before Ampere, goes on as before. Raises Error on a CPU.
    """
    if xp is np:
        raise Error("--tf32 is for products on a GPU, but the device is the CPU; leave it out, or "
                    "use --device gpu")
    # CuPy's own switch, CUPY_TF32, reaches the products of two matrices alone, not attention's
    xp.cuda.cublas.setMathMode(xp.cuda.device.get_cublas_handle(), TF32_MATH)


def load_cupy():
    """Return CuPy after one product of matrices ran on the GPU, or raise Error with the reason.

    CuPy imports without a driver and fails later, each time with another exception; here each
    case becomes a sentence of its own.
    """
    try:
        import cupy
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise Error(f"CuPy cannot be imported: {error}") from None
        raise Error(f"CuPy is not installed; {INSTALL}") from None
    except ImportError as error:
        raise Error("CuPy is installed but cannot be imported: "
                    f"{lines(error)[-1]}") from None
    except OSError as error:
        raise Error(kernels_message(error)) from None
    runtime = cupy.cuda.runtime
    try:
        runtime.getDeviceCount()
        square = cupy.ones((2, 2), "float32")
        (square @ square).sum().item()
        cupy.random.default_rng(0).random(2)
    except runtime.CUDARuntimeError as error:
        raise Error(driver_message(runtime, error)) from None
    except MemoryError as error:
        raise Error(f"the GPU has no memory left: {lines(error)[0]}; {OTHERS}") from None
    except OSError as error:
        raise Error(kernels_message(error)) from None
    except (ImportError, RuntimeError) as error:
        raise Error(f"the GPU cannot compute ({lines(error)[0]}); "
                    f"the CUDA libraries may be missing: {INSTALL}") from None
    return cupy


def lines(error):
    """Return the lines of an exception's message without frames and blanks, at least one."""
    message = (line.strip(" =") for line in str(error).splitlines())
    return [line for line in message if line] or [type(error).__name__]


def driver_message(runtime, error):
    """Return the sentence for a CUDARuntimeError of the first call to the driver."""
    driver, needed = runtime.driverGetVersion() // 1000, runtime.runtimeGetVersion() // 1000
    if error.status == 35 and driver == 0:
        return "there is no NVIDIA driver on this machine; install one, or use --device cpu"
    if error.status == 35:
        return (f"the NVIDIA driver is too old: it supports CUDA {driver}, this CuPy needs CUDA "
                f"{needed}; update the driver, or install CuPy for CUDA {driver}")
    if error.status == 100:
        return ("no GPU is visible; see what nvidia-smi lists and whether CUDA_VISIBLE_DEVICES "
                "hides it, or use --device cpu")
    return f"the GPU cannot be used: {lines(error)[0]}"


def kernels_message(error):
    """Return the sentence for an OSError of CuPy, which keeps its compiled kernels in a folder."""
    return (f"CuPy cannot keep its compiled kernels ({lines(error)[0]}); make room or permission "
            "there, or set CUPY_CACHE_DIR to another folder")


def message(error):
    """Return the sentence for an exception that a full or lost device raised anywhere, else None.

    The exceptions are known by the names of their classes and of the modules of their frames, so
    that CuPy need not be installed.
    """
    kind, text = type(error).__name__, lines(error)[0]
    of_cupy = type(error).__module__.partition(".")[0] in ("cupy", "cupy_backends")
    if isinstance(error, OSError):
        return kernels_message(error) if "cupy" in libraries(error) else None
    if isinstance(error, MemoryError) and not of_cupy:
        return (f"memory ran out ({text}); close other programs, or choose a smaller "
                "--batch-size or --micro-batch, smaller images or a smaller model")
    full = any(word in text for word in ("ALLOC_FAILED", "MemoryAllocation", "NOT_INITIALIZED",
                                         "OUT_OF_MEMORY", "OutOfMemory"))
    if of_cupy and (full or isinstance(error, MemoryError)):
        return (f"the GPU has no memory left ({text}); {OTHERS}, train with a smaller "
                "--micro-batch, or use --device cpu")
    if of_cupy and kind in ("CUDARuntimeError", "CUDADriverError", "CUBLASError", "CURANDError"):
        return (f"the GPU stopped working ({text}); see nvidia-smi, then call this again: a run "
                "goes on from its last checkpoint with --resume")
    if of_cupy and isinstance(error, RuntimeError | ImportError) or kind in (
            "CompileException", "NVRTCError", "DynamicLibNotFoundError"):
        return f"the GPU cannot compute ({text}); the CUDA libraries may be missing: {INSTALL}"
    return None


def libraries(error):
    """Return the names of the libraries whose frames an exception passed through."""
    found, frame = set(), error.__traceback__
    while frame:
        found.add(frame.tb_frame.f_globals.get("__name__", "").partition(".")[0])
        frame = frame.tb_next
    return found
