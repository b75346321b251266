"""The same network, written down in another way: tensors renamed, left out, added or multiplied.

So a table needs to know one way alone. A Source is changed as it is read, a tree before it is
written.
"""

import math
from dataclasses import replace

import numpy as np

from vitnp import params
from vitnp.common.progress import say
from vitnp.errors import Error
from vitnp.layers import position_2d


def renamed(source, names):
    """Return a Source with other names, a dict new name → old name, and no more tensors."""
    return source._replace(shapes={new: source.shapes[old] for new, old in names.items()},
                           types={new: source.types[old] for new, old in names.items()},
                           get=lambda name: source.get(names[name]))


def without(source, names):
    """Return a Source without some tensors, which have no influence on what is computed."""
    return renamed(source, {name: name for name in source.shapes if name not in names})


def with_zeros(source, shapes):
    """Return a Source with tensors of zeros, of which a file has none; shapes: name → shape."""
    added = {name: shape for name, shape in shapes.items() if name not in source.shapes}
    return source._replace(
        shapes=source.shapes | added,
        types=source.types | dict.fromkeys(added, np.dtype(np.float32)),
        get=lambda name: np.zeros(added[name], np.float32) if name in added else source.get(name))


def with_class_position(source, name):
    """Return a Source whose positions (1, N, D) have one of zeros before them, the class token's.

    A class token that has no position is one whose position is zero.
    """
    one, patches, *width = source.shapes[name]

    def get(asked):
        tensor = source.get(asked)
        return np.pad(tensor, ((0, 0), (1, 0), (0, 0))) if asked == name else tensor

    return source._replace(shapes=source.shapes | {name: (one, patches + 1, *width)}, get=get)


def scaled(source, scales):
    """Return a Source whose tensors are multiplied with scales, which it has no longer.

    scales: name → name of the scale (D,), of the tensor's first axis. A scale after a layer,
    λ (x W + b), is that layer with λ W and λ b: the same network.
    """
    scales = {name: scale for name, scale in scales.items() if name in source.shapes}
    for name, scale in scales.items():
        if source.shapes[scale] != source.shapes[name][:1]:
            raise Error(f"{source.path} is damaged: {scale} has the shape {source.shapes[scale]}, "
                        f"which does not fit {name} of {source.shapes[name]}")

    def get(name):
        tensor = source.get(name)
        if name not in scales:
            return tensor
        scale = source.get(scales[name])
        return tensor * scale.reshape(-1, *[1] * (tensor.ndim - 1))

    return without(source, set(scales.values()))._replace(get=get)


def as_written(tree, config, eps=None):
    """Return (tree, config) of the same network with learned positions, and with that eps.

    Positions that are "none" or "2d" are written out. LN(c x) with c² ε in place of ε is LN(x): so
    the network with another ε is the one in which all that is added to the tokens has c times the
    size. A line says what was changed.
    """
    tree = params.flatten(tree)
    if config.positions != "learned":
        say(f"the positions, {config.positions!r}, are written as learned ones: the same network")
        position = np.zeros((config.tokens, config.width), tree["norm/gamma"].dtype)
        if config.positions == "2d":
            row, column = (tree.pop(f"embedding/position_{axis}") for axis in ("row", "column"))
            position, _ = position_2d.forward(row, column, config.class_token)
        tree["embedding/position"] = position
        config = replace(config, positions="learned")
    if eps not in (None, config.eps):
        factor = math.sqrt(eps / config.eps)
        say(f"the layout knows LayerNorm with eps {eps:g} alone, but this network has "
            f"{config.eps:g}: what is added to the tokens is written {factor:g} times as large, "
            "which is the same network")
        tree = {path: array * array.dtype.type(factor) if is_added(path) else array
                for path, array in tree.items()}
        config = replace(config, eps=eps)
    return params.nest(tree), config


def is_added(path):
    """Tell whether a parameter is of what is added to the tokens, and not within a branch."""
    return path.startswith("embedding/") or "/attention/out/" in path or "/mlp/out/" in path
