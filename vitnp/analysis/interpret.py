"""What a trained network has learned and where it looks: the numbers behind the paper's figures.

First the measures, of plain arrays; then those of a model and many pictures, in memory that does
not grow with them.
"""

import itertools

import numpy as np

from vitnp import networks, vit
from vitnp.backend import get_xp, to_device, to_host
from vitnp.parallel import lanes


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

    It is the class token's row of the rollout matrix, or without a class token the mean of all
    rows. The sum over the patches is set to 1.
    Source: Abnar, Zuidema 2020, Quantifying Attention Flow in Transformers, section 3; Dosovitskiy
    et al. 2021, appendix D.8.

    attentions: for each block (B, H, T, T), rows of sum 1, T the number N of patches or N + 1.
    """
    rows, columns = grid
    reached = rollout_matrix(attentions)                                    # (B, T, T)
    has_class_token = reached.shape[-1] > rows * columns
    mask = reached[:, 0, 1:] if has_class_token else reached.mean(axis=1)   # (B, N)
    return (mask / mask.sum(axis=1, keepdims=True)).reshape(-1, rows, columns)


def rollout_matrix(attentions):
    """Return how much of each token (columns) is in each token after all blocks (rows), (B, T, T).

    Equation: R = Aₗ … A₁ with Aᵢ = ½ (mean over heads of the attention of block i) + ½ I, because
    of the residual connection.
    """
    reached = np.eye(attentions[0].shape[-1])
    for attention in attentions:
        step = 0.5 * attention.mean(axis=1) + 0.5 * np.eye(attention.shape[-1])     # (B, T, T)
        reached = step @ reached                                            # (B, T, T)
    return reached


def attentions(trained, images):
    """Yield the attention weights (B, H, T, T) of one block after the other, on the host.

    Those of all blocks together may need gigabytes; they are Model.attention(images).
    images: (B, height, width, C), as Preprocess.batch returns them.
    """
    networks.need_transformer(trained.config, "attention weights are")
    gamma = trained.params["norm"]["gamma"]
    images = trained.preprocess.scale(to_device(images, get_xp(gamma)), gamma.dtype)
    x, _ = vit.embed(images, trained.params, trained.config, trained.ops)       # (B, T, D)
    for _, cache in vit.encode(x, trained.params, trained.config, trained.ops):
        yield to_host(cache["attention"]["weights"])
        del cache


def in_lanes(measure, trained, images):
    """Return measure(images of a micro-batch), an array (B, …) each, put together, from all lanes.

    On a GPU there is one lane; micro-batches are as small as on a CPU, because of the weights.
    """
    on_cpu = get_xp(trained.params["norm"]["gamma"]) is np
    size = lanes.micro_batch_size(trained.config, len(images))
    results = lanes.in_micro_batches(lambda part, turn: measure(images[part]), len(images), size,
                                     trained.threads if on_cpu else 1)
    return np.concatenate(results)


def rollouts(trained, images):
    """Return the attention rollout (B, rows, columns) of images (B, height, width, C)."""
    def measure(part):
        # The rollout needs the mean over the heads alone
        means = [weights.mean(axis=1, keepdims=True) for weights in attentions(trained, part)]
        return attention_rollout(means, trained.config.grid)

    return in_lanes(measure, trained, images)


def distances(trained, images):
    """Return the attention distances (B, depth, H) in pixels of images (B, height, width, C)."""
    def measure(part):
        found = [attention_distance(weights, trained.config.grid, trained.config.patch_size)
                 for weights in attentions(trained, part)]
        return np.stack(found, axis=1)                                  # (B, depth, H)

    return in_lanes(measure, trained, images)


def even_distance(config):
    """Return the attention distance in pixels of a head that looks at all patches alike."""
    N = config.grid[0] * config.grid[1]
    even = np.full((1, 1, N, N), 1 / N)
    return float(attention_distance(even, config.grid, config.patch_size)[0, 0])


def query_attention(trained, images, block, queries):
    """Return the attention from some patches to all, (B, Q, H, rows, columns).

    block: its number from 0; queries: Q pairs (row, column) of patches, from 0. What the class
    token gets of the attention is what the rest lacks to the sum 1.
    """
    rows, columns = trained.config.grid
    first = int(trained.config.class_token)
    tokens = [first + row * columns + column for row, column in queries]

    def measure(part):
        weights = next(itertools.islice(attentions(trained, part), block, None))
        weights = weights[:, :, tokens, first:].swapaxes(1, 2)          # (B, Q, H, N)
        return weights.reshape(*weights.shape[:3], rows, columns)

    return in_lanes(measure, trained, images)


def similarity_of_positions(trained):
    """Return how alike the patches' positions are, (rows, columns, rows, columns), or None.

    None is for a network without positions.
    """
    p, grid = trained.params["embedding"], trained.config.grid
    if trained.config.positions == "none":
        return None
    if trained.config.positions == "2d":
        position, _ = trained.ops.position_2d.forward(p["position_row"], p["position_column"],
                                                      False)            # (N, D)
    else:
        position = p["position"][-grid[0] * grid[1]:]                   # (N, D)
    return position_similarity(to_host(position)).reshape(*grid, *grid)
