"""Parameters: a nested dict of named arrays, views into one flat buffer.

The tree is what layers read; the buffer is what the optimiser, clipping and saving work on. Tree
and buffer share their memory: a step on the buffer changes every layer's weights.
"""

import math


def allocate(shapes, dtype, xp):
    """Return a flat buffer of zeros with room for all tensors of `shapes`, a dict path → shape."""
    return xp.zeros(sum(math.prod(shape) for shape in shapes.values()), dtype)


def slices(shapes):
    """Return a dict path → slice: where in the flat buffer each tensor lies."""
    places, start = {}, 0
    for path, shape in shapes.items():
        places[path] = slice(start, start + math.prod(shape))
        start = places[path].stop
    return places


def views(flat, shapes):
    """Return the tree of `flat`, whose arrays share its memory."""
    places = slices(shapes)
    return nest({path: flat[places[path]].reshape(shape) for path, shape in shapes.items()})


def nest(tensors):
    """Return a dict path → array as a tree: "blocks/0/b" becomes tree["blocks"][0]["b"]."""
    tree = {}
    for path, tensor in tensors.items():
        node = tree
        *parents, name = path.split("/")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = tensor
    if "blocks" in tree:
        tree["blocks"] = [tree["blocks"][str(i)] for i in range(len(tree["blocks"]))]
    return tree


def flatten(tree, path=""):
    """Return a tree as a dict path → array, the inverse of nest."""
    if not isinstance(tree, dict | list):
        return {path: tree}
    tensors = {}
    for name, part in tree.items() if isinstance(tree, dict) else enumerate(tree):
        tensors |= flatten(part, f"{path}/{name}" if path else str(name))
    return tensors


def find(tree, path):
    """Return the part of a tree at `path`, such as "blocks/3"."""
    for name in path.split("/"):
        tree = tree[int(name)] if isinstance(tree, list) else tree[name]
    return tree


def add(tree, gradients, first=False):
    """Add gradients to the arrays of a tree with the same names and shapes, in place.

    With first=True they overwrite what is there: a sum begins.
    """
    tensors = flatten(tree)
    for path, gradient in flatten(gradients).items():
        tensor = tensors[path]
        check_shape(path, gradient, tensor)
        if first:
            tensor[...] = gradient
        else:
            tensor += gradient


def check_shape(path, gradient, tensor):
    """Raise ValueError unless both have one shape: NumPy would stretch one to the other."""
    if gradient.shape != tensor.shape:
        raise ValueError(f"gradient of {path} has shape {gradient.shape}, not {tensor.shape}")
