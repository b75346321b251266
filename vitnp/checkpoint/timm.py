"""The folders of timm: config.json and model.safetensors.

The number of heads is in no tensor: it is a setting (model_args), or follows from the architecture
that config.json names.
"""

import math
import re
from pathlib import Path

from vitnp.checkpoint import preparation, renaming, rewriting, settings, tensors
from vitnp.checkpoint.renaming import Layout, Row
from vitnp.common.files import write_json
from vitnp.errors import Error

STEM = {
    "patch_embed.proj.weight": Row("embedding/projection/weight", "DCPQ", ours="PQCD"),
    "patch_embed.proj.bias": Row("embedding/projection/bias", "D"),
    "cls_token": Row("embedding/class_token", "11D"),
    "pos_embed": Row("embedding/position", "1TD"),
    "norm.weight": Row("norm/gamma", "D"),
    "norm.bias": Row("norm/beta", "D"),
    "head.weight": Row("head/weight", "KR", ours="RK"),
    "head.bias": Row("head/bias", "K"),
}
BLOCK = {
    "norm1.weight": Row("norm1/gamma", "D"),
    "norm1.bias": Row("norm1/beta", "D"),
    "attn.qkv.weight": Row("attention/qkv/weight", "ED", ours="DE"),
    "attn.qkv.bias": Row("attention/qkv/bias", "E"),
    "attn.proj.weight": Row("attention/out/weight", "OD", ours="DO"),
    "attn.proj.bias": Row("attention/out/bias", "D"),
    "norm2.weight": Row("norm2/gamma", "D"),
    "norm2.bias": Row("norm2/beta", "D"),
    "mlp.fc1.weight": Row("mlp/in/weight", "MD", ours="DM"),
    "mlp.fc1.bias": Row("mlp/in/bias", "M"),
    "mlp.fc2.weight": Row("mlp/out/weight", "DM", ours="MD"),
    "mlp.fc2.bias": Row("mlp/out/bias", "D"),
}
PREFIX = "blocks.{}."
EPS = 1e-6
SCALES = {"ls1.gamma": "attn.proj", "ls2.gamma": "mlp.fc2"}     # and the layers that they follow
GELU = {None: "erf", "gelu": "erf", "gelu_tanh": "tanh"}
WRITTEN = {"pre_logits": (None,)}
POOLING = {"token": {"global_pool": "token"}, "avg": {"global_pool": "avg"},
           "gap": {"global_pool": "avg", "class_token": False, "fc_norm": False}}
# Settings of the network that must be timm's own where they are given ...
READ = {"qkv_bias": (True, False), "qk_norm": (False,), "scale_attn_norm": (False,),
        "scale_mlp_norm": (False,), "proj_bias": (True,), "pos_embed": ("learn", "none", ""),
        "reg_tokens": (0,), "pre_norm": (False,), "final_norm": (True,),
        "pool_include_prefix": (False,), "embed_norm_layer": (None,), "norm_layer": (None,),
        "act_layer": tuple(GELU)}
# ... and those that the tensors show as well, or that have no influence on what is computed
OTHERS = {"class_token", "no_embed_class", "fc_norm", "global_pool", "init_values", "img_size",
          "patch_size", "in_chans", "num_classes", "embed_dim", "depth", "num_heads", "mlp_ratio",
          "dynamic_img_size", "dynamic_img_pad", "strict_img_size", "drop_rate",
          "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate",
          "drop_path_rate", "weight_init", "fix_init"}
LABELS = {"label_names", "label_descriptions"}
IMAGES = LABELS | {"url", "file", "hf_hub_id", "hf_hub_filename", "source", "architecture", "tag",
                   "custom_load", "input_size", "test_input_size", "min_input_size",
                   "fixed_input_size", "interpolation", "crop_pct", "test_crop_pct", "crop_mode",
                   "mean", "std", "num_classes", "num_features", "global_pool", "pool_size",
                   "test_pool_size", "first_conv", "classifier", "license", "description",
                   "origin_url", "paper_name", "paper_ids", "notes", "model_args", "labels"}
HEADS = {"tiny": 3, "small": 6, "base": 12, "large": 16, "huge": 16, "giant": 16, "gigantic": 16}
SIZES = "|".join(HEADS)
ARCHITECTURE = re.compile(rf"(?:(?:vit|deit)_({SIZES})_patch\d+_\d+|deit3_({SIZES})_patch\d+_\d+|"
                          rf"flexivit_({SIZES})|vit_({SIZES})_patch14_dinov2)(?:\..*)?")


def layout(names=()):
    """Return the table for a file with these names: the last norm is "fc_norm" after a mean."""
    if not any(name.startswith("fc_norm.") for name in names):
        return Layout(STEM, BLOCK, PREFIX)
    return Layout({f"fc_{name}" if name.startswith("norm.") else name: row
                   for name, row in STEM.items()}, BLOCK, PREFIX)


def to_ours(tensors, config):
    """Return parameters or gradients, a dict name → array as in a file, as a tree."""
    return renaming.to_ours(tensors, layout(tensors), config)


def from_ours(tree, config):
    """Return a tree of parameters or gradients as a dict name → array, as in a file."""
    return renaming.from_ours(tree, layout(["fc_norm."] if config.pooling == "avg" else []), config)


def load(path, given=settings.NOTHING):
    """Return the fields of the Model in a model.safetensors file.

    config.json is read where it lies beside it; given: what it does not say. Raises Error for
    what is damaged, or no Vision Transformer.
    """
    place = Path(path).with_name("config.json")
    said = settings.read_json(place)
    said = said if "architecture" in said else {}
    arguments, images = part(said, "model_args", place), part(said, "pretrained_cfg", place)
    images = images or said     # as older versions of timm write it
    settings.check_known(place, arguments, READ, OTHERS)
    settings.check_known(place, images, {}, IMAGES)
    with tensors.of_safetensors(path) as source:
        size = given.image_size or arguments.get("img_size") or size_of_pictures(images)
        source = rewritten(source, arguments, size)
        table = layout(source.shapes)
        config = configure(source, table, said, arguments, size, given)
        check(place, said, arguments, config)
        preprocess = preparation.from_timm(place, images, config, given)
        names = class_names(place, said, config.classes)
        tree = renaming.read(source, table, config)
    return {"config": config, "params": tree, "preprocess": preprocess, "class_names": names,
            "class_descriptions": class_descriptions(place, said, names)}


def save(folder, config, tree, preprocess, class_names=None, multi_label=False,
         class_descriptions=None):
    """Write a network as a folder that timm reads, as "local-dir:FOLDER".

    Raises Error for what such folders cannot say, and where it cannot be written.
    """
    cure = "save the network in another layout"
    settings.check_possible(config, WRITTEN, "timm's ViT cannot have",
                            cure)
    if multi_label:
        raise Error("timm cannot say that the classes of a network do not exclude each other; "
                    + cure)
    images = preparation.to_timm(preprocess, cure)
    tree, config = rewriting.as_written(tree, config, eps=EPS)
    settings.make_folder(folder)
    folder = Path(folder)
    tensors.write_safetensors(folder / "model.safetensors", from_ours(tree, config),
                              {"format": "pt"})
    said = describe(config, images, class_names)
    if class_descriptions:
        said["label_descriptions"] = dict(zip(class_names, class_descriptions, strict=True))
    write_json(folder / "config.json", said)


def size_of_pictures(images):
    """Return the image size in timm's settings of images, without the channels, or None."""
    size = images.get("input_size")
    return size[1:] if isinstance(size, list) else size


def rewritten(source, arguments, size):
    """Return a Source with all biases and positions, and scales (layer scale) multiplied in.

    arguments: what config.json says of the network; size: of its images, or None.
    """
    qkv = {name: shape for name, shape in source.shapes.items()
           if name.endswith(".attn.qkv.weight")}
    if not any(name.endswith(".attn.qkv.bias") for name in source.shapes):     # qkv_bias=False
        source = rewriting.with_zeros(source, {f"{name.removesuffix('weight')}bias": shape[:1]
                                               for name, shape in qkv.items()})
    if arguments.get("pos_embed", "learn") != "learn" and size is not None:
        source = with_no_positions(source, settings.pair(source.path, size))
    if {"cls_token", "pos_embed"} <= source.shapes.keys() and (
            arguments.get("no_embed_class") or has_no_class_position(source, size)):
        source = rewriting.with_class_position(source, "pos_embed")
    scales = {}
    for name in source.shapes:
        for scale, layer in SCALES.items():
            if name.endswith(scale):
                scales |= {f"{name.removesuffix(scale)}{layer}.{part}": name
                           for part in ("weight", "bias")}
    return rewriting.scaled(source, scales)


def with_no_positions(source, size):
    """Return a Source with positions of zeros, for images of that size."""
    width, _, _, patch = source.shapes.get("patch_embed.proj.weight", (0, 0, 0, 1))
    tokens = (size[0] // patch) * (size[1] // patch) + ("cls_token" in source.shapes)
    return rewriting.with_zeros(source, {"pos_embed": (1, tokens, width)})


def has_no_class_position(source, size):
    """Tell whether there are positions for the patches of images of that size alone."""
    kernel, positions = (source.shapes.get(name, ()) for name in ("patch_embed.proj.weight",
                                                                  "pos_embed"))
    if size is None or len(kernel) != 4 or len(positions) != 3 or not kernel[-1]:
        return False
    height, width = settings.pair(source.path, size)
    return positions[1] == (height // kernel[-1]) * (width // kernel[-1])


def pooling_of(source, place, said):
    """Return our name for how the tokens become one, or raise Error for a way that we lack.

    said: timm's global_pool, or None. The last norm is "norm" before, "fc_norm" after the pooling:
    for one token alone this is the same.
    """
    token, after = "cls_token" in source.shapes, "fc_norm.weight" in source.shapes
    said = said or ("avg" if after or not token else "token")
    possible = {("token", True, False): "token", ("token", True, True): "token",
                ("avg", True, True): "avg", ("avg", False, False): "gap"}
    if (said, token, after) not in possible:
        raise Error(f"{place} describes a network with global_pool {settings.short(said)}, "
                    f"{'a' if token else 'no'} class token and the last norm "
                    f"{'after' if after else 'before'} the pooling; read are token, and avg with a "
                    "class token and the norm after it, or with neither; it is not read")
    return possible[said, token, after]


def configure(source, table, said, arguments, size, given):
    """Return the ViTConfig of a Source and of what config.json says."""
    place = Path(source.path).with_name("config.json")
    pooling = pooling_of(source, place, arguments.get("global_pool", said.get("global_pool")))
    sizes = renaming.sizes_in(source, table, needed="PCDMT")
    named = ARCHITECTURE.fullmatch(str(said.get("architecture")))
    heads = given.heads
    if heads is None and named:
        heads = HEADS[next(filter(None, named.groups()))]
    return settings.make_config(
        source.path, patch_size=sizes["P"], channels=sizes["C"], width=sizes["D"],
        image_size=settings.image_size(source.path, size, sizes["T"] - (pooling != "gap"),
                                       sizes["P"]),
        depth=sizes["depth"], mlp_width=sizes["M"], classes=sizes.get("K"),
        heads=settings.heads(source.path, heads, arguments.get("num_heads"), sizes["D"]),
        pooling=pooling,
        gelu=GELU[arguments.get("act_layer")], eps=EPS)


def check(place, said, arguments, config):
    """Raise Error where config.json says otherwise than the tensors beside it."""
    patch = arguments.get("patch_size", config.patch_size)
    found = {"embed_dim": config.width, "depth": config.depth, "in_chans": config.channels,
             "num_classes": config.classes or 0, "patch_size": config.patch_size,
             "class_token": config.class_token}
    patch = patch[0] if patch == [config.patch_size] * 2 else patch
    settings.check_agreement(place, arguments | {"patch_size": patch}, found)


def class_names(place, said, classes):
    """Return the names in config.json as a tuple, or None where there are none."""
    names = said.get("label_names")
    if names is None or not classes:
        return None
    if isinstance(names, dict):
        names = [names.get(str(i)) for i in range(len(names))]
    if not isinstance(names, list) or len(names) != classes or not all(
            isinstance(name, str) for name in names):
        raise Error(f"label_names in {place} do not name the classes 0 to {classes - 1}")
    return tuple(names)


def class_descriptions(place, said, names):
    """Return the words in config.json for the names of classes as a tuple, or None."""
    words = said.get("label_descriptions")
    if not names or not words:
        return None
    if not isinstance(words, dict) or not all(isinstance(words.get(name, ""), str)
                                              for name in names):
        raise Error(f"label_descriptions in {place} are no texts for the names of the classes")
    return tuple(words.get(name, name) for name in names)


def part(said, name, place):
    """Return a dict in config.json, empty where there is none, or raise Error."""
    found = said.get(name) or {}
    if not isinstance(found, dict):
        raise Error(f"{place} is damaged: {name} in it is no JSON object")
    return found


def describe(config, images, class_names):
    """Return what config.json says of a network and its images."""
    size, classes, pooling = list(config.image_size), config.classes or 0, POOLING[config.pooling]
    ratio = config.mlp_width / config.width
    if int(config.width * ratio) < config.mlp_width:            # so does timm multiply and round
        ratio = math.nextafter(ratio, math.inf)
    said = {
        "architecture": "vit_base_patch16_224", "num_classes": classes,
        "num_features": config.width, "global_pool": pooling["global_pool"],
        "model_args": pooling | {
            "img_size": size, "patch_size": config.patch_size, "in_chans": config.channels,
            "num_classes": classes, "embed_dim": config.width,
            "depth": config.depth, "num_heads": config.heads, "mlp_ratio": ratio,
            "act_layer": "gelu" if config.gelu == "erf" else "gelu_tanh"},
        "pretrained_cfg": images | {
            "custom_load": False, "input_size": [config.channels, *size],
            "fixed_input_size": True, "num_classes": classes, "pool_size": None,
            "first_conv": "patch_embed.proj", "classifier": "head"}}
    return said | {"label_names": list(class_names)} if class_names else said
