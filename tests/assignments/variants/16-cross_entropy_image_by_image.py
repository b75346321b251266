"""layers/cross_entropy.py: a loop over the images, everything computed again in the backward."""

import numpy as np


def forward(logits, targets, smoothing=0.0):
    K = logits.shape[1]
    rows = [np.eye(K)[t] if np.ndim(t) == 0 else t for t in targets]
    rows = [(row * (1 - smoothing) + smoothing / K).astype(logits.dtype) for row in rows]
    losses = [-(row @ log_softmax(x)) for row, x in zip(rows, logits, strict=True)]
    return np.array(losses, logits.dtype), (logits.copy(), rows)


def backward(dlosses, cache):
    logits, rows = cache
    dlogits = np.zeros_like(logits)
    for i, row in enumerate(rows):
        dlogits[i] = dlosses[i] * (np.exp(log_softmax(logits[i])) - row)
    return dlogits


def log_softmax(x):
    return x - np.logaddexp.reduce(x)
