"""The cases of the gradient check for convolutional layers, in the form of gradcheck.cases.

All sizes differ, so that an exchanged axis shows: B 2, height 5, width 7, C 4, F 6, kernels 3 x 2.
ReLU and max pooling have kinks, where a difference quotient is no slope: what they get here keeps
at least 0.01 away from them, and their `margin` is asserted for the composites.
"""

import math
from dataclasses import replace

import numpy as np

from vitnp import networks, params
from vitnp.config import ViTConfig
from vitnp.gradcheck import Case
from vitnp.gradcheck.cases import drawing, leaf, part
from vitnp.layers.convolutional import stem as stem_layer
from vitnp.layers.convolutional import textbook
from vitnp.networks import resnet
from vitnp.networks.resnet import ResNetConfig

SIZES = ResNetConfig(image_size=(5, 7), channels=3, width=4, depths=(1, 2), classes=9, groups=2,
                     eps=0.01)
HYBRID = ViTConfig(image_size=(11, 6), patch_size=1, channels=3, width=12, depth=2, heads=3,
                   mlp_width=10, classes=9, stem=(8, 16), eps=0.01)
MAP, IMAGES, KERNEL = (2, 5, 7, 4), (2, 5, 7, 3), (3, 2, 4, 6)


def all_cases(xp=np, ops=textbook):
    """Return the cases of all convolutional layers, and of networks made of them."""
    draw = drawing(xp)
    cases = leaf_cases(draw, ops) + composite_cases(draw, ops) + network_cases(draw, ops)
    p = {name: value for name, value in parameters(HYBRID, draw)["embedding"].items()
         if name != "stem"}
    return [*cases, part("patch_embedding", ops.patch_embedding, draw((4, 3, 2, 16)), p, HYBRID,
                         ops)]


def spread_out(draw, shape):
    """Return numbers in random order, none within 0.01 of another or of 0."""
    size = math.prod(shape)
    rank = draw((size,)).argsort().argsort().reshape(shape)
    return (rank - size // 2 + 0.5) * 0.02


def leaf_cases(draw, ops):
    """Return the cases of the leaves."""
    x, weight = {"x": draw(MAP)}, {"weight": draw(KERNEL)}
    affine = {"gamma": draw((4,)), "beta": draw((4,))}
    apart = {"x": spread_out(draw, MAP)}
    return [
        leaf("windows", ops.windows, x, (3, 2), 1),
        leaf("windows, stride 2", ops.windows, x, (2, 3), 2),
        leaf("convolution", ops.convolution, x | weight, ops),
        leaf("convolution, stride 2", ops.convolution, x | weight, ops, 2),
        leaf("convolution, 1 x 1, stride 2", ops.convolution, x | {"weight": draw((1, 1, 4, 6))},
             ops, 2),
        leaf("weight_standardisation", ops.weight_standardisation, weight),
        leaf("standardised_convolution", ops.standardised_convolution, x | weight, ops, 2),
        leaf("group_norm", ops.group_norm, x | affine, 2),
        leaf("group_norm, one group", ops.group_norm, x | affine, 1),
        leaf("relu", ops.relu, apart),
        leaf("max_pool", ops.max_pool, apart, ops),
        leaf("max_pool, 2 x 3", ops.max_pool, apart, ops, (2, 3), 1),
        leaf("mean_pool", ops.mean_pool, x),
    ]


def parameters(config, draw):
    """Return a tree of random parameters."""
    shapes = networks.of(config).shapes(config)
    return params.nest({path: draw(shape) for path, shape in shapes.items()})


def stem_parameters(widths, draw):
    """Return a tree of random parameters of a stem."""
    return params.nest({path: draw(shape) for path, shape in stem_layer.shapes(3, widths).items()})


def composite_cases(draw, ops):
    """Return the cases of the composites."""
    tree, x, images = parameters(SIZES, draw), draw(MAP), draw(IMAGES)
    large = replace(SIZES, root="large")
    head = {name: tree[name] for name in resnet.HEAD_PARTS}
    return [
        part("residual_block", ops.residual_block, x, tree["blocks"][0], SIZES, ops, 1),
        part("residual_block, shortcut", ops.residual_block, x, tree["blocks"][1], SIZES, ops,
                  2),
        part("root", ops.root, images, tree["root"], SIZES, ops),
        part("root, large", ops.root, images, parameters(large, draw)["root"], large, ops),
        part("pooled_head", ops.pooled_head, draw((2, 5, 7, 8)), head, SIZES, ops),
        part("pooled_head, no classes", ops.pooled_head, draw((2, 5, 7, 8)),
                  {"norm": tree["norm"]}, SIZES, ops),
        part("stem", ops.stem, images, stem_parameters((8, 16), draw), ops),
    ]


def network_cases(draw, ops):
    """Return the cases of small networks."""
    large = replace(SIZES, root="large", image_size=(19, 13), depths=(1, 1, 1), groups=4)
    return [network("resnet", SIZES, draw, ops), network("resnet, large root", large, draw, ops),
            network("resnet, no head", replace(SIZES, classes=None), draw, ops),
            network("hybrid", HYBRID, draw, ops),
            network("hybrid, patches of a map", replace(HYBRID, stem=(8,), patch_size=2,
                                                        image_size=(8, 12)), draw, ops)]


def network(name, config, draw, ops):
    """Return the case of a whole network."""
    module = networks.of(config)

    def backward(dy, cache):
        dimages, gradients = module.backward(dy, cache)
        return {"images": dimages, "params": gradients}

    arguments = {"images": draw((2, *config.image_size, config.channels)),
                 "params": parameters(config, draw)}
    return Case(name, arguments, lambda arguments: module.forward(
        arguments["images"], arguments["params"], config, ops), backward, sampled=True)
