"""Ctrl-C and SIGTERM, taken as a wish that is granted after the running step."""

import contextlib
import signal
import threading

from vitnp.common.progress import say


class Stopped(KeyboardInterrupt):
    """A run was asked to stop and has saved itself; the message says how it goes on."""

    def __init__(self, message, number):
        super().__init__(message)
        self.code = 128 + number        # as shells report the end by a signal


class Wish:
    """The number of the signal that came, or None."""

    def __init__(self):
        self.signal = None


@contextlib.contextmanager
def stop_signals():
    """Yield a Wish that the first Ctrl-C or SIGTERM fills; the second one acts as ever.

    Outside the main thread, where no signal can be caught, nothing changes.
    """
    wish = Wish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number, frame):
        wish.signal = number
        restore()
        say("finishing this step, then saving; once more to stop at once")

    def restore():
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield wish
    finally:
        restore()


def agree(world, wish, due=False):
    """Let all ranks of a world stop, or save, after the same step; return whether to save."""
    if world is None:
        return due
    found = world.agree(wish.signal or (0 if due else -1))
    wish.signal = found if found > 0 else None
    return found == 0
