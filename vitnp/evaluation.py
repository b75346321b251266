"""How good a model is on labelled images."""

from dataclasses import dataclass

import numpy as np

from vitnp.layers import textbook


@dataclass(frozen=True)
class Score:
    """The mean loss, the share of right answers, and confusion[label, prediction] counts."""

    loss: float
    accuracy: float
    confusion: np.ndarray


def score(model, images, labels):
    """Return the Score of a model on uint8 images (B, height, width, C) with labels (B,)."""
    logits = model.logits(images).astype(np.float64)                    # (B, K)
    losses, _ = textbook.cross_entropy.forward(logits, labels)
    predictions = logits.argmax(axis=1)
    confusion = np.zeros((model.config.classes, model.config.classes), np.int64)
    np.add.at(confusion, (labels, predictions), 1)
    return Score(float(losses.mean()), float((predictions == labels).mean()), confusion)
