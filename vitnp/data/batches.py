"""The batches of an epoch: which images are in them, and how they are ready when needed."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vitnp.backend import to_device
from vitnp.common.randomness import generator
from vitnp.data.augment import augmented

AHEAD = 4       # batches that wait ready: enough to bridge a slow one, few enough for the memory


def epoch_order(training, seed, epoch):
    """Return the indices of the training images in the order of an epoch, counted from 0."""
    return training[generator(seed, "order", epoch).permutation(len(training))]


def batch_of(dataset, order, recipe, epoch, i, xp=np, read=None):
    """Return the augmented images and targets of step i of an epoch, on the device of xp.

    read: a function of images and indices that reads them with other processes, see Ranks.
    """
    batch = order[i * recipe.batch_size:(i + 1) * recipe.batch_size]
    images = read(dataset.train_images, batch) if read else dataset.train_images[batch]
    images = to_device(images, xp)
    labels = to_device(dataset.train_labels[batch], xp)
    rng = generator(recipe.seed, "augment", epoch, i)
    return augmented(images, labels, len(dataset.class_names), recipe, rng)


def prefetch(prepare, numbers, waiting=AHEAD, threads=1, whole=False):
    """Yield prepare(number) for each number, in order, prepared by threads in the background.

    waiting: how many of them wait at most. What prepare raises is raised here, in its place of the
    order. whole=True: where the caller stops, what has been begun is done, as other processes do.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="batches") as pool:
        ready = deque()
        try:
            for number in numbers:
                ready.append(pool.submit(prepare, number))
                if len(ready) > waiting:
                    yield ready.popleft().result()
            while ready:
                yield ready.popleft().result()
        finally:
            pool.shutdown(cancel_futures=not whole)     # where the caller stops before the end
