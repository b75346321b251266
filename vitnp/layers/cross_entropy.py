"""Softmax and cross-entropy in one, with label smoothing."""

from vitnp.backend import get_xp
from vitnp.errors import Error


def forward(logits, targets, smoothing=0.0):
    """Measure how surprised the predicted probabilities are by the targets.

    Equation: loss = -Σ_k t_k log softmax(logits)_k, with the smoothed target
    t = (1 - smoothing) · target + smoothing / K.
    Source: Szegedy et al. 2016, section 7, for the smoothing.

    logits: (B, K); targets: integers (B,), or rows of probabilities (B, K) that sum to 1.
    Returns losses (B,), one an image, and the cache. Raises Error for other targets, and on a CPU
    for numbers that are no class (on a GPU, looking at them would wait for it).
    """
    xp, (B, K) = get_xp(logits, targets), logits.shape
    check_targets(targets, B, K)
    if targets.ndim == 1:
        targets = targets[:, None] == xp.arange(K)              # (B, K)
    targets = targets.astype(logits.dtype) * (1.0 - smoothing) + smoothing / K
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sum = xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))    # (B, 1)
    log_probabilities = shifted - log_sum                       # (B, K)
    # A class without probability and without a share of the target adds 0, not 0 · ∞
    surprise = xp.where(targets > 0.0, log_probabilities, 0.0)
    losses = -(targets * surprise).sum(axis=1)                  # (B,)
    return losses, (log_probabilities, targets)


def backward(dlosses, cache):
    """Return dlogits (B, K) for dlosses (B,), which holds 1 / (images in the whole step).

    Softmax and logarithm cancel: dlogits = dlosses · (softmax(logits) - t).
    """
    log_probabilities, targets = cache
    xp = get_xp(log_probabilities)
    # losses = -(targets * log_softmax(logits)).sum(axis=1), with the targets' sum 1
    return dlosses[:, None] * (xp.exp(log_probabilities) - targets)


def check_targets(targets, B, K):
    """Raise Error unless targets are the classes of B images, or B rows of K probabilities."""
    if targets.shape not in ((B,), (B, K)):
        raise Error(f"targets of the shape {targets.shape} do not fit logits ({B}, {K}); give a "
                    f"class for each image, ({B},), or probabilities, ({B}, {K})")
    if targets.ndim == 2 or not B:
        return
    if targets.dtype.kind not in "iu":
        raise Error(f"classes are whole numbers, but the targets are of type {targets.dtype}")
    if get_xp(targets).__name__ == "numpy" and not 0 <= targets.min() <= targets.max() < K:
        raise Error(f"targets go from {targets.min()} to {targets.max()}, but the classes are 0 to "
                    f"{K - 1}")
