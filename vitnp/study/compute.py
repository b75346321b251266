"""How many multiplications a network needs for one image, counted while it runs."""

import dataclasses
from types import SimpleNamespace

import numpy as np

from vitnp import networks, params
from vitnp.common.randomness import generator


def multiplications(config):
    """Return the multiplications of the products in a forward pass of one image.

    Counted from the shapes that the layers get: linear layers, convolutions, and the two products
    of the attention. A training step takes about three times as many.
    """
    network, counted = networks.of(config), []
    flat = network.init(config, generator(0, "init"))
    tree = params.views(flat, network.shapes(config))
    images = np.zeros((1, *config.image_size, config.channels), np.float32)
    network.forward(images, tree, config, counting(networks.layers_of(config), counted))
    return sum(counted)


def counting(ops, counted):
    """Return the layers of ops, which note the multiplications of each product in a list."""
    def noting(layer, count):
        def forward(*arguments, **options):
            y, cache = layer.forward(*arguments, **options)
            counted.append(count(y, *arguments))
            return y, cache

        return SimpleNamespace(**(vars(layer) | {"forward": forward}))

    layers = {"linear": lambda y, x, weight, *_: x.size * weight.shape[1],
              "dot_product_attention": lambda y, q, k, v, *_: 2 * q.size * k.shape[2],
              # each number of the map is a sum over a window
              "convolution": lambda y, x, weight, *_: y.size * weight[..., 0].size}
    return dataclasses.replace(ops, **{name: noting(getattr(ops, name), count)
                                       for name, count in layers.items() if hasattr(ops, name)})
