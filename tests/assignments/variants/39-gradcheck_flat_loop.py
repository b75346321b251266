"""gradcheck.py: the function of the task only, a loop over the numbers of all entries."""

import numpy as np


def numeric_gradient(loss, array):
    slopes = []
    for number in range(array.size):
        place = np.unravel_index(number, array.shape)
        kept = float(array[place])
        step = 1e-6 * max(1.0, abs(kept))
        array[place] = kept + step
        higher = loss()
        array[place] = kept - step
        lower = loss()
        array[place] = kept
        slopes.append((higher - lower) / (2.0 * step))
    return np.array(slopes).reshape(array.shape)
