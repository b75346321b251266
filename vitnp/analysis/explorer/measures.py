"""The numbers that the page shows of one picture."""

from dataclasses import dataclass, replace

import numpy as np

from vitnp.analysis import interpret
from vitnp.backend import to_host
from vitnp.checkpoint import class_names
from vitnp.data import picture
from vitnp.errors import Error

MOST_CLASSES = 5
FINE = 448              # pixels of the longer side of a picture as it is shown


@dataclass(frozen=True)
class Measured:
    """What the page shows of one picture.

    seen: uint8 (height, width, C), as the network takes it; fine: the same part of the file with
    more pixels, or None where there are no more; attention: (blocks, H, T, T), rows of sum 1;
    rollout: (T, T), rows of sum 1; predictions: pairs (class name, probability), the likeliest
    first, none for a network without a head.
    """

    name: str
    seen: np.ndarray
    fine: np.ndarray | None
    attention: np.ndarray
    rollout: np.ndarray
    predictions: list


def of_file(trained, path, name, blocks):
    """Return what is Measured of the picture in a file; blocks: their numbers, from 0.

    Raises Error for a file that is no picture, and for weights that give no finite numbers.
    """
    images = trained.preprocess.batch([path])                                   # (1, h, w, C)
    attention, means = [], []
    with np.errstate(over="ignore", invalid="ignore"):
        for block, weights in enumerate(interpret.attentions(trained, images)):     # (1, H, T, T)
            means.append(weights.mean(axis=1, keepdims=True))
            if block in blocks:
                attention.append(weights[0])
        rollout = interpret.rollout_matrix(means)[0]                            # (T, T)
        predictions = likeliest(trained, images)
    if not np.isfinite(rollout).all():
        raise Error(f"the attention weights for {path} are infinite or not numbers; the weights of "
                    "this model are damaged")
    return Measured(name, images[0], finer(trained.preprocess, path), np.stack(attention), rollout,
                    predictions)


def likeliest(trained, images):
    """Return the likeliest classes of one image as pairs (name, probability)."""
    if trained.config.classes is None:
        return []
    probabilities = to_host(trained.probabilities(images))[0]
    names = class_names.names_of(trained)
    best = np.argsort(-probabilities, kind="stable")[:MOST_CLASSES]
    return [(names[k], float(probabilities[k])) for k in best]


def finer(preprocess, path):
    """Return the part of a picture that the network sees, with more pixels, or None.

    Its sides are whole multiples of the network's, so that patches end where they do there.
    """
    times = min(FINE, max(picture.load(path).size)) // max(preprocess.size)
    if times < 2:
        return None
    size = tuple(times * side for side in preprocess.size)
    return replace(preprocess.with_size(size), resample="bicubic").read(path)
