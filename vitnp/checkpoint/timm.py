"""The folders of timm: config.json and model.safetensors.

The number of heads is in no tensor: it is a setting (model_args), or follows from the architecture
that config.json names. Pictures are cut out at the border as timm's settings say (crop_pct); here
they are resized whole, and what is written says so.
"""

import math
import re
from pathlib import Path

from vitnp.checkpoint import renaming, settings, tensors
from vitnp.checkpoint.renaming import Layout, Row
from vitnp.common.files import write_json
from vitnp.data.preprocess import RESAMPLE
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
GELU = {None: "erf", "gelu": "erf", "gelu_tanh": "tanh"}
WRITTEN = {"pooling": ("token", "avg"), "positions": ("learned",), "pre_logits": (None,),
           "eps": (1e-6,)}
# Settings of the network that must be timm's own where they are given ...
READ = {"qkv_bias": (True,), "qk_norm": (False,), "scale_attn_norm": (False,),
        "scale_mlp_norm": (False,), "proj_bias": (True,), "init_values": (None,),
        "class_token": (True,), "pos_embed": ("learn",), "no_embed_class": (False,),
        "reg_tokens": (0,), "pre_norm": (False,), "final_norm": (True,), "fc_norm": (None,),
        "pool_include_prefix": (False,), "embed_norm_layer": (None,), "norm_layer": (None,),
        "act_layer": tuple(GELU), "global_pool": ("token", "avg")}
# ... and those that the tensors show as well, or that have no influence on what is computed
OTHERS = {"img_size", "patch_size", "in_chans", "num_classes", "embed_dim", "depth", "num_heads",
          "mlp_ratio", "dynamic_img_size", "dynamic_img_pad", "strict_img_size", "drop_rate",
          "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate",
          "drop_path_rate", "weight_init", "fix_init"}
HEADS = {"tiny": 3, "small": 6, "base": 12, "large": 16, "huge": 16, "giant": 16, "gigantic": 16}
ARCHITECTURE = re.compile(rf"(?:vit|deit)_({'|'.join(HEADS)})_patch\d+_\d+(?:\..*)?")


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


def load(path, heads=None, image_size=None):
    """Return (config, tree, preprocess, class names or None) of a model.safetensors file.

    config.json is read where it lies beside it; heads: needed where it tells none. Raises Error for
    what is damaged, or no Vision Transformer.
    """
    place = Path(path).with_name("config.json")
    said = settings.read_json(place)
    said = said if "architecture" in said else {}
    arguments, images = part(said, "model_args", place), part(said, "pretrained_cfg", place)
    images = images or said     # as older versions of timm write it
    unknown = {name: arguments[name] for name in arguments if name not in OTHERS}
    settings.check_possible(unknown, {name: READ.get(name, ()) for name in unknown},
                            f"{place} describes a network with", "it is not read")
    with tensors.of_safetensors(path) as source:
        table = layout(source.shapes)
        config = configure(source, table, said, arguments, images, heads, image_size)
        check(place, said, arguments, config)
        preprocess = preprocessing(place, images, config)
        names = class_names(place, said, config.classes)
        tree = renaming.read(source, table, config)
    return config, tree, preprocess, names


def save(folder, config, tree, preprocess, class_names=None):
    """Write a network as a folder that timm reads, as "local-dir:FOLDER".

    Raises Error for what such folders cannot say, and where it cannot be written.
    """
    settings.check_possible(config, WRITTEN, "timm's ViT cannot have",
                            "save the network in another layout")
    settings.make_folder(folder)
    folder = Path(folder)
    tensors.write_safetensors(folder / "model.safetensors", from_ours(tree, config),
                              {"format": "pt"})
    write_json(folder / "config.json", describe(config, preprocess, class_names))


def configure(source, table, said, arguments, images, heads, image_size):
    """Return the ViTConfig of a Source and of what config.json says."""
    sizes = renaming.sizes_in(source, table, needed="PCDMT")
    size = images.get("input_size")
    size = size[1:] if isinstance(size, list) else size         # after the channels
    size = arguments.get("img_size") or size
    named = ARCHITECTURE.fullmatch(str(said.get("architecture")))
    if heads is None and named:
        heads = HEADS[named[1]]
    return settings.make_config(
        source.path, patch_size=sizes["P"], channels=sizes["C"], width=sizes["D"],
        image_size=settings.image_size(source.path, image_size or size, sizes["T"] - 1, sizes["P"]),
        depth=sizes["depth"], mlp_width=sizes["M"], classes=sizes.get("K"),
        heads=settings.heads(source.path, heads, arguments.get("num_heads"), sizes["D"]),
        pooling="avg" if "fc_norm.weight" in source.shapes else "token",
        gelu=GELU[arguments.get("act_layer")], eps=1e-6)


def check(place, said, arguments, config):
    """Raise Error where config.json says otherwise than the tensors beside it."""
    patch = arguments.get("patch_size", config.patch_size)
    pool = arguments.get("global_pool", said.get("global_pool", config.pooling))
    found = {"embed_dim": config.width, "depth": config.depth, "in_chans": config.channels,
             "num_classes": config.classes or 0, "patch_size": config.patch_size,
             "global_pool": config.pooling}
    patch = patch[0] if patch == [config.patch_size] * 2 else patch
    settings.check_agreement(place, arguments | {"patch_size": patch, "global_pool": pool}, found)


def preprocessing(place, images, config):
    """Return the Preprocess that a dict of timm's settings describes."""
    resample = images.get("interpolation", "bicubic")
    settings.check_possible(images, {"interpolation": RESAMPLE}, f"{place} describes images with",
                            "it is not read")
    middle = [0.5] * config.channels
    return settings.make_preprocess(place, config, images.get("mean", middle),
                                    images.get("std", middle), resample)


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


def part(said, name, place):
    """Return a dict in config.json, empty where there is none, or raise Error."""
    found = said.get(name) or {}
    if not isinstance(found, dict):
        raise Error(f"{place} is damaged: {name} in it is no JSON object")
    return found


def describe(config, preprocess, class_names):
    """Return what config.json says of a network and its images."""
    size, classes = list(config.image_size), config.classes or 0
    ratio = config.mlp_width / config.width
    if int(config.width * ratio) < config.mlp_width:            # so does timm multiply and round
        ratio = math.nextafter(ratio, math.inf)
    said = {
        "architecture": "vit_base_patch16_224", "num_classes": classes,
        "num_features": config.width, "global_pool": config.pooling,
        "model_args": {
            "img_size": size, "patch_size": config.patch_size, "in_chans": config.channels,
            "num_classes": classes, "global_pool": config.pooling, "embed_dim": config.width,
            "depth": config.depth, "num_heads": config.heads, "mlp_ratio": ratio,
            "act_layer": "gelu" if config.gelu == "erf" else "gelu_tanh"},
        "pretrained_cfg": {
            "custom_load": False, "input_size": [config.channels, *size],
            "fixed_input_size": True, "interpolation": preprocess.resample, "crop_pct": 1.0,
            "crop_mode": "squash", "mean": list(preprocess.mean), "std": list(preprocess.std),
            "num_classes": classes, "pool_size": None, "first_conv": "patch_embed.proj",
            "classifier": "head"}}
    return said | {"label_names": list(class_names)} if class_names else said
