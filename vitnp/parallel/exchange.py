"""How numbers reach other ranks: through MPI from the host's memory, or NCCL from GPU to GPU.

Neither adds up what must be added in order; that is done where the numbers arrive. All ranks call
each method, in the same order.
"""

import numpy as np

from vitnp.backend import get_xp, to_device, to_host


class OverMPI:
    """Arrays through MPI; those of a GPU are copied to the host and back."""

    def __init__(self, comm):
        self.comm = comm

    def to_owners(self, flat, cuts, senders):
        """Return what the first `senders` ranks have in flat buffers for this rank, a row each.

        cuts: where the slice of each rank begins, and the end.
        """
        rank, size, counts = self.comm.rank, self.comm.size, np.diff(cuts)
        sends = np.arange(size) < senders
        pieces = np.empty((senders, counts[rank]), flat.dtype)
        self.comm.Alltoallv([to_host(flat), (counts * sends[rank], cuts[:-1])],
                            [pieces, (counts[rank] * sends, counts[rank] * np.arange(size))])
        return to_device(pieces, get_xp(flat))

    def from_owners(self, own, cuts):
        """Return the flat buffer of which each rank has its own slice."""
        whole = np.empty(cuts[-1], own.dtype)
        self.comm.Allgatherv(to_host(own), [whole, (np.diff(cuts), cuts[:-1])])
        return to_device(whole, get_xp(own))

    def add_up(self, array):
        """Let an array become its sum over the ranks, in place."""
        from mpi4py import MPI

        total = to_host(array)
        self.comm.Allreduce(MPI.IN_PLACE, total)
        if total is not array:
            array[...] = to_device(total, get_xp(array))


class OverNCCL:
    """Arrays of GPUs through NCCL, one GPU a rank; no call waits for the GPU."""

    def __init__(self, comm, nccl):
        self.nccl, self.rank, self.size = nccl, comm.rank, comm.size
        name = comm.bcast(nccl.get_unique_id() if comm.rank == 0 else None)
        self.comm = nccl.NcclCommunicator(comm.size, name, comm.rank)

    def to_owners(self, flat, cuts, senders):
        """See OverMPI."""
        pieces = get_xp(flat).empty((senders, cuts[self.rank + 1] - cuts[self.rank]), flat.dtype)
        sent = [(rank, flat[cuts[rank]:cuts[rank + 1]]) for rank in range(self.size)]
        self.exchange(sent if self.rank < senders else [], list(enumerate(pieces)))
        return pieces

    def from_owners(self, own, cuts):
        """See OverMPI."""
        whole = get_xp(own).empty(cuts[-1], own.dtype)
        received = [(rank, whole[cuts[rank]:cuts[rank + 1]]) for rank in range(self.size)]
        self.exchange([(rank, own) for rank in range(self.size)], received)
        return whole

    def exchange(self, sent, received):
        """Send and receive (rank, array) pairs, all at once."""
        self.nccl.groupStart()
        for call, pairs in ((self.comm.send, sent), (self.comm.recv, received)):
            for rank, array in pairs:
                call(array.data.ptr, array.size, self.kind(array), rank, stream(array))
        self.nccl.groupEnd()

    def add_up(self, array):
        """See OverMPI."""
        self.comm.allReduce(array.data.ptr, array.data.ptr, array.size, self.kind(array),
                            self.nccl.NCCL_SUM, stream(array))

    def kind(self, array):
        """Return NCCL's number for the type of an array."""
        return getattr(self.nccl, f"NCCL_{array.dtype.name.upper()}")


def stream(array):
    """Return the stream in which CuPy's launches are, so that all stays in order."""
    return get_xp(array).cuda.get_current_stream().ptr
