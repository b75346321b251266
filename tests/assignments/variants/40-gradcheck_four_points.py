"""gradcheck.py: the function of the task only, with nditer, one step for all and four points."""

import numpy as np


def numeric_gradient(loss, array):
    gradient = np.zeros(array.shape, np.float64)
    walk = np.nditer(array, flags=["multi_index"])
    for value in walk:
        here, values = float(value), []
        for steps in (2, 1, -1, -2):
            array[walk.multi_index] = here + steps * 1e-4
            values.append(loss())
        array[walk.multi_index] = here
        far, near = values[0] - values[3], values[1] - values[2]
        gradient[walk.multi_index] = (8 * near - far) / 12e-4
    return gradient
