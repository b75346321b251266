"""Picture files that read like an array of images: decoded when they are indexed.

A frozen Pictures says which files; a Decoders holds the processes that decode them.
"""

import contextlib
import math
import multiprocessing
import os
import signal
import threading
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import resource_tracker

import numpy as np

from vitnp.data.preprocess import Preprocess
from vitnp.errors import Error

MOST_AT_ONCE = 64  # pictures that a process decodes before it hands them over


class Decoders:
    """Processes that decode pictures, started when the first ones are asked for.

    workers: how many; with 0 or 1 this process decodes. What shares a Decoders shares its
    processes; any thread may call it. Also a context manager that closes.
    """

    def __init__(self, workers):
        self.workers = workers
        self._executor = None
        self._lock = threading.Lock()

    def decode(self, paths, preprocess):
        """Return the pictures in a list of files as uint8 (count, height, width, C).

        preprocess: a Preprocess, which says how they are resized and cut. Raises Error for
        the first file that cannot be read, and where a process was killed.
        """
        if self.workers <= 1 or len(paths) <= 1:
            return decode(paths, preprocess)
        at_once = min(math.ceil(len(paths) / (2 * self.workers)), MOST_AT_ONCE)
        images = np.empty((len(paths), *preprocess.shape), np.uint8)
        starts = range(0, len(paths), at_once)
        futures = []
        try:
            for start in starts:
                futures.append(self._submit(paths[start:start + at_once], preprocess))
            for start, future in zip(starts, futures, strict=True):
                images[start:start + at_once] = future.result()
        except BrokenExecutor:
            self.close()
            raise Error(
                "a process that decodes pictures ended before its time: it was killed, the memory "
                'was full, or the script that started it lacks `if __name__ == "__main__":`; '
                "with 1 worker, pictures are decoded without other processes") from None
        except BaseException as error:
            for future in futures:
                future.cancel()
            if isinstance(error, Error):
                # Made anew, because it carries the other process' traceback as its cause.
                raise Error(str(error)) from None
            raise
        return images

    def _submit(self, paths, preprocess):
        with self._lock, interrupts_blocked():
            if self._executor is None:
                # Not fork, which copies the locks that other threads hold.
                context = multiprocessing.get_context("spawn")
                self._executor = ProcessPoolExecutor(self.workers, context, start_process)
            return self._executor.submit(decode, paths, preprocess)

    def close(self):
        """End the processes; a later decode() starts new ones."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(cancel_futures=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


@dataclass(frozen=True)
class Pictures:
    """Picture files that read like a uint8 array (count, height, width, C).

    Indexing as an array's first axis is indexed (a number, a slice, an array of indices or of
    truth values) decodes the chosen files, as preprocess says, and returns an array.
    """

    paths: tuple[str, ...]
    preprocess: Preprocess
    decoders: Decoders

    @property
    def shape(self):
        """The shape of all images: (count, height, width, C)."""
        return (len(self.paths), *self.preprocess.shape)

    @property
    def ndim(self):
        """The number of dimensions: 4."""
        return len(self.shape)

    @property
    def dtype(self):
        """The type of the pixels: uint8."""
        return np.dtype(np.uint8)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, key):
        """Return the chosen images, uint8 (..., height, width, C); Error for a damaged file."""
        chosen = np.arange(len(self))[key]
        images = self.decoders.decode([self.paths[i] for i in chosen.flat], self.preprocess)
        return images.reshape(*chosen.shape, *self.shape[1:])

    def close(self):
        """End the processes that decode, also for those that share them."""
        self.decoders.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def decode(paths, preprocess):
    """Return the pictures in a list of files as uint8 (count, height, width, C)."""
    images = np.empty((len(paths), *preprocess.shape), np.uint8)
    for image, path in zip(images, paths, strict=True):
        image[:] = preprocess.read(path)
    return images


@contextlib.contextmanager
def interrupts_blocked():
    """Keep Ctrl-C from this thread for a moment, and from processes started meanwhile for good.

    Until start_process runs in them, they would answer with a traceback and take the others down.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Python's tracker starts with the first process and would end the blocking.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_process():
    """Prepare a process of a Decoders: only its parent ends it, but its parent's end does so.

    Ctrl-C, and a SIGTERM to the whole group, are the parent's to answer: it may still need
    pictures to finish its step. And where the parent is killed, nobody else would end this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent():
    """Wait for the end of the parent process, then end this one."""
    multiprocessing.parent_process().join()
    os._exit(1)
