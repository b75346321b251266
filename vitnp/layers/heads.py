"""Divide the width among the attention heads, and join it again.

`split` and `merge` only move numbers. Each undoes the other, and so each is the backward of the
other. A transpose is needed: a reshape alone would mix tokens and heads, in the right shape.
"""

from vitnp.backend import get_xp


def split(x, heads, parts):
    """Cut `parts` matrices, side by side in x, into heads.

    x: (B, T, parts·D), with parts=3 holding queries, keys, values one after another, the heads
    within each. Returns a list of `parts` arrays (B, H, T, Dh).
    """
    B, T, width = x.shape
    x = x.reshape(B, T, parts, heads, width // parts // heads)
    x = x.transpose(2, 0, 3, 1, 4)                              # (parts, B, H, T, Dh)
    return list(x)


def merge(parts):
    """Join a list of arrays (B, H, T, Dh) into one array (B, T, len(parts)·D)."""
    xp = get_xp(*parts)
    B, H, T, Dh = parts[0].shape
    x = xp.empty((B, T, len(parts), H, Dh), parts[0].dtype)
    for i, part in enumerate(parts):
        x[:, :, i] = part.transpose(0, 2, 1, 3)                 # (B, T, H, Dh)
    return x.reshape(B, T, len(parts) * H * Dh)                 # (B, T, parts·D)
