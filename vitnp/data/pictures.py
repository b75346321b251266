"""Picture files that read like an array of images: decoded when they are indexed.

A frozen Pictures says which files; a Decoders holds the processes that decode them.
"""

import contextlib
import math
import multiprocessing
import os
import shutil
import signal
import threading
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import resource_tracker, shared_memory

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

    def decode(self, paths, preprocess, drafted=()):
        """Return the pictures in a list of files as uint8 (count, height, width, C).

        preprocess: a Preprocess, which says how they are resized and cut; drafted: which of them
        are decoded by draft, a list of truth values; see Pictures. Raises Error for the first file
        that cannot be read, and where a process was killed.
        """
        drafted = drafted or [False] * len(paths)
        if self.workers <= 1 or len(paths) <= 1:
            return decode(paths, preprocess, drafted)
        at_once = min(math.ceil(len(paths) / (2 * self.workers)), MOST_AT_ONCE)
        chunks = [slice(start, start + at_once) for start in range(0, len(paths), at_once)]
        shape = (len(paths), *preprocess.shape)
        with shared_block(math.prod(shape)) as block:
            name = block.name if block else None
            found = list(self.each(decode_chunk, [
                (paths[chunk], preprocess, drafted[chunk], name, chunk.start) for chunk in chunks]))
            if block is None:
                return np.concatenate(found)
            return np.array(block.buf[:math.prod(shape)], np.uint8).reshape(shape)

    def each(self, work, calls):
        """Yield work(*arguments) for each arguments of calls, in order, computed by the processes.

        Raises what it raises, and Error where a process was killed.
        """
        futures = []
        try:
            futures += [self._submit(work, *arguments) for arguments in calls]
            for future in futures:
                yield future.result()
        except BrokenExecutor:
            self.close()
            raise Error(
                "a process that decodes pictures ended before its time: it was killed, the memory "
                'was full, or the script that started it lacks `if __name__ == "__main__":`; '
                "with 1 worker, pictures are decoded without other processes") from None
        except BaseException as error:
            for future in futures:
                future.cancel()
            wait(futures)       # none may write to a block that is gone
            if isinstance(error, Error):
                # Made again, because it carries the other process' traceback as its cause.
                raise Error(str(error)) from None
            raise

    def _submit(self, work, *arguments):
        with self._lock, interrupts_blocked():
            if self._executor is None:
                # Not fork, which copies the locks that other threads hold.
                context = multiprocessing.get_context("spawn")
                self._executor = ProcessPoolExecutor(self.workers, context, start_process)
            return self._executor.submit(work, *arguments)

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

    Those that are `drafted`, the ones to train on, are decoded by draft: a JPEG is made smaller
    while it is decoded, by 2, 4 or 8, to no less than twice the size. That takes a quarter of the
    time for 12 megapixels, and changes pixels by 0.2 to 1.2 of 255 in the mean of five
    photographs. All others have the pixels that vitnp.predict sees.
    """

    paths: tuple[str, ...]
    preprocess: Preprocess
    decoders: Decoders
    drafted: np.ndarray | None = None       # a truth value for each; None: none of them

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
        drafted = () if self.drafted is None else self.drafted[chosen].reshape(-1).tolist()
        images = self.decoders.decode([self.paths[i] for i in chosen.flat], self.preprocess,
                                      drafted)
        return images.reshape(*chosen.shape, *self.shape[1:])

    def close(self):
        """End the processes that decode, also for those that share them."""
        self.decoders.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def decode(paths, preprocess, drafted):
    """Return the pictures in a list of files as uint8 (count, height, width, C)."""
    images = np.empty((len(paths), *preprocess.shape), np.uint8)
    for image, path, draft in zip(images, paths, drafted, strict=True):
        image[:] = preprocess.read(path, draft)
    return images


def decode_chunk(paths, preprocess, drafted, name, start):
    """Decode pictures to their places, from `start` on, in a block of memory, or return them."""
    images = decode(paths, preprocess, drafted)
    if name is None:
        return images
    block = shared_memory.SharedMemory(name)
    pixels = np.frombuffer(block.buf, np.uint8, images.size, start * images[0].size)
    pixels[:] = images.reshape(-1)
    del pixels                  # the block cannot be closed while there is a view of it
    block.close()
    return None


@contextlib.contextmanager
def shared_block(size):
    """Yield a SharedMemory of so many bytes, or None where the system has no room for it."""
    try:
        # Containers often have 64 MB: what does not fit there kills the process that writes it
        if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free < 2 * size:
            raise OSError
        block = shared_memory.SharedMemory(create=True, size=size)
    except OSError:
        yield None
        return
    try:
        yield block
    finally:
        block.close()
        block.unlink()


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
