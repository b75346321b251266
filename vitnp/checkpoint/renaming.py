"""Other people's names for our tensors: tables that are read in both directions.

A row of a table says where one tensor of a file has its place, with one letter for each axis:

    P, Q   rows and columns of a patch      D, O   width (O where both axes are as wide)
    C      channels                         E      three widths, of queries, keys and values
    H, d   heads, and the width of each     M      width of the MLP
    T      tokens                           R, K   input of the head, classes
    1      an axis of length 1

Every conversion is a view: our tensor with its axes split and turned. Written to, it loads a file
straight into the flat buffer; read, it saves one. Gradients are converted in the same way.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np

from vitnp import params, vit
from vitnp.errors import Error

MOST = 10       # differences that a message lists


class Row(NamedTuple):
    """The place of a file's tensor.

    path: as in `vit.shapes`, in a block's rows without "blocks/<i>/"; axes: letters of the axes in
    the file; ours: the same letters in our order, where it differs; third: which third of our last
    axis it is (0 queries, 1 keys, 2 values), or None.
    """

    path: str
    axes: str
    ours: str | None = None
    third: int | None = None


class Layout(NamedTuple):
    """A table of rows: stem, and block, which holds for each block after the prefix.

    Both are dicts name → Row; the prefix has "{}" in place of the block's number.
    """

    stem: dict
    block: dict
    prefix: str


def to_ours(tensors, layout, config):
    """Return a file's tensors, or gradients under their names, as a tree like `vit.shapes`."""
    rows, sizes = rows_of(layout, config), sizes_of(config)
    shapes = vit.shapes(config)
    dtype = np.result_type(*(tensors[name] for name in rows))
    flat = params.allocate(shapes, dtype, np)
    ours = params.flatten(params.views(flat, shapes))
    for name, row in rows.items():
        view(ours[row.path], row, sizes)[...] = tensors[name]
    return params.nest(ours)


def from_ours(tree, layout, config):
    """Return a tree of parameters or gradients as a dict name → array, as the file has them."""
    ours, sizes = params.flatten(tree), sizes_of(config)
    return {name: np.ascontiguousarray(view(ours[row.path], row, sizes))
            for name, row in rows_of(layout, config).items()}


def read(source, layout, config):
    """Return the tree of the tensors in a Source; floats of 16 bits become float32.

    Raises Error that lists all that are missing, too many, or of a wrong shape or type, or else
    all that hold NaN or infinite values.
    """
    rows, sizes, shapes = rows_of(layout, config), sizes_of(config), vit.shapes(config)
    refuse(source.path, differences(source, rows, sizes))
    dtype = np.result_type(np.float32, *(source.types[name] for name in rows))
    ours = params.flatten(params.views(params.allocate(shapes, dtype, np), shapes))
    wrong = []
    for name, row in rows.items():
        tensor = source.get(name)
        if not np.isfinite(tensor).all():
            wrong.append(f"{name} holds NaN or infinite values")
        view(ours[row.path], row, sizes)[...] = tensor
    refuse(source.path, wrong)
    return params.nest(ours)


def differences(source, rows, sizes):
    """Return, in words, what is wrong with the names, shapes and types of a Source."""
    wrong = []
    for name, row in rows.items():
        expected = tuple(sizes[axis] for axis in row.axes)
        if name not in source.shapes:
            wrong.append(f"{name} of shape {expected} is missing")
        elif source.shapes[name] != expected:
            wrong.append(f"{name} has shape {source.shapes[name]}, not {expected}")
        elif not is_float(source.types[name]):
            wrong.append(f"{name} is of type {source.types[name]}, not of floats of 16, 32 or 64 "
                         "bits")
    return wrong + [f"{ascii(name)[1:-1]} belongs to no part of this model"
                    for name in source.shapes if name not in rows]


def is_float(dtype):
    """Tell whether a type, NumPy's or the name of another, is one of floats up to 64 bits."""
    return isinstance(dtype, np.dtype) and dtype.kind == "f" and dtype.itemsize <= 8


def refuse(path, wrong):
    """Raise Error where there is a list of things that are wrong with a file."""
    if wrong:
        more = f"; and {len(wrong) - MOST} more" if len(wrong) > MOST else ""
        raise Error(f"{path} does not hold the Vision Transformer that it seems to be: "
                    f"{'; '.join(wrong[:MOST])}{more}")


def view(tensor, row, sizes):
    """Return our tensor as the file has it: a view that shares its memory."""
    if row.third is not None:
        width = sizes["D"]
        tensor = tensor[..., row.third * width:(row.third + 1) * width]
    ours = row.ours or row.axes
    split = tensor.reshape([sizes[axis] for axis in ours])
    return split.transpose([ours.index(axis) for axis in row.axes]) if row.ours else split


def rows_of(layout, config):
    """Return a dict name → Row, with whole paths, of what a network of this configuration has."""
    rows = dict(layout.stem)
    for i in range(config.depth):
        for name, row in layout.block.items():
            rows[layout.prefix.format(i) + name] = row._replace(path=f"blocks/{i}/{row.path}")
    shapes = vit.shapes(config)
    return {name: row for name, row in rows.items() if row.path in shapes}


def sizes_of(config):
    """Return the length of each letter's axis in a network of this configuration."""
    D, H, P = config.width, config.heads, config.patch_size
    return {"1": 1, "P": P, "Q": P, "C": config.channels, "D": D, "O": D, "E": 3 * D, "H": H,
            "d": D // H, "M": config.mlp_width, "T": config.tokens,
            "R": config.pre_logits or D, "K": config.classes}


def sizes_in(source, layout, needed):
    """Return the length of each letter's axis in a Source, and under "depth" the blocks.

    Most tensors decide, so that a wrong one is found out by the others. Raises Error where a letter
    of `needed` cannot be read from any.
    """
    votes, blocks = {}, set()
    before, _, after = layout.prefix.partition("{}")
    for name, shape in source.shapes.items():
        row = layout.stem.get(name)
        if name.startswith(before):
            block, _, rest = name.removeprefix(before).partition(after)
            row = layout.block.get(rest)
            blocks |= {block} if row else set()
        if row and len(row.axes) == len(shape):
            for axis, length in zip(row.axes, shape, strict=True):
                votes.setdefault(axis, Counter())[length] += 1
    sizes = {axis: counts.most_common(1)[0][0] for axis, counts in votes.items()}
    lacking = [name for name, row in example(layout).items()
               if any(sizes.get(axis, 0) < 1 for axis in set(row.axes) & set(needed))]
    if lacking:
        raise Error(f"{source.path} is no Vision Transformer whose sizes can be read: missing, or "
                    f"with another number of axes, are {', '.join(lacking)}")
    return sizes | {"depth": len(blocks)}


def example(layout):
    """Return the rows of the stem and of the first block."""
    block = {layout.prefix.format(0) + name: row for name, row in layout.block.items()}
    return layout.stem | block
