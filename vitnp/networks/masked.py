"""Masked patch prediction: a Vision Transformer that learns from images without labels.

Half of the patches are corrupted, and the network predicts the mean colour of each of them, in 3
bits a channel. It is vit.py with a learned mask token, and another head.
Source: Dosovitskiy et al. 2021, appendix B.1.2.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from vitnp import params as parameters
from vitnp import vit
from vitnp.backend import get_xp, to_device
from vitnp.config import ViTConfig
from vitnp.errors import Error
from vitnp.layers import textbook

__all__ = ["Corruption", "MaskedConfig", "backward", "colours", "corrupt", "forward", "init",
           "is_changed", "is_decayed", "shapes"]

BITS = 3                                # of a channel's mean colour
HIDDEN, REPLACED = 0.8, 0.1             # shares of the corrupted patches; the others are kept

is_decayed = vit.is_decayed


@dataclass(frozen=True)
class MaskedConfig(ViTConfig):
    """The sizes of a Vision Transformer that predicts colours in place of classes."""

    def __post_init__(self):
        super().__post_init__()
        if self.stem or self.classes or self.pre_logits:
            raise Error("masked patch prediction is for Vision Transformers without a stem and a "
                        "head; leave out --stem")
        if self.grid[0] * self.grid[1] < 2:
            raise Error("masked patch prediction needs at least two patches in an image, but here "
                        "the image is one; choose a model with smaller patches")

    @property
    def colours(self):
        """The number of colours that are told apart: 512 for three channels."""
        return 2 ** (BITS * self.channels)

    @property
    def plain(self):
        """The ViTConfig of the network that is left when mask and colours are taken away."""
        return ViTConfig(**{item.name: getattr(self, item.name) for item in fields(ViTConfig)})


class Corruption(NamedTuple):
    """What is done to the patches of B images.

    chosen: (B, M), the numbers of the corrupted ones, half of the N patches; source: (B, N), the
    patch that stands in each place, most often its own; hidden: (B, N), whether the mask token
    takes its place.
    """

    chosen: object
    source: object
    hidden: object

    def part(self, images):
        """Return the Corruption of a slice of the images."""
        return Corruption(*(array[images] for array in self))


def corrupt(count, patches, rng, xp=np):
    """Draw a Corruption of `count` images of N `patches` on the host; return it on xp's device."""
    rows, M = np.arange(count)[:, None], patches // 2
    chosen = rng.random((count, patches)).argsort(axis=1)[:, :M]                # (B, M)
    kind, away = rng.random((count, M)), rng.integers(1, patches, (count, M))
    source = np.broadcast_to(np.arange(patches), (count, patches)).copy()       # (B, N)
    replaced = (kind >= HIDDEN) & (kind < HIDDEN + REPLACED)
    source[rows, chosen] = np.where(replaced, (chosen + away) % patches, chosen)
    hidden = np.zeros((count, patches), bool)
    hidden[rows, chosen] = kind < HIDDEN
    return Corruption(*(to_device(array, xp) for array in (chosen, source, hidden)))


def is_changed(corruption):
    """Tell which of the corrupted patches (B, M) were hidden or replaced, and not left as is."""
    chosen, source, hidden = corruption
    rows = get_xp(chosen).arange(len(chosen))[:, None]
    return hidden[rows, chosen] | (source[rows, chosen] != chosen)              # (B, M)


def colours(images, patch_size):
    """Return the number (B, N) of each patch's mean colour; images: uint8 (B, height, width, C).

    Equation: Σ_c 8^(C - 1 - c) · ⌊8 · mean_c / 256⌋.
    """
    patches, _ = textbook.patches.forward(images, patch_size)                   # (B, N, P·P·C)
    C = images.shape[-1]
    means = patches.reshape(*patches.shape[:2], -1, C).mean(axis=2)             # (B, N, C)
    levels = (means * (2**BITS / 256)).astype(np.int64)
    number = levels[..., 0]
    for c in range(1, C):
        number = number * 2**BITS + levels[..., c]
    return number                                                               # (B, N)


def forward(images, corruption, params, config, ops=textbook, rng=None):
    """Return logits (B, M, colours) of the corrupted patches, and the cache.

    images: (B, height, width, C), scaled, not corrupted; params: the tree of `shapes`; rng: a
    Generator for dropout, or None for evaluation.
    """
    xp, p = get_xp(images), params["embedding"]
    chosen, source, hidden = corruption
    rows, N, cache = xp.arange(len(images))[:, None], source.shape[1], {"ops": ops}
    patches, _ = ops.patches.forward(images, config.patch_size)                 # (B, N, P·P·C)
    patches = patches[rows, source]
    x, cache["projection"] = ops.linear.forward(
        patches, p["projection"]["weight"], p["projection"]["bias"])            # (B, N, D)
    x = xp.where(hidden[..., None], params["mask"]["token"], x)
    position, cache["position"] = ops.position.forward(p, ops)                  # (T, D)
    x, cache["class_token"] = ops.class_token.forward(x, p.get("class_token"), position)
    x, cache["dropout"] = ops.dropout.forward(x, config.dropout, rng)           # (B, T, D)
    cache["blocks"] = []
    for tokens, block in vit.encode(x, params, config, ops, rng):               # (B, T, D)
        cache["blocks"].append(block)
    places = chosen + (tokens.shape[1] - N)     # the class token is before the patches
    x = tokens[rows, places]                                                    # (B, M, D)
    x, cache["norm"] = ops.layernorm.forward(x, params["norm"]["gamma"], params["norm"]["beta"],
                                             config.eps)
    logits, cache["colour"] = ops.linear.forward(
        x, params["colour"]["weight"], params["colour"]["bias"])                # (B, M, colours)
    cache |= {"hidden": hidden, "rows": rows, "places": places, "shape": tokens.shape}
    return logits, cache


def backward(dlogits, cache, add=None):
    """Return the gradients, a tree like params, for dlogits (B, M, colours).

    With `add` they are handed over as soon as they exist, as add("blocks/3", tree of the part).
    """
    ops, xp, gradients = cache["ops"], get_xp(dlogits), {}
    keep = add or gradients.__setitem__
    # logits = linear(x)
    dx, dweight, dbias = ops.linear.backward(dlogits, cache["colour"])          # (B, M, D)
    keep("colour", {"weight": dweight, "bias": dbias})
    # x = layernorm(x)
    dx, dgamma, dbeta = ops.layernorm.backward(dx, cache["norm"])
    keep("norm", {"gamma": dgamma, "beta": dbeta})
    # x = tokens[rows, places]: no patch is corrupted twice
    dtokens = xp.zeros(cache["shape"], dx.dtype)
    dtokens[cache["rows"], cache["places"]] = dx                                # (B, T, D)
    dx = vit.encode_backward(dtokens, cache, keep)
    # x = dropout(x)
    dx = ops.dropout.backward(dx, cache["dropout"])
    # x = [class_token; x] + position
    dp = {}
    dx, dclass_token, dposition = ops.class_token.backward(dx, cache["class_token"])    # (B, N, D)
    if dclass_token is not None:
        dp["class_token"] = dclass_token
    dp |= ops.position.backward(dposition, cache["position"])
    # x = where(hidden, mask, x)
    hidden = cache["hidden"][..., None]
    keep("mask", {"token": (dx * hidden).sum(axis=(0, 1))})
    dx = dx * ~hidden
    # x = linear(patches)
    _, dweight, dbias = ops.linear.backward(dx, cache["projection"])
    dp["projection"] = {"weight": dweight, "bias": dbias}
    keep("embedding", dp)
    return None if add else parameters.nest(parameters.flatten(gradients))


def shapes(config):
    """Return the parameters' shapes: those of the plain network, mask token, colours' layer."""
    D, K = config.width, config.colours
    result = {"colour/weight": (D, K)} | vit.shapes(config)
    return result | {"colour/bias": (K,), "mask/token": (D,)}


def init(config, rng, dtype=np.float32):
    """Return a flat NumPy buffer of initial values: vit.init's, and a mask token of deviation 0.02.

    The colours' layer starts at 0, as the paper's heads do.
    """
    flat = parameters.allocate(shapes(config), dtype, np)
    tree = parameters.views(flat, shapes(config))
    plain = parameters.views(vit.init(config, rng, dtype), vit.shapes(config))
    for path, array in parameters.flatten(plain).items():
        place, _, name = path.rpartition("/")
        parameters.find(tree, place)[name][...] = array
    tree["mask"]["token"][:] = 0.02 * rng.standard_normal(config.width)
    return flat
