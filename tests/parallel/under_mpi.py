"""What tests of ranks have in common: a program under mpiexec, where there is one."""

import functools
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}")
needed = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None,
    reason="MPI is not installed: pip install 'vitnp[mpi]'")
# In a container the tests may run as root, on fewer cores than ranks
ALLOWED = {f"{name}_ALLOW_RUN_AS_ROOT{end}": "1" for name in ("OMPI", "PRTE")
           for end in ("", "_CONFIRM")}


def start(ranks, *arguments, **options):
    """Start Python with arguments in so many processes, or alone without mpiexec for ranks 1."""
    launcher = [MPIEXEC, "-n", str(ranks), "--oversubscribe", "--bind-to", "none"] * (ranks > 1)
    return subprocess.Popen(
        [*launcher, sys.executable, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=os.environ | ALLOWED | options.pop("env", {}), **options)


def run(ranks, *arguments, seconds=300, **options):
    """Run Python with arguments; return its exit code, output and messages."""
    process = start(ranks, *arguments, **options)
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


@functools.cache
def alone(*arguments):
    """Return what run returns for one process, once."""
    return run(1, *arguments)
