"""Starts processes, each in a session of its own and asleep, so that they would stay."""

import os
import time

# Loaded, not called, so that even a check that stops at once meets it
for _ in range(500):
    try:
        if os.fork() == 0:
            os.setsid()
            time.sleep(100)
            os._exit(0)
    except OSError:
        pass
time.sleep(100)
