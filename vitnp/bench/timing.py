"""Clock, memory, and the rate of matrix products to which a step is compared."""

import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

SIDE, GPU_SIDE, PRODUCTS = 1024, 8192, 7


def take_steps(step, seconds):
    """Take steps until `seconds` are over, at least one, and return the seconds of each."""
    taken, end = [], time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        began = time.perf_counter()
        step()
        taken.append(time.perf_counter() - began)
    return taken


def clock(xp):
    """Return a function that waits for the device of xp and returns the time in seconds."""
    if xp.__name__ == "numpy":
        return time.perf_counter

    def now():
        xp.cuda.Device().synchronize()
        return time.perf_counter()

    return now


def peak_bytes():
    """Return the most memory that this process has had, in bytes."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak        # Linux counts in KiB


def sgemm(xp, threads):
    """Return GFLOP/s of plain float32 products: all threads together, and one alone.

    On a GPU both are the same, of larger matrices.
    """
    if xp.__name__ == "numpy":
        return {"all": sgemm_rate(xp, threads, SIDE), "one": sgemm_rate(xp, 1, SIDE)}
    rate = sgemm_rate(xp, 1, GPU_SIDE)
    return {"all": rate, "one": rate}


def sgemm_rate(xp, threads, side):
    """Return GFLOP/s summed over threads, each with matrices of its own and one BLAS thread."""
    from threadpoolctl import threadpool_limits

    # All memory is taken here: a thread that failed would leave the others waiting at the barrier
    matrices = [[xp.full((side, side), 0.5, xp.float32) for _ in range(3)] for _ in range(threads)]
    barrier, now = threading.Barrier(threads), clock(xp)

    def lane(own):
        a, b, product = own
        xp.matmul(a, b, out=product)                                # the first one is slower
        barrier.wait()
        seconds = []
        for _ in range(PRODUCTS):
            began = now()
            xp.matmul(a, b, out=product)
            seconds.append(now() - began)
        return 2 * side**3 / statistics.median(seconds) / 1e9

    if threads == 1:            # in this thread: a GPU's TF32 is chosen for a thread
        with threadpool_limits(1, user_api="blas"):
            return lane(matrices[0])
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(lane, matrices))
