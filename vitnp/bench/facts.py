"""What a figure depends on besides the code: processor, libraries, environment."""

import os
import platform
from pathlib import Path


def machine(xp, threads):
    """Return the facts that belong to every measurement, a dict; xp: numpy or cupy."""
    import numpy as np

    from vitnp.parallel.lanes import cores

    facts = {"cpu": cpu_name(), "cores": cores(), "threads": threads,
             "python": platform.python_version(), "numpy": np.__version__, "blas": blas(),
             "warnings": warnings(os.environ)}
    if xp is not np:
        facts["gpu"] = xp.cuda.runtime.getDeviceProperties(0)["name"].decode()
        facts["cupy"] = xp.__version__
    return facts


def cpu_name():
    """Return the processor's name as the system tells it."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def blas():
    """Return library, version and kernels of NumPy's BLAS, as "openblas 0.3.31, Zen kernels"."""
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["user_api"] == "blas":
            kernels = library.get("architecture")
            return f"{library['internal_api']} {library['version']}" + (
                f", {kernels} kernels" if kernels else "")
    return "a BLAS that threadpoolctl does not know"


def busy_seconds(stat=Path("/proc/stat")):
    """Return the processor time that all programs together have had on this process's cores.

    Time that a virtual machine was denied counts too. Returns 0 where the system does not tell.
    """
    if not stat.exists():
        return 0.0
    own = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    cores = [line.split() for line in stat.read_text().splitlines() if line.split()[0] in own]
    # user, nice, system, idle, waiting for input, interrupts (two kinds), denied
    busy = sum(int(core[i]) for core in cores for i in (1, 2, 3, 6, 7, 8))
    return busy / os.sysconf("SC_CLK_TCK")


def warnings(environment):
    """Return a sentence for each variable that makes NumPy's products slow without a word."""
    return [f"{name} is set and may halve NumPy's speed; unset it for measurements"
            for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in environment]
