"""The training loop on one page: forward, loss, backward, step.

    python -m tutorials.train_by_hand

All is here but the layers. `vitnp.training` takes the same steps, with what a long run needs.
"""

import math

import numpy as np

from vitnp import data, optim, params, vit
from vitnp.layers import textbook


def train(weights, config, images, labels, batches, peak, weight_decay=0.05, ops=textbook):
    """Take a step of AdamW for each batch, on the weights in place, and return the losses (steps,).

    weights: the flat buffer of vit.init; images: (count, height, width, C), from -1 to 1; labels:
    (count,); batches: a list of arrays of indices; peak: the highest learning rate.
    """
    shapes = vit.shapes(config)
    gradients, moment1, moment2 = (np.zeros_like(weights) for _ in range(3))
    tree, gradient_tree = params.views(weights, shapes), params.views(gradients, shapes)
    decayed = sum(math.prod(shapes[path]) for path in shapes if vit.is_decayed(path))
    groups = [(slice(0, decayed), 1.0, weight_decay), (slice(decayed, len(weights)), 1.0, 0.0)]
    curve = []
    for step, batch in enumerate(batches):
        logits, cache = vit.forward(images[batch], tree, config, ops)           # (B, K)
        losses, loss_cache = ops.cross_entropy.forward(logits, labels[batch])   # (B,)
        dlosses = np.full_like(losses, 1.0 / len(batch))
        dlogits = ops.cross_entropy.backward(dlosses, loss_cache)               # (B, K)
        params.add(gradient_tree, vit.backward(dlogits, cache)[1], first=True)
        optim.clip_by_global_norm(gradients, optim.global_norm(gradients), 1.0)
        rate = optim.schedule(step, peak, len(batches) // 10, len(batches))
        optim.adamw(weights, gradients, moment1, moment2, step + 1, rate, groups)
        curve.append(losses.mean())
    return np.array(curve)


def in_batches(count, size, epochs, rng):
    """Return the batches of some epochs, each a new order of `count` images."""
    orders = [rng.permutation(count) for _ in range(epochs)]
    return [order[i:i + size] for order in orders for i in range(0, count - size + 1, size)]


def accuracy(weights, config, images, labels, ops=textbook):
    """Return the share of images whose likeliest class is their label."""
    logits, _ = vit.forward(images, params.views(weights, vit.shapes(config)), config, ops)
    return (logits.argmax(axis=1) == labels).mean()


def main():
    """Train a small Vision Transformer on 1,437 digits of 8 x 8, and test it on 360 others."""
    digits, rng = data.load("digits"), np.random.default_rng(0)
    images, others = (part.astype(np.float32) / 127.5 - 1.0
                      for part in (digits.train_images, digits.test_images))
    config = vit.ViTConfig.named("tiny/4", image_size=8, channels=1, classes=10)
    weights = vit.init(config, rng)
    curve = train(weights, config, images, digits.train_labels,
                  in_batches(len(images), 64, 10, rng), peak=2e-3)
    print(f"{len(curve)} steps, loss {curve[0]:.2f} to {curve[-10:].mean():.2f}; "
          f"{100 * accuracy(weights, config, others, digits.test_labels):.1f} % of the test digits")


if __name__ == "__main__":
    main()
