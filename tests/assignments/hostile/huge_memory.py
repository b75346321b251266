"""Takes all memory there is."""

import numpy as np


def forward(x, gamma, beta, eps):
    taken = []
    for _ in range(60):
        taken.append(np.empty(10**7))
    return x, None
