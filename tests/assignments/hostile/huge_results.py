"""Returns more than anybody asked for, by way of an array that takes no memory here."""

import numpy as np


def forward(x, gamma, beta, eps):
    return np.broadcast_to(x, (10**6, *x.shape)), None
