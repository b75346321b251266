"""How the layers are run: a step's batch, its loss and its gradients."""

import contextlib

from vitnp import params as parameters
from vitnp import vit
from vitnp.backend import get_xp
from vitnp.layers import textbook

# Multiplications in a product of matrices, below which a second BLAS thread saves nothing: a step
# on the digits takes 17.2 ms with one thread and 17.9 ms with two (medians, two cores). With one,
# the sums are also rounded alike on machines with more cores.
SMALL_PRODUCT = 2**23


def blas_threads(config, batch_size):
    """Return a context manager that gives BLAS one thread where the products of a step are small.

    It is for the whole process, and ends with the context.
    """
    if batch_size * config.tokens * config.width * config.mlp_width >= SMALL_PRODUCT:
        return contextlib.nullcontext()
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")


def loss_and_gradients(images, targets, params, gradients, config, ops=textbook, smoothing=0.0,
                       rng=None):
    """Add the gradients of a batch's mean loss to a tree, and return losses (B,) and logits (B, K).

    images: (B, height, width, C), scaled; targets: integers (B,) or probabilities (B, K);
    params, gradients: trees of one shape; rng: a Generator for dropout, or None.
    """
    logits, cache = vit.forward(images, params, config, ops, rng, all_tokens=False)
    losses, loss_cache = ops.cross_entropy.forward(logits, targets, smoothing)
    # mean loss = Σ losses / B
    dlosses = get_xp(losses).full_like(losses, 1.0 / len(images))
    dlogits = ops.cross_entropy.backward(dlosses, loss_cache)

    def add(part, part_gradients):
        parameters.add(parameters.find(gradients, part), part_gradients)

    vit.backward(dlogits, cache, add)
    return losses, logits


def logits(images, params, config, ops=textbook):
    """Return the logits (B, K) of scaled images, keeping no cache but the running block's."""
    return features_and_logits(images, params, config, ops)[1]


def features_and_logits(images, params, config, ops=textbook):
    """Return the input (B, D) of the last linear layer, and the logits (B, K)."""
    x, _ = vit.embed(images, params, config, ops)                       # (B, T, D)
    for tokens, _ in vit.encode(x, params, config, ops, all_tokens=False):
        x = tokens                                                      # (B, T, D) or (B, 1, D)
    scores, cache = vit.head(x, params, config, ops)                    # (B, K)
    return cache["features"], scores
