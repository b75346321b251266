"""The .npz files of the authors' code (google-research/vision_transformer).

They hold parameters alone. That the GELU is the tanh form, eps 1e-6, and pixels run from -1 to 1
is the code's convention; that images are square is ours where a file's positions allow it.
"""

import math

from vitnp.checkpoint import renaming, rewriting, settings, tensors
from vitnp.checkpoint.renaming import Layout, Row
from vitnp.errors import Error

STEM = {
    "embedding/kernel": Row("embedding/projection/weight", "PQCD"),
    "embedding/bias": Row("embedding/projection/bias", "D"),
    "cls": Row("embedding/class_token", "11D"),
    "Transformer/posembed_input/pos_embedding": Row("embedding/position", "1TD"),
    "Transformer/encoder_norm/scale": Row("norm/gamma", "D"),
    "Transformer/encoder_norm/bias": Row("norm/beta", "D"),
    "pre_logits/kernel": Row("pre_logits/weight", "DR"),
    "pre_logits/bias": Row("pre_logits/bias", "R"),
    "head/kernel": Row("head/weight", "RK"),
    "head/bias": Row("head/bias", "K"),
}
ATTENTION, MLP = "MultiHeadDotProductAttention_1/", "MlpBlock_3/"
BLOCK = {
    "LayerNorm_0/scale": Row("norm1/gamma", "D"),
    "LayerNorm_0/bias": Row("norm1/beta", "D"),
    ATTENTION + "query/kernel": Row("attention/qkv/weight", "DHd", third=0),
    ATTENTION + "key/kernel": Row("attention/qkv/weight", "DHd", third=1),
    ATTENTION + "value/kernel": Row("attention/qkv/weight", "DHd", third=2),
    ATTENTION + "query/bias": Row("attention/qkv/bias", "Hd", third=0),
    ATTENTION + "key/bias": Row("attention/qkv/bias", "Hd", third=1),
    ATTENTION + "value/bias": Row("attention/qkv/bias", "Hd", third=2),
    ATTENTION + "out/kernel": Row("attention/out/weight", "HdD"),
    ATTENTION + "out/bias": Row("attention/out/bias", "D"),
    "LayerNorm_2/scale": Row("norm2/gamma", "D"),
    "LayerNorm_2/bias": Row("norm2/beta", "D"),
    MLP + "Dense_0/kernel": Row("mlp/in/weight", "DM"),
    MLP + "Dense_0/bias": Row("mlp/in/bias", "M"),
    MLP + "Dense_1/kernel": Row("mlp/out/weight", "MD"),
    MLP + "Dense_1/bias": Row("mlp/out/bias", "D"),
}
PREFIXES = ("params/", "opt/target/", "target/", "optimizer/target/")
PREFIX = "Transformer/encoderblock_{}/"
# The published files number all parts of a block; later code numbers those of each kind.
LATER = {ATTENTION: "MultiHeadDotProductAttention_0/", MLP: "MlpBlock_0/",
         "LayerNorm_2/": "LayerNorm_1/"}
POSSIBLE = {"pooling": ("token", "gap"), "gelu": ("tanh",)}


def layout(names=()):
    """Return the table for a file with these names, or for one to be written."""
    if not any(LATER[ATTENTION] in name for name in names):
        return Layout(STEM, BLOCK, PREFIX)
    block = {}
    for name, row in BLOCK.items():
        part = name.partition("/")[0] + "/"
        block[name.replace(part, LATER.get(part, part), 1)] = row
    return Layout(STEM, block, PREFIX)


def to_ours(tensors, config):
    """Return parameters or gradients, a dict name → array as in a file, as a tree."""
    return renaming.to_ours(tensors, layout(tensors), config)


def from_ours(tree, config):
    """Return a tree of parameters or gradients as a dict name → array, as in a file."""
    return renaming.from_ours(tree, layout(), config)


def load(path, given=settings.NOTHING):
    """Return the fields of the Model in a file; class names it never has.

    given: an image_size is needed where the patches make no square; heads the file shows.
    Raises Error for a file that is damaged, or holds something else.
    """
    with tensors.of_npz(path) as source:
        source = without_prefix(source)
        table = layout(source.shapes)
        config = configure(source, table, given.image_size)
        tree = renaming.read(source, table, config)
    return {"config": config, "params": tree, "preprocess": preprocessing(path, config, given)}


def save(path, config, tree, preprocess, class_names=None, multi_label=False, **_):
    """Write a network as a file that the authors' code reads; the names of its classes are lost.

    Raises Error for what such files cannot say, and where it cannot be written.
    """
    cure = "save the network in another layout"
    middle = ((0.5,) * config.channels,)
    settings.check_possible(config, POSSIBLE, "Google's files cannot say that a network has",
                            cure)
    settings.check_possible(preprocess, {"mean": middle, "std": middle, "resample": ("bilinear",),
                                         "resize": (None,)},
                            "Google's files cannot say that images are scaled with", cure)
    if multi_label:
        raise Error("Google's files cannot say that the classes of a network do not exclude each "
                    f"other; {cure}")
    rows, columns = config.grid
    if rows != columns and math.isqrt(rows * columns)**2 == rows * columns:
        raise Error(f"in Google's files, {rows} x {columns} patches would be taken for a square; "
                    + cure)
    tree, config = rewriting.as_written(tree, config, eps=1e-6)
    tensors.write_npz(path, from_ours(tree, config))


def without_prefix(source):
    """Return a Source without the prefix of a whole training state, and without the optimiser's."""
    for prefix in PREFIXES:
        names = {name.removeprefix(prefix): name for name in source.shapes
                 if name.startswith(prefix)}
        if "embedding/kernel" in names:
            return rewriting.renamed(source, names)
    return source


def configure(source, table, image_size):
    """Return the ViTConfig of a Source."""
    sizes = renaming.sizes_in(source, table, needed="PCDHMT")
    # Without "cls", but with one position more than a square has, it is "cls" that is missing
    patches = sizes["T"] - 1
    is_lost = image_size is None and patches > 0 and math.isqrt(patches)**2 == patches
    pooling = "token" if "cls" in source.shapes or is_lost else "gap"
    size = settings.image_size(source.path, image_size, sizes["T"] - (pooling == "token"),
                               sizes["P"])
    return settings.make_config(
        source.path, image_size=size, patch_size=sizes["P"], channels=sizes["C"],
        width=sizes["D"], depth=sizes["depth"], heads=sizes["H"], mlp_width=sizes["M"],
        classes=sizes.get("K"), pooling=pooling,
        pre_logits=sizes["R"] if "pre_logits/kernel" in source.shapes else None,
        gelu="tanh", eps=1e-6)


def preprocessing(path, config, given):
    """Return the Preprocess of the authors' code, pixels from -1 to 1, unless others are given."""
    middle = [0.5] * config.channels
    return settings.make_preprocess(path, config, given.checked(
        path, mean=middle, std=middle, resample="bilinear", is_said=False))
