"""Batches prepared ahead of the step that needs them."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

AHEAD = 4       # batches that wait ready: enough to bridge a slow one, few enough for the memory


def ahead(prepare, numbers):
    """Yield prepare(number) for each number, in order, prepared by a thread in the background.

    At most AHEAD of them wait. What prepare raises is raised here, in its place of the order.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        waiting = deque()
        try:
            for number in numbers:
                waiting.append(pool.submit(prepare, number))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)      # where the caller stops before the end
