"""Other weights to start from than random ones: of a trained network, or positions as waves."""

from dataclasses import replace

import numpy as np

from vitnp import model, networks, params, positions, vit
from vitnp.checkpoint import hub, locate
from vitnp.config import ViTConfig
from vitnp.errors import Error


def load(path, heads=None):
    """Return the Model to start from, of a run the best one, and how its positions are resized.

    heads: see vitnp.load. The way is that of the library whose layout the file has, for
    vitnp's own that of the authors.
    """
    path = hub.local(path)
    which = locate.best_or_last(path)
    _, layout = locate.find(path, which)
    return model.load(path, which, heads), "google" if layout == "native" else layout


def preprocess_of(recipe):
    """Return the Preprocess of the network that a recipe starts from, or None."""
    return load(recipe.init_from, recipe.heads)[0].preprocess if recipe.init_from else None


def start_from(pretrained, config, preprocess, method="google"):
    """Return (config, preprocess, flat): a network for new images and classes, from a Model.

    The head is replaced by zeros, a pre-logits layer is dropped, and the positions are resized to
    the new grid, the class token's kept; all other weights stay. Sizes, pooling, kind of positions,
    GELU and the images' preprocessing are those of the trained network; image size, classes and
    rates of dropout those of config and preprocess. method: see positions.resize.
    Source: Dosovitskiy et al. 2021, section 3.2.

    Raises Error where the images have other channels, or cannot be cut into the patches.
    """
    old = pretrained.config
    if old.channels != config.channels:
        raise Error(f"the weights to start from are for images of {old.channels} channels, but "
                    f"these have {config.channels}; choose others, or train without --init-from")
    new = replace(old, image_size=config.image_size, classes=config.classes)
    if isinstance(old, ViTConfig):
        new = replace(new, pre_logits=None, dropout=config.dropout,
                      stochastic_depth=config.stochastic_depth)
    shapes = networks.of(new).shapes(new)
    flat = params.allocate(shapes, pretrained.params["norm"]["gamma"].dtype, np)
    tree = params.flatten(params.views(flat, shapes))
    for path, tensor in params.flatten(pretrained.params).items():
        if path.startswith(("head/", "pre_logits/")):
            continue
        if path.startswith("embedding/position"):
            tensor = resized(path, tensor, old, new, method)
        tree[path][...] = tensor
    scale = pretrained.preprocess.with_size(preprocess.size)
    return new, replace(scale, ground=preprocess.ground), flat


def resized(path, position, old, new, method):
    """Return a tensor of positions for another grid; of "2d" positions it is one axis' alone."""
    if path.endswith("row"):
        return positions.resize(position, (old.grid[0], 1), (new.grid[0], 1), False, method)
    if path.endswith("column"):
        return positions.resize(position, (1, old.grid[1]), (1, new.grid[1]), False, method)
    return positions.resize(position, old.grid, new.grid, old.class_token, method)


def start_with_waves(flat, config):
    """Write positions of sines and cosines to a flat buffer of initial weights, in place."""
    if config.positions != "learned":
        raise Error(f"the positions are {config.positions!r}; only learned ones can start as "
                    "sincos: choose --positions learned or --position-start normal")
    position = params.views(flat, vit.shapes(config))["embedding"]["position"]
    position[-config.grid[0] * config.grid[1]:] = positions.sincos(config.grid, config.width)
