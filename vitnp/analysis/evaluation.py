"""How good a model is on labelled images."""

from dataclasses import dataclass

import numpy as np

from vitnp.common.progress import Phase
from vitnp.layers import textbook

CHUNK = 1000        # images that are read at a time: a folder's pictures do not fit into memory
TOP = 5
BINS = 15           # of confidence, for the calibration error


@dataclass(frozen=True)
class Score:
    """How good predictions are.

    loss: the mean; accuracy: the share of right answers; top5: the share of images whose label is
    among the five likeliest classes (None for five classes or fewer); calibration_error: see there;
    confusion[label, prediction]: counts.
    """

    loss: float
    accuracy: float
    top5: float | None
    calibration_error: float
    confusion: np.ndarray

    @property
    def class_accuracies(self) -> np.ndarray:
        """The share of right answers for each label (K,), NaN for labels without images."""
        counts = self.confusion.sum(axis=1)
        return np.where(counts > 0, np.diag(self.confusion) / np.maximum(counts, 1), np.nan)


def score(model, images, labels, indices=None, world=None):
    """Return the Score of a model on uint8 images (B, height, width, C) with labels (B,).

    indices: which of them, by default all; world: see in_chunks.
    """
    labels = labels if indices is None else labels[indices]
    return score_of(logits_of(model, images, indices, world), labels)


def score_of(logits, labels):
    """Return the Score of float64 logits (B, K) of images with labels (B,)."""
    losses, _ = textbook.cross_entropy.forward(logits, labels)
    predictions, classes = logits.argmax(axis=1), logits.shape[1]
    right, confusion = predictions == labels, np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predictions), 1)
    top5 = None
    if classes > TOP:
        likeliest = np.argpartition(-logits, TOP - 1, axis=1)[:, :TOP]          # (B, 5)
        top5 = float((likeliest == labels[:, None]).any(axis=1).mean())
    probabilities, _ = textbook.softmax.forward(logits)                         # (B, K)
    error = calibration_error(probabilities.max(axis=1), right)
    return Score(float(losses.mean()), float(right.mean()), top5, error, confusion)


def calibration_error(confidences, right):
    """Return the expected calibration error: how far confidence and accuracy are apart.

    Equation: Σ over bins of (share of images in the bin) · |mean confidence - accuracy|, the bins
    being 15 equal parts of 0 … 1.
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks, equation 3.

    confidences: (B,), probabilities of the predicted classes; right: (B,), booleans.
    """
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    apart = np.bincount(bins, confidences - right, BINS)
    return float(np.abs(apart).sum() / len(right))


def logits_of(model, images, indices=None, world=None):
    """Return float64 logits (B, K) of images, or of those at the indices, read in chunks."""
    return in_chunks(model.logits, images, indices, world)


def in_chunks(function, images, indices=None, world=None):
    """Return what a model's function says of images, or of those at the indices, in float64.

    world: the Ranks among which the chunks are dealt, or None.
    """
    indices = np.arange(len(images)) if indices is None else indices
    starts = range(0, len(indices), CHUNK)
    with Phase("evaluating", "images", len(indices)) as shown:
        def of_chunk(start):
            found = function(images[indices[start:start + CHUNK]])
            shown.update(min(CHUNK, len(indices) - start))
            return found

        chunks = world.in_turn(of_chunk, starts) if world else [of_chunk(i) for i in starts]
    return np.concatenate(chunks).astype(np.float64)
