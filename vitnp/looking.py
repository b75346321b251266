"""What inside.py measures, of a model and many pictures, in memory that does not grow with them."""

import itertools

import numpy as np

from vitnp import inside, lanes, networks, vit
from vitnp.backend import get_xp, to_device, to_host


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
        return inside.attention_rollout(means, trained.config.grid)

    return in_lanes(measure, trained, images)


def distances(trained, images):
    """Return the attention distances (B, depth, H) in pixels of images (B, height, width, C)."""
    def measure(part):
        found = [inside.attention_distance(weights, trained.config.grid, trained.config.patch_size)
                 for weights in attentions(trained, part)]
        return np.stack(found, axis=1)                                  # (B, depth, H)

    return in_lanes(measure, trained, images)


def even_distance(config):
    """Return the attention distance in pixels of a head that looks at all patches alike."""
    N = config.grid[0] * config.grid[1]
    even = np.full((1, 1, N, N), 1 / N)
    return float(inside.attention_distance(even, config.grid, config.patch_size)[0, 0])


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


def filter_components(trained):
    """Return the components of the patch filters, (count, P, P, C), and their shares (count,)."""
    weight = to_host(trained.params["embedding"]["projection"]["weight"])
    return inside.filter_components(weight, trained.config.patch_size)


def position_similarity(trained):
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
    return inside.position_similarity(to_host(position)).reshape(*grid, *grid)
