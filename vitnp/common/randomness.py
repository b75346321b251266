"""Random generators derived from a seed, a purpose and numbers: nothing uses global state."""

import math

import numpy as np

# The numbers are part of every saved run: add at the end, never renumber.
PURPOSES = ("init", "split", "order", "dropout", "gradcheck", "augment", "validation", "few-shot",
            "mask")


def generator(seed, purpose, *numbers, xp=np):
    """Return the generator that belongs to (seed, purpose, numbers), always the same one.

    seed, numbers: integers >= 0, such as the epoch or the step; purpose: one of PURPOSES.
    xp: the library of the arrays to be drawn. NumPy's and CuPy's streams differ, so what must be
    equal on both devices (initial weights, data order) is drawn with NumPy and copied. Other
    libraries get a Hashed generator.
    """
    # How many numbers there are is part of the key, because SeedSequence fills up with zeros
    key = (PURPOSES.index(purpose), len(numbers), *map(int, numbers))
    sequence = np.random.SeedSequence(int(seed), spawn_key=key)
    if xp is np:
        return np.random.default_rng(sequence)
    return Hashed(int(sequence.generate_state(1, np.uint64)[0]), xp)


class Hashed:
    """Draw numbers as a hash of a key and their place, so that a GPU keeps no state of its own.

    CuPy's own generators start some hundred thousand states, each time one is made.
    """

    MASK = 2**64 - 1
    GOLDEN = 0x9E3779B97F4A7C15

    def __init__(self, key, xp):
        self.key, self.xp = key, xp

    def next_key(self):
        """Return the key of the next draw, a whole number below 2^64."""
        self.key = (self.key * 6364136223846793005 + 1442695040888963407) & self.MASK
        return self.key

    def random(self, shape, dtype=np.float64):
        """Draw from [0, 1), with 24 bits.

        Equation: z = key + (i + 1) · golden, mixed. Source: Steele, Lea, Flood 2014, SplitMix64.
        The kernel in kernels/cuda.py draws the same.
        """
        xp, key = self.xp, self.next_key()
        z = xp.arange(1, math.prod(shape) + 1, dtype="uint64") * self.GOLDEN + key
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9
        z = (z ^ z >> 27) * 0x94D049BB133111EB
        return ((z ^ z >> 31) >> 40).astype(dtype).reshape(shape) * 2.0**-24
