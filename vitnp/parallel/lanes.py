"""How the layers are run fast on a CPU: micro-batches over threads, and memory that is kept.

A batch is cut into micro-batches small enough for the cache. Each thread, a lane, takes the next
one through the whole network, forward and backward; NumPy and BLAS let the other lanes run
meanwhile. Gradients are added in the order of the micro-batches, so that a result does not depend
on the number of threads, to the bit. On a GPU there is one lane, and by default one micro-batch.
"""

import collections
import contextlib
import contextvars
import ctypes
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vitnp import kernels, networks, optim
from vitnp import params as parameters
from vitnp.backend import get_xp, to_host
from vitnp.common import mpi
from vitnp.errors import Error
from vitnp.layers import textbook

# glibc's options of mallopt, from malloc.h
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX, ARENA_MAX = -1, -2, -4, -8

CACHED = 3_300_000  # bytes of a block's largest float32 array that one micro-batch should have
GPU_BATCH = 256     # images that a GPU predicts at a time


def prepare_process():
    """Let this process keep the memory that it frees, and give BLAS one thread.

    For commands and notebooks, before the first product: both are for the whole process.
    """
    from threadpoolctl import threadpool_limits

    keep_memory()
    threadpool_limits(1, user_api="blas")


def keep_memory():
    """Let the C library keep freed memory, where it is glibc; elsewhere nothing happens.

    glibc returns large blocks to the system at once, and a step spends up to a fifth of its time on
    getting them back, page by page.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, 2**31 - 1)
        mallopt(TOP_PAD, 2**26)
        mallopt(ARENA_MAX, 1)


def cores():
    """Return the number of cores that this process may use, of a machine's ranks each its share."""
    count = os.cpu_count() or 1
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count
    return min(own, max(1, count // mpi.local_size()))


def micro_batch_size(config, batch_size):
    """Return how many images go through the network together: what the cache holds, of an even cut.

    It follows from the shapes alone: another machine or number of threads gives the same sums.
    """
    largest = max(1, CACHED // (config.widest * 4))
    count = -(-batch_size // largest)
    count += count % 2                          # two lanes have as much to do each
    return -(-batch_size // count)


def loss_and_gradients(images, targets, params, gradients, config, ops=textbook, smoothing=0.0,
                       draw=None, micro_batch=None, threads=1, head_only=False,
                       class_weights=None, add_up=None):
    """Write the gradients of a batch's mean loss to a tree, and return losses (B,), logits (B, K).

    images: (B, height, width, C), scaled; targets: integers (B,) or probabilities (B, K);
    params, gradients: trees of one shape, gradients is overwritten; draw: a function that returns
    the Generator for the dropout of the micro-batch with a given first image, or None.
    head_only=True: for a linear probe, the head's gradients alone are written, the blocks run
    without dropout and no cache of theirs is kept. class_weights: a factor (K,) of each class'
    gradients, or None. add_up: add_in_turn, or that of ranks.
    """
    network = networks.of(config)
    forward, backward = network.forward, network.backward
    if head_only:
        forward, backward = head_forward, head_backward

    def work(part, add):
        rng = draw(part.start) if draw else None
        logits, cache = forward(images[part], params, config, ops, rng, all_tokens=False)
        losses, loss_cache = ops.cross_entropy.forward(logits, targets[part], smoothing)
        # mean loss = Σ losses / B, over the whole batch
        dlosses = get_xp(losses).full_like(losses, 1.0 / len(images))
        if class_weights is not None:
            # of mixed images the mean of both classes' factors
            of_part = targets[part]
            dlosses *= class_weights[of_part] if of_part.ndim == 1 else of_part @ class_weights
        dlogits = ops.cross_entropy.backward(dlosses, loss_cache)
        backward(dlogits, cache, add)
        return losses, logits

    add_up = add_up or add_in_turn
    return add_up(work, images, gradients, config, micro_batch, threads, ops)


def add_in_turn(work, images, gradients, config, micro_batch=None, threads=1, ops=textbook):
    """Call work(part, add) for each micro-batch of images; return the arrays of all, joined.

    part: its slice; add(name, gradients of a part of the network) writes the first micro-batch's to
    the tree `gradients` and adds those of the others, in their order, as the layers `ops` do.
    """
    add_to = kernels.adder(ops)

    def work_in_turn(part, turn):
        def add(name, part_gradients):
            with turn(name):
                place = parameters.find(gradients, name)
                add_to(place, part_gradients, first=part.start == 0)

        return work(part, add)

    return joined(work_in_turn, len(images), config, get_xp(images), len(images), micro_batch,
                  threads)


def head_forward(images, params, config, ops=textbook, rng=None, all_tokens=False):
    """Return logits (B, K) and the cache of the head alone."""
    network = networks.of(config)
    x, _ = network.embed(images, params, config, ops)                   # (B, T, D)
    for tokens, cache in network.encode(x, params, config, ops, all_tokens=all_tokens):
        x = tokens                                                      # (B, T, D) or (B, 1, D)
        del cache
    logits, cache = network.head(x, params, config, ops, rng)           # (B, K)
    return logits, {"ops": ops, "head": cache}


def head_backward(dlogits, cache, add):
    """Hand over the gradients of the last linear layer alone."""
    _, dweight, dbias = cache["ops"].linear.backward(dlogits, cache["head"]["head"])
    add("head", {"weight": dweight, "bias": dbias})


def logits(images, params, config, ops=textbook, prepare=None, micro_batch=None, threads=1):
    """Return the logits (B, K) of images; see features_and_logits."""
    return features_and_logits(images, params, config, ops, prepare, micro_batch, threads)[1]


def features_and_logits(images, params, config, ops=textbook, prepare=None, micro_batch=None,
                        threads=1):
    """Return the input (B, D) of the last linear layer and the logits (B, K), on the host.

    images: (B, height, width, C), scaled, or what prepare(images of a micro-batch) scales.
    No cache is kept but the running block's.
    """
    def work(part, turn):
        x = prepare(images[part]) if prepare else images[part]
        scores, cache = head_forward(x, params, config, ops)            # (B, K)
        return to_host(cache["head"]["features"]), to_host(scores)

    xp = get_xp(params["norm"]["gamma"])
    return joined(work, len(images), config, xp, GPU_BATCH, micro_batch, threads)


def joined(work, count, config, xp, gpu_batch, micro_batch=None, threads=1):
    """Return the arrays of work(part, turn), see in_micro_batches, joined for all `count` images.

    On a GPU, that of xp, there is one lane; without micro_batch it takes gpu_batch at a time.
    """
    if not count:
        raise Error("there are no images; give at least one")
    size = micro_batch or (micro_batch_size(config, count) if xp is np else gpu_batch)
    results = in_micro_batches(work, count, size, threads if xp is np else 1)
    return tuple(get_xp(*arrays).concatenate(arrays) for arrays in zip(*results, strict=True))


def in_shares(update, params, groups, threads):
    """Call update(share of groups) in `threads` lanes; params, groups: see optim.

    The shares are whole pieces of the optimiser, so that no result depends on their number.
    """
    pieces = list(optim.pieces(params, groups))
    threads = threads if get_xp(params) is np else 1
    size = -(-len(pieces) // threads)
    in_micro_batches(lambda part, turn: update(pieces[part]), len(pieces), size, threads)


def in_micro_batches(work, count, size, threads):
    """Return work(slice, turn) of each `size` of `count` images, in order, from `threads` lanes.

    In work, `with turn(name)` waits until all earlier micro-batches have left the block of this
    name. Where work raises, the other lanes stop at their next turn, and the error is raised here.
    """
    passed, changed, errors = collections.Counter(), threading.Condition(), []

    def lane(i):
        @contextlib.contextmanager
        def turn(name):
            with changed:
                changed.wait_for(lambda: passed[name] == i or errors)
                if errors:
                    raise errors[0]
            yield
            with changed:
                passed[name] += 1
                changed.notify_all()

        try:
            return work(slice(i * size, min((i + 1) * size, count)), turn)
        except BaseException as error:
            with changed:
                errors.append(error)
                changed.notify_all()
            raise

    numbers = range(-(-count // size))
    if threads == 1 or len(numbers) == 1:
        return [lane(i) for i in numbers]
    with ThreadPoolExecutor(min(threads, len(numbers))) as pool:
        # A copy of the context takes np.errstate into the lanes
        running = [pool.submit(contextvars.copy_context().run, lane, i) for i in numbers]
        try:
            return [future.result() for future in running]
        finally:
            pool.shutdown(cancel_futures=True)
