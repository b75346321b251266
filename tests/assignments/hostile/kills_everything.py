"""Ends every process that it may end: one that the test started, its parent, all others."""

import os

VICTIM = int("{victim}")
# Numbers this small are those of a namespace of its own; elsewhere it is not tried
victims = (VICTIM, os.getppid(), 1, -1) if os.getpid() < 10 else (VICTIM,)
for process in victims:
    try:
        os.kill(process, 9)
    except OSError:
        pass


def forward(x, gamma, beta, eps):
    return x, None
