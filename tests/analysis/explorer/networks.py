"""Small random networks and their pictures, to explore."""

import numpy as np

import vitnp
from vitnp import params, vit
from vitnp.data.preprocess import Preprocess

NAMES = ("zebra", "</script><script>alert(1)</script>", "猫")


def make_model(seed=0, name="micro/4", **options):
    """Return a random model with sharp attention, whose head is not zero."""
    sizes = {"image_size": (12, 16), "classes": 3, "pooling": "token"} | options
    config = vitnp.ViTConfig.named(name, **sizes)
    rng = np.random.default_rng(seed)
    tree = params.views(vit.init(config, rng), vit.shapes(config))
    if config.classes:
        tree["head"]["weight"][:] = rng.standard_normal(tree["head"]["weight"].shape)
    for block in tree["blocks"]:
        block["attention"]["qkv"]["weight"][:] *= 3
    half = (0.5,) * config.channels
    names = NAMES if config.classes == len(NAMES) else None
    return vitnp.Model(config, tree, Preprocess(config.image_size, half, half), names)
