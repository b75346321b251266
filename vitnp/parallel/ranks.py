"""One step on many processes and machines: the ranks of MPI, each with lanes of its own.

The batch is cut into the same micro-batches as for the lanes of one process, and they are dealt to
the ranks. Each number of the gradients has an owner among the ranks, which adds what the
micro-batches brought in their order; so no bit of a result depends on the number of ranks. All
ranks then take the same step of the optimiser.
"""

import dataclasses
import functools
import math

import numpy as np

from vitnp import kernels
from vitnp import params as parameters
from vitnp.backend import get_xp, load_nccl
from vitnp.common import mpi
from vitnp.layers import textbook
from vitnp.parallel import lanes
from vitnp.parallel.exchange import OverMPI, OverNCCL


@functools.cache
def world():
    """Return the Ranks that this process is one of, or None where it is alone."""
    comm = mpi.communicator()
    return None if comm is None else Ranks(comm, comm.Dup())


def first(world, function, *arguments):
    """Return function(*arguments), which one process calls for all of a world, or of None."""
    return world.first(functools.partial(function, *arguments)) if world else function(*arguments)


@dataclasses.dataclass(frozen=True)
class Ranks:
    """The processes of an mpiexec. comm: that of the steps; reader: that of the thread which reads.

    Every method is called by all ranks, in the same order.
    """

    comm: object
    reader: object

    @property
    def rank(self):
        """The number of this process."""
        return self.comm.rank

    @property
    def size(self):
        """How many there are."""
        return self.comm.size

    def agree(self, number):
        """Return the largest of the ranks' numbers, such as that of a signal to one of them."""
        return max(self.comm.allgather(number))

    def first(self, function):
        """Call a function in rank 0 alone, after which the others go on; return its result."""
        return self.comm.bcast(function() if self.rank == 0 else None)

    def read(self, images, indices):
        """Return the images at the indices, of which each rank reads a share: files, not arrays."""
        if isinstance(images, np.ndarray):
            return images[indices]
        own = images[np.array_split(indices, self.size)[self.rank]]
        return np.concatenate(self.reader.allgather(own))

    def in_turn(self, function, items):
        """Return function(item) of each item, of which each rank takes every R-th."""
        own = [function(item) for item in items[self.rank::self.size]]
        found = self.comm.allgather(own)
        return [found[i % self.size][i // self.size] for i in range(len(items))]

    def add_in_turn(self, work, images, gradients, config, micro_batch=None, threads=1,
                    ops=textbook):
        """Do what lanes.add_in_turn does, with all ranks; see there.

        In each round a lane of every rank takes a micro-batch, and its gradients are exchanged: a
        rank sends, for every micro-batch of its own, all of them but its own slice.
        """
        xp, count = get_xp(images), len(images)
        size = micro_batch or (lanes.micro_batch_size(config, count) if xp is np
                               else math.ceil(count / self.size))
        parts = [slice(start, min(start + size, count)) for start in range(0, count, size)]
        sums = Sums(self, gradients, threads if xp is np else 1, kernels.adder(ops))
        results = []
        for start in range(0, len(parts), self.size * sums.lanes):
            turn = parts[start:start + self.size * sums.lanes]
            own = turn[self.rank::self.size]

            def lane(number, _, own=own):
                return work(own[number.start], sums.writer(number.start))

            if own:
                found = lanes.in_micro_batches(lane, len(own), 1, sums.lanes)
                results += zip(own, found, strict=True)
            for place in range(0, len(turn), self.size):
                sums.add(place // self.size, min(self.size, len(turn) - place))
        sums.finish()
        return self.joined(results, count, xp)

    def joined(self, results, count, xp):
        """Return the arrays of all ranks' micro-batches, joined; results: own (slice, arrays)."""
        kinds = self.comm.bcast([(array.shape[1:], array.dtype) for array in results[0][1]]
                                if self.rank == 0 else None)
        whole = [xp.zeros((count, *shape), dtype) for shape, dtype in kinds]
        for part, arrays in results:
            for array, own in zip(whole, arrays, strict=True):
                array[part] = own
        for array in whole:             # where one rank has a number, the others have 0
            self.way(xp).add_up(array.view("uint8") if array.dtype == bool else array)
        return tuple(whole)

    def way(self, xp):
        """Return how arrays of a library reach other ranks: MPI, or NCCL between GPUs."""
        return OverMPI(self.comm) if xp is np else self._way_of_gpus

    @functools.cached_property
    def _way_of_gpus(self):
        nccl = load_nccl()
        return OverNCCL(self.comm, nccl) if nccl else OverMPI(self.comm)


class Sums:
    """Gradients of micro-batches, one buffer a lane, and the sums of the slice that a rank owns."""

    def __init__(self, ranks, gradients, threads, add):
        self.rank, self.lanes, self.add_to = ranks.rank, threads, add
        self.tensors = parameters.flatten(gradients)
        self.shapes = {path: array.shape for path, array in self.tensors.items()}
        (dtype,) = {array.dtype for array in self.tensors.values()}
        xp, n = get_xp(*self.tensors.values()), sum(map(math.prod, self.shapes.values()))
        # Zeros stay where a step has no gradients, as in all but the head of a linear probe
        self.buffers = [xp.zeros(n, dtype) for _ in range(threads)]
        self.cuts = [n * rank // ranks.size for rank in range(ranks.size + 1)]
        self.way, self.total = ranks.way(xp), None

    def writer(self, lane):
        """Return add(name, gradients of a part of the network) for a micro-batch of a lane."""
        tree = parameters.views(self.buffers[lane], self.shapes)

        def add(name, part_gradients):
            self.add_to(parameters.find(tree, name), part_gradients, first=True)

        return add

    def add(self, lane, senders):
        """Add the micro-batches of a lane of the first `senders` ranks to the sums, in order."""
        pieces = self.way.to_owners(self.buffers[lane], self.cuts, senders)
        for piece in pieces:
            if self.total is None:
                self.total = piece.copy()
            else:
                self.total += piece

    def finish(self):
        """Write the sums of all owners to the gradients."""
        whole = self.way.from_owners(self.total, self.cuts)
        views = parameters.flatten(parameters.views(whole, self.shapes))
        for path, array in self.tensors.items():
            array[...] = views[path]
