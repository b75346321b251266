"""How good a model is on labelled images."""

from dataclasses import dataclass

import numpy as np

from vitnp.layers import textbook

CHUNK = 1000        # images that are read at a time: a folder's pictures do not fit into memory


@dataclass(frozen=True)
class Score:
    """The mean loss, the share of right answers, and confusion[label, prediction] counts."""

    loss: float
    accuracy: float
    confusion: np.ndarray


def score(model, images, labels, indices=None):
    """Return the Score of a model on uint8 images (B, height, width, C) with labels (B,).

    indices: which of them, by default all.
    """
    labels = labels if indices is None else labels[indices]
    return score_of(logits_of(model, images, indices), labels)


def score_of(logits, labels):
    """Return the Score of float64 logits (B, K) of images with labels (B,)."""
    losses, _ = textbook.cross_entropy.forward(logits, labels)
    predictions = logits.argmax(axis=1)
    classes = logits.shape[1]
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predictions), 1)
    return Score(float(losses.mean()), float((predictions == labels).mean()), confusion)


def logits_of(model, images, indices=None):
    """Return float64 logits (B, K) of images, or of those at the indices, read in chunks."""
    indices = np.arange(len(images)) if indices is None else indices
    chunks = [model.logits(images[indices[start:start + CHUNK]])
              for start in range(0, len(indices), CHUNK)]
    return np.concatenate(chunks).astype(np.float64)
