"""What a run will ask of the machine, said before the first step."""

import time

import numpy as np

from vitnp.backend import get_xp
from vitnp.common.progress import say
from vitnp.config import ViTConfig
from vitnp.parallel import lanes

MOST_TOKENS, MOST_SECONDS = 1024, 5
SIDE = 384          # of the matrices that are multiplied to try the machine


def warn(config, flat, batch_size):
    """Say what `warnings` returns; flat: the parameters."""
    for warning in warnings(config, flat.size, batch_size, get_xp(flat)):
        say(warning)


def warnings(config, weights, batch_size, xp=np):
    """Return sentences about sequences that are very long, and about steps that are very slow.

    weights: the number of parameters; a step multiplies each of them with each token three times,
    forward and twice backward, besides the products of the attention.
    """
    if not isinstance(config, ViTConfig):
        return []
    rows, columns = config.grid
    tokens, said = rows * columns, []
    if tokens > MOST_TOKENS:
        said.append(f"images of {config.image_size[0]} x {config.image_size[1]} are {tokens:,} "
                    f"tokens of {config.patch_size} x {config.patch_size}, and attention grows "
                    "with their square: a smaller --image-size, or larger patches (such as "
                    "--model tiny/16), are quicker")
    if xp is np:
        attention = 2 * tokens * config.width * config.depth
        seconds = 6 * batch_size * tokens * (weights + attention) / multiplications_a_second()
        if seconds > MOST_SECONDS:
            said.append(f"a step of {batch_size} images will take about {seconds:,.0f} seconds on "
                        "this machine: a smaller --image-size, --model or --batch-size is quicker")
    return said


def multiplications_a_second():
    """Return how many multiplications and additions all cores do in a second, roughly."""
    factor, best = np.ones((SIDE, SIDE), np.float32), 1.0
    for _ in range(5):
        began = time.perf_counter()
        factor @ factor
        best = min(best, time.perf_counter() - began)
    return lanes.cores() * 2 * SIDE**3 / best
