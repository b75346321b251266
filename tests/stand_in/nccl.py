"""NCCL for the stand-in: its calls through MPI, in the memory of the host, where the arrays are."""

import ctypes

import numpy as np
from mpi4py import MPI

available = True
NCCL_SUM = 0
NCCL_UINT8, NCCL_INT64, NCCL_FLOAT32, NCCL_FLOAT64 = kinds = (1, 4, 7, 8)       # of nccl.h
DTYPES = dict(zip(kinds, (np.uint8, np.int64, np.float32, np.float64), strict=True))
waiting = []
called = []


def get_unique_id():
    """Return a name, as NCCL does."""
    return b"name"


def groupStart():
    """Begin to collect."""
    assert not waiting


def groupEnd():
    """Let what was collected happen."""
    MPI.Request.Waitall(waiting)
    waiting.clear()


class NcclCommunicator:
    """One rank with a GPU of its own."""

    def __init__(self, size, name, rank):
        assert name == b"name" and (size, rank) == (MPI.COMM_WORLD.size, MPI.COMM_WORLD.rank)
        self.comm = MPI.COMM_WORLD.Dup()

    def send(self, place, count, kind, rank, stream):
        """Send numbers from a place of the GPU's memory."""
        called.append("send")
        waiting.append(self.comm.Isend(numbers(place, count, kind), rank))

    def recv(self, place, count, kind, rank, stream):
        """Receive numbers."""
        waiting.append(self.comm.Irecv(numbers(place, count, kind), rank))

    def allReduce(self, place, to, count, kind, operation, stream):
        """Add numbers up over the ranks, in place."""
        assert place == to and operation == NCCL_SUM
        self.comm.Allreduce(MPI.IN_PLACE, numbers(place, count, kind))


def numbers(place, count, kind):
    """Return a NumPy array of the numbers at a place."""
    dtype = np.dtype(DTYPES[kind])
    return np.frombuffer((ctypes.c_char * (count * dtype.itemsize)).from_address(place), dtype)
