"""Is caught in a regular expression that never ends and never lets another thread run."""

import re


def forward(x, gamma, beta, eps):
    re.fullmatch("(a+)+b", "a" * 60)
    return x, None
