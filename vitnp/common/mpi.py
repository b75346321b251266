"""Which of the processes of an mpiexec this one is, and how all of them end together."""

import functools
import os
import sys
import time

from vitnp.errors import Error

# What launchers tell each process: that there are others, and its number on this machine
TOLD = ("OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK", "MPI_LOCALNRANKS")
LOCAL_SIZE = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE")
LOCAL = ("OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID")


@functools.cache
def communicator():
    """Return MPI's communicator of all processes, or None where this one is alone.

    mpi4py is imported only where a launcher started this process. Raises Error where it is missing.
    """
    if not any(name in os.environ for name in TOLD):
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise Error(f"mpiexec started this, but MPI cannot be used ({error}); install it with "
                    "pip install 'vitnp[mpi]', or start a single process") from None
    return MPI.COMM_WORLD if MPI.COMM_WORLD.size > 1 else None


def rank():
    """Return the number of this process; 0 is the one that prints and writes."""
    return 0 if communicator() is None else communicator().rank


def local_rank():
    """Return the number of this process among those on its machine, or None where it is alone."""
    found = [os.environ[name] for name in LOCAL if name in os.environ]
    return int(found[0]) if communicator() is not None and found else None


def local_size():
    """Return how many of the processes are on this machine, as far as the launcher tells."""
    found = [os.environ[name] for name in LOCAL_SIZE if name in os.environ]
    return int(found[0]) if communicator() is not None and found else 1


def own_gpu():
    """Let this process see one GPU alone, where several processes share a machine with several.

    To be called before CUDA starts.
    """
    number, seen = local_rank(), os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if number is not None:
        visible = seen.split(",") if seen else range(number + 1)
        os.environ["CUDA_VISIBLE_DEVICES"] = str(visible[number % len(visible)])


def quiet():
    """Let no process but the first print; what ends them all is still told, see end."""
    if rank():
        sys.stdout = sys.stderr = open(os.devnull, "w")     # noqa: SIM115


def end(code, reason):
    """Print the reason why a command ends and exit with the code, all processes with it.

    A mistake that all of them see is told by the first one; a mistake of one alone by that one.
    """
    try:
        comm = communicator()
    except Error:                   # which is the reason
        comm = None
    if comm is not None and comm.rank:
        time.sleep(2)
        sys.stderr, reason = sys.__stderr__, reason.replace("error: ", f"error: rank {comm.rank}: ")
    print(reason, file=sys.stderr, flush=True)
    if comm is not None:
        comm.Abort(code)
    sys.exit(code)
