"""What a trained network has learned and where it looks: the numbers behind the paper's figures."""

import numpy as np


def filter_components(weight, patch_size, count=28):
    """Return the principal components of the patch filters, and the share that each explains.

    The D filters are points in the space of patches; their components are pictures, ordered by
    the variance along them. Source: Dosovitskiy et al. 2021, figure 7, left.

    weight: (P·P·C, D), of the patch projection. Returns (count, P, P, C), at most as many as there
    are filters or pixels, and shares (count,) of the variance.
    """
    filters = weight.T - weight.T.mean(axis=0)                              # (D, P·P·C)
    _, lengths, components = np.linalg.svd(filters, full_matrices=False)
    count = min(count, len(lengths))
    shares = lengths**2 / max((lengths**2).sum(), np.finfo(weight.dtype).tiny)
    pictures = components[:count].reshape(count, patch_size, patch_size, -1)
    return pictures, shares[:count]


def position_similarity(position):
    """Return how alike the positions are: cosines (N, N) of the rows of position (N, D).

    Source: Dosovitskiy et al. 2021, figure 7, centre; the class token's row is to be left out.
    """
    lengths = np.linalg.norm(position, axis=1, keepdims=True)
    units = position / np.maximum(lengths, np.finfo(position.dtype).tiny)   # (N, D)
    return units @ units.T                                                  # (N, N)


def attention_distance(attention, grid, patch_size):
    """Return the mean distance in pixels over which each head looks, (B, H).

    Equation: the mean over patches i of Σⱼ aᵢⱼ |i - j|, where aᵢⱼ is the attention from patch i to
    patch j, its sum over the patches j set to 1, and |i - j| the distance of their centres. The
    class token, as the one who looks or is looked at, is left out.
    Source: Dosovitskiy et al. 2021, figure 7, right, and appendix D.7.

    attention: (B, H, T, T), rows of sum 1, T the number N of patches or N + 1; grid: (rows,
    columns) of the patches.
    """
    rows, columns = grid
    among = attention[:, :, -rows * columns:, -rows * columns:]             # (B, H, N, N)
    among = among / among.sum(axis=-1, keepdims=True)
    y, x = np.divmod(np.arange(rows * columns), columns)
    apart = np.hypot(y[:, None] - y, x[:, None] - x) * patch_size           # (N, N)
    return (among * apart).sum(axis=-1).mean(axis=-1)                       # (B, H)


def attention_rollout(attentions, grid):
    """Return how much of each patch reaches the output through all blocks, (B, rows, columns).

    Equation: R = Aₗ … A₁ with Aᵢ = ½ (mean over heads of the attention of block i) + ½ I, because
    of the residual connection; the class token's row of R, or without one the mean of all rows.
    The sum over the patches is set to 1.
    Source: Abnar, Zuidema 2020, Quantifying Attention Flow in Transformers, section 3; Dosovitskiy
    et al. 2021, appendix D.8.

    attentions: for each block (B, H, T, T), rows of sum 1, T the number N of patches or N + 1.
    """
    rows, columns = grid
    reached = np.eye(attentions[0].shape[-1])
    for attention in attentions:
        step = 0.5 * attention.mean(axis=1) + 0.5 * np.eye(attention.shape[-1])     # (B, T, T)
        reached = step @ reached                                            # (B, T, T)
    has_class_token = reached.shape[-1] > rows * columns
    mask = reached[:, 0, 1:] if has_class_token else reached.mean(axis=1)   # (B, N)
    return (mask / mask.sum(axis=1, keepdims=True)).reshape(-1, rows, columns)
