"""Signals taken as wishes: to save and stop after the running step, or to save and go on."""

import contextlib
import signal
import threading

from vitnp.common.progress import say

# Those that a system has: a closed terminal, a batch queue's warning
STOP = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
        if hasattr(signal, name)]
SAVE = [getattr(signal, name) for name in ("SIGUSR2",) if hasattr(signal, name)]


class Stopped(KeyboardInterrupt):
    """A run was asked to stop and has saved itself; the message says how it goes on."""

    def __init__(self, message, number):
        super().__init__(message)
        self.code = 128 + number        # as shells report the end by a signal


class StopRequest:
    """The number of the signal that came to stop, or None, and whether one came to save."""

    def __init__(self):
        self.signal = None
        self.save = False


@contextlib.contextmanager
def stop_signals():
    """Yield a StopRequest that is filled by the first of STOP, and by each of SAVE.

    The second signal to stop does what it does in any program. What is ignored, as nohup ignores a
    closed terminal, stays ignored. Outside the main thread, where no signal can be caught, nothing
    changes.
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (*STOP, *SAVE)}
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}

    def note_stop(number, frame):
        stop.signal = number
        restore(STOP)
        say("finishing this step, then saving; once more to stop at once")

    def note_save(number, frame):
        stop.save = True
        say("saving after this step")

    def restore(numbers):
        for number in numbers:
            if number in before:
                signal.signal(number, before[number])

    for number in before:
        signal.signal(number, note_save if number in SAVE else note_stop)
    try:
        yield stop
    finally:
        restore(before)


def agree(world, stop, due=False):
    """Let all ranks of a world stop, or save, after the same step; return whether to save."""
    due = due or stop.save
    if world is None:
        return due
    found = world.agree(stop.signal or (0 if due else -1))
    stop.signal = found if found > 0 else None
    return found == 0
