"""What CuPy's exceptions mean to whom they meet: one sentence each, with the cure."""

INSTALL = "pip install 'cupy-cuda13x[ctk]', or 'cupy-cuda12x[ctk]' for an NVIDIA driver below 580"
OTHERS = "close other programs that use it (nvidia-smi lists them)"


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
