"""NumPy on the CPU, CuPy on a CUDA GPU: the only file that imports cupy."""

import sys
import warnings

import numpy as np

from vitnp.errors import Error

TF32_MATH = 3       # CUBLAS_TF32_TENSOR_OP_MATH of cublas_api.h


def get_xp(*arrays):
    """Return the library (numpy or cupy) that all `arrays` belong to.

    A library is known by its name, so that CuPy need not be installed. Raises Error for a mixture,
    and for what is no array.
    """
    names = {type(array).__module__.partition(".")[0] for array in arrays}
    if "builtins" in names:         # a list, a number, None
        i = [type(array).__module__ for array in arrays].index("builtins")
        which = "the argument" if len(arrays) == 1 else f"argument {i + 1} of {len(arrays)}"
        raise Error(f"{which} is no array, but of type {type(arrays[i]).__name__}; make one of it "
                    "with numpy.asarray")
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


def load_nccl():
    """Return CuPy's bindings of NCCL, for numbers from GPU to GPU, or None where it is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")             # CuPy warns where it is missing
        from cupy.cuda import nccl
    return nccl if nccl.available else None


def load_cupy():
    """Return CuPy after one product of matrices ran on the GPU, or raise Error with the reason.

    CuPy imports without a driver and fails later, each time with another exception; here each
    case becomes a sentence of its own.
    """
    from vitnp.common import mpi
    from vitnp.common.gpu_errors import INSTALL, OTHERS, driver_message, kernels_message, lines

    if "cupy" not in sys.modules:
        mpi.own_gpu()
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
