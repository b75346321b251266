"""Random generators derived from a seed, a purpose and numbers: nothing uses global state."""

import numpy as np

# The numbers are part of every saved run: add at the end, never renumber.
PURPOSES = ("init", "split", "order", "dropout", "gradcheck", "augment", "validation", "few-shot",
            "mask")


def generator(seed, purpose, *numbers, xp=np):
    """Return the generator that belongs to (seed, purpose, numbers), always the same one.

    seed, numbers: integers >= 0, such as the epoch or the step; purpose: one of PURPOSES.
    xp: the library of the arrays to be drawn. NumPy's and CuPy's streams differ, so what must be
    equal on both devices (initial weights, data order) is drawn with NumPy and copied.
    """
    # How many numbers there are is part of the key, because SeedSequence fills up with zeros
    key = (PURPOSES.index(purpose), len(numbers), *map(int, numbers))
    sequence = np.random.SeedSequence(int(seed), spawn_key=key)
    if xp is np:
        return np.random.default_rng(sequence)
    return xp.random.default_rng(int(sequence.generate_state(1)[0]))
