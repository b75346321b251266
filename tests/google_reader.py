"""A minimal reader of the authors' .npz layout, for the fixtures in tests/fixtures."""

import json
from pathlib import Path

import numpy as np

from vitnp import params
from vitnp.config import ViTConfig

DATA = Path(__file__).with_name("fixtures")


def load(name):
    """Return (config, tree of float64 parameters, reference arrays) of a fixture."""
    settings = json.loads((DATA / f"{name}.json").read_text())
    config = ViTConfig(
        image_size=tuple(settings["image_size"]), patch_size=settings["patch_size"][0],
        channels=settings["channels"], width=settings["hidden_size"],
        depth=settings["num_layers"], heads=settings["num_heads"],
        mlp_width=settings["mlp_dim"], classes=settings["num_classes"],
        pooling=settings["classifier"], gelu=settings["gelu"], eps=settings["layer_norm_eps"],
        pre_logits=settings.get("representation_size"))
    return config, to_tree(np.load(DATA / f"{name}.npz"), config), np.load(DATA / f"{name}_ref.npz")


def to_tree(arrays, config, prefix=""):
    """Return arrays under the authors' names, parameters or gradients, as a float64 tree."""
    tensors = {}
    for path, names in paths(config).items():
        parts = [np.asarray(arrays[prefix + name], np.float64) for name in names]
        if len(parts) == 3:                                     # (D, H, Dh) each, or (H, Dh)
            D = config.width
            shape = (D, D) if path.endswith("weight") else (D,)
            tensors[path] = np.concatenate([part.reshape(shape) for part in parts], axis=-1)
        elif path.endswith("projection/weight"):
            tensors[path] = parts[0].reshape(-1, config.width)
        elif path.endswith("attention/out/weight"):
            tensors[path] = parts[0].reshape(config.width, config.width)
        elif path.startswith("embedding/"):
            tensors[path] = parts[0].reshape(-1, config.width).squeeze()
        else:
            tensors[path] = parts[0]
    return params.nest(tensors)


def paths(config):
    """Return a dict: vitnp's path → the authors' names of its parts."""
    result = {"embedding/projection/weight": ["embedding/kernel"],
              "embedding/projection/bias": ["embedding/bias"],
              "embedding/position": ["Transformer/posembed_input/pos_embedding"],
              "norm/gamma": ["Transformer/encoder_norm/scale"],
              "norm/beta": ["Transformer/encoder_norm/bias"],
              "head/weight": ["head/kernel"], "head/bias": ["head/bias"]}
    if config.class_token:
        result["embedding/class_token"] = ["cls"]
    if config.pre_logits:
        result["pre_logits/weight"] = ["pre_logits/kernel"]
        result["pre_logits/bias"] = ["pre_logits/bias"]
    for i in range(config.depth):
        block = f"Transformer/encoderblock_{i}/"
        attention = block + "MultiHeadDotProductAttention_1/"
        qkv = [attention + part for part in ("query/", "key/", "value/")]
        for ours, theirs in (("norm1", "LayerNorm_0/"), ("norm2", "LayerNorm_2/")):
            result[f"blocks/{i}/{ours}/gamma"] = [block + theirs + "scale"]
            result[f"blocks/{i}/{ours}/beta"] = [block + theirs + "bias"]
        for ours, theirs in (("weight", "kernel"), ("bias", "bias")):
            result[f"blocks/{i}/attention/qkv/{ours}"] = [part + theirs for part in qkv]
            result[f"blocks/{i}/attention/out/{ours}"] = [attention + "out/" + theirs]
            result[f"blocks/{i}/mlp/in/{ours}"] = [block + "MlpBlock_3/Dense_0/" + theirs]
            result[f"blocks/{i}/mlp/out/{ours}"] = [block + "MlpBlock_3/Dense_1/" + theirs]
    return result
