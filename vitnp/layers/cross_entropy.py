"""Softmax and cross-entropy in one, with label smoothing."""

from vitnp.backend import get_xp


def forward(logits, targets, smoothing=0.0):
    """Measure how surprised the predicted probabilities are by the targets.

    Equation: loss = -Σ_k t_k log softmax(logits)_k, with the smoothed target
    t = (1 - smoothing) · target + smoothing / K.
    Source: Szegedy et al. 2016, section 7, for the smoothing.

    logits: (B, K); targets: integers (B,), or rows of probabilities (B, K) that sum to 1.
    Returns losses (B,), one an image, and the cache.
    """
    xp = get_xp(logits, targets)
    K = logits.shape[1]
    if targets.ndim == 1:
        targets = targets[:, None] == xp.arange(K)              # (B, K)
    targets = targets.astype(logits.dtype) * (1.0 - smoothing) + smoothing / K
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sum = xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))    # (B, 1)
    log_probabilities = shifted - log_sum                       # (B, K)
    losses = -(targets * log_probabilities).sum(axis=1)         # (B,)
    return losses, (log_probabilities, targets)


def backward(dlosses, cache):
    """Return dlogits (B, K) for dlosses (B,), which holds 1 / (images in the whole step).

    Softmax and logarithm cancel: dlogits = dlosses · (softmax(logits) - t).
    """
    log_probabilities, targets = cache
    xp = get_xp(log_probabilities)
    # losses = -(targets * log_softmax(logits)).sum(axis=1), with the targets' sum 1
    return dlosses[:, None] * (xp.exp(log_probabilities) - targets)
