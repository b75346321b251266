"""A small residual network in the style of BiT, forward and backward, to compare the ViT with.

    x_0 = root(image)                                              embed
    x_l = x_{l-1} + conv(ReLU(GN(conv(ReLU(GN(x_{l-1}))))))        encode: the blocks
    logits = mean over the places of ReLU(GN(x_L)), W + b          head

The blocks form stages. The first block of each stage but the first halves the sides of the map and
doubles its channels. The functions have the names and the contract of those of `vitnp.vit`.
Source: Kolesnikov et al., Big Transfer, ECCV 2020; the sizes are in the manner of He et al. 2016,
section 4.2 (CIFAR): 3 x 3 root, blocks of two 3 x 3 convolutions.
"""

import math
from dataclasses import dataclass

import numpy as np

from vitnp import params as parameters
from vitnp.config import is_number, plain_numbers
from vitnp.errors import Error
from vitnp.layers.convolutional import textbook
from vitnp.vit import is_decayed

# (width, blocks of each stage), named by the number of layers on the longest path: root, two in
# each block, head. On 32 x 32 pixels 8, 12, 16 and 20 have as many multiplications as tiny/4,
# mini/4, midi/4 and small/4; the narrow 14 about as many as mini/8.
VARIANTS = {
    "resnet-8": (16, (1, 1, 1)),
    "resnet-12": (16, (1, 2, 2)),
    "resnet-14": (8, (2, 2, 2)),
    "resnet-16": (24, (2, 3, 2)),
    "resnet-20": (32, (3, 3, 3)),
}
ROOTS = ("small", "large")
HEAD_PARTS = ("norm", "head")


@dataclass(frozen=True)
class ResNetConfig:
    """The sizes of one residual network; impossible ones raise Error.

    image_size: (height, width), or one number for both. width: channels of the first stage.
    depths: number of blocks of each stage. classes: None for a network without a head.
    groups: groups of channels of each GroupNorm. BiT has 32, too many for small widths.
    root: "small" (3 x 3, at every place) or "large" (7 x 7 and max pooling, a quarter of the side).
    """

    image_size: tuple[int, int] = (32, 32)
    channels: int = 3
    width: int = 16
    depths: tuple[int, ...] = (1, 1, 1)
    classes: int | None = 10
    groups: int = 8
    eps: float = 1e-5
    root: str = "small"

    def __post_init__(self):
        plain_numbers(self)
        size = self.image_size
        size = tuple(size) if isinstance(size, tuple | list) else (size, size)
        object.__setattr__(self, "image_size", size)
        if not isinstance(self.depths, tuple | list) or not self.depths:
            raise Error(f"depths is {self.depths!r}; give the number of blocks of each stage, "
                        "such as (1, 2, 2)")
        object.__setattr__(self, "depths", tuple(self.depths))
        self._check_numbers()
        if self.width % self.groups:
            raise Error(f"width {self.width} cannot be divided among {self.groups} groups; "
                        "choose a width that is a multiple of the groups")
        if self.root not in ROOTS:
            raise Error(f"root is {self.root!r}; possible are {', '.join(ROOTS)}")

    def _check_numbers(self):
        if len(self.image_size) != 2:
            raise Error(f"image_size has {len(self.image_size)} numbers; "
                        "give height and width, or one number for both")
        whole = {"image height": self.image_size[0], "image width": self.image_size[1],
                 "channels": self.channels, "width": self.width, "groups": self.groups}
        whole |= {f"depth of stage {i}": depth for i, depth in enumerate(self.depths, start=1)}
        if self.classes is not None:
            whole["classes"] = self.classes
        for name, value in whole.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise Error(f"{name} is {value!r}; it must be a whole number of at least 1")
        if not is_number(self.eps) or not 0 < self.eps < math.inf:
            raise Error(f"eps is {self.eps!r}; it must be a number above 0")

    @property
    def blocks(self):
        """What each block makes: a list of (channels in, channels out, stride)."""
        result, last = [], self.width
        for stage, depth in enumerate(self.depths):
            F = self.width * 2**stage
            for i in range(depth):
                result.append((last, F, 2 if stage and not i else 1))
                last = F
        return result

    draws = False               # nothing in it is random

    @property
    def depth(self):
        """The number of blocks."""
        return sum(self.depths)

    @property
    def features(self):
        """The number of channels of the last map, which the head reads."""
        return self.blocks[-1][1]

    @property
    def root_kernel(self):
        """The side of the root's kernel."""
        return 7 if self.root == "large" else 3

    @property
    def grid(self):
        """The rows and columns of the first block's map."""
        return halved(halved(self.image_size)) if self.root == "large" else self.image_size

    @property
    def widest(self):
        """How many numbers the largest array of the blocks has for one image: the first windows."""
        return math.prod(self.grid) * 9 * self.width

    @classmethod
    def named(cls, name, **changes):
        """Return the configuration of a name such as "resnet-12", with changes.

        Raises Error for an unknown name.
        """
        if name not in VARIANTS:
            raise Error(f"unknown model {name!r}; possible are {', '.join(VARIANTS)}")
        width, depths = VARIANTS[name]
        return cls(**({"width": width, "depths": depths} | changes))


def halved(sides):
    """Return what a layer with stride 2 makes of (rows, columns): half, rounded up."""
    return tuple(-(-side // 2) for side in sides)


def forward(images, params, config, ops=textbook, rng=None, all_tokens=True):
    """Return logits (B, K), or without a head the features, and the cache.

    images: (B, height, width, C), scaled to about -1 … 1; params: the tree of `shapes`.
    rng and all_tokens are for the contract: there is no dropout, and each place is needed.
    """
    x, root_cache = embed(images, params, config, ops, rng)      # (B, rows, columns, width)
    blocks = []
    for features, cache in encode(x, params, config, ops, rng, all_tokens):
        blocks.append(cache)
    logits, head_cache = head(features, params, config, ops, rng)       # (B, K)
    return logits, {"ops": ops, "root": root_cache, "blocks": blocks, "head": head_cache}


def backward(dlogits, cache, add=None):
    """Return dimages (B, height, width, C) and the gradients, a tree like params.

    With `add`, the gradients of each part are handed over as soon as they exist, as
    add("blocks/3", tree of the part), and are not kept: the second result is then None.
    """
    gradients = {}
    keep = gradients.__setitem__
    dx = head_backward(dlogits, cache, add or keep)             # (B, rows, columns, features)
    dx = encode_backward(dx, cache, add or keep)                # (B, rows, columns, width)
    dimages = embed_backward(dx, cache, add or keep)
    if add:
        return dimages, None
    return dimages, parameters.nest(parameters.flatten(gradients))


def embed(images, params, config, ops=textbook, rng=None):
    """Return the first map (B, rows, columns, width) of images (B, height, width, C), and cache."""
    return ops.root.forward(images, params["root"], config, ops)


def embed_backward(dx, cache, add):
    """Return dimages for dx (B, rows, columns, width), after handing the gradients to add."""
    dimages, gradients = cache["ops"].root.backward(dx, cache["root"])
    add("root", gradients)
    return dimages


def encode(x, params, config, ops=textbook, rng=None, all_tokens=True):
    """Yield (x, cache) after each block, x (B, rows, columns, channels of the stage)."""
    for p, (_, _, stride) in zip(params["blocks"], config.blocks, strict=True):
        x, cache = ops.residual_block.forward(x, p, config, ops, stride)
        yield x, cache
        del cache                               # where the caller drops it too, its memory is free


def encode_backward(dx, cache, add):
    """Return the gradient of the first map for that of the last, after handing over the blocks'."""
    for i in reversed(range(len(cache["blocks"]))):
        dx, gradients = cache["ops"].residual_block.backward(dx, cache["blocks"][i])
        add(f"blocks/{i}", gradients)
    return dx


def head(x, params, config, ops=textbook, rng=None):
    """Return logits (B, K) of the last map x (B, rows, columns, features), and the cache."""
    p = {part: params[part] for part in HEAD_PARTS if part in params}
    return ops.pooled_head.forward(x, p, config, ops)


def head_backward(dlogits, cache, add):
    """Return dx (B, rows, columns, features) for dlogits, after handing each part's to add."""
    dx, gradients = cache["ops"].pooled_head.backward(dlogits, cache["head"])
    for part, part_gradients in gradients.items():
        add(part, part_gradients)
    return dx


def shapes(config):
    """Return the parameters' shapes, an ordered dict path → shape, decayed tensors first."""
    k = config.root_kernel
    result = {"root/convolution/weight": (k, k, config.channels, config.width)}
    for i, (C, F, stride) in enumerate(config.blocks):
        block = {"norm1/gamma": (C,), "norm1/beta": (C,), "convolution1/weight": (3, 3, C, F),
                 "norm2/gamma": (F,), "norm2/beta": (F,), "convolution2/weight": (3, 3, F, F)}
        if (C, stride) != (F, 1):
            block["shortcut/weight"] = (1, 1, C, F)
        result |= {f"blocks/{i}/{name}": shape for name, shape in block.items()}
    features = config.features
    result |= {"norm/gamma": (features,), "norm/beta": (features,)}
    if config.classes:
        result |= {"head/weight": (features, config.classes), "head/bias": (config.classes,)}
    return dict(sorted(result.items(), key=lambda item: not is_decayed(item[0])))


def init(config, rng, dtype=np.float32):
    """Return a flat NumPy buffer of initial values, drawn from rng.

    Kernels: normal, variance 2 / (h·w·C) (He et al. 2015, equation 10); standardised, they give the
    same whatever the variance, which decides how fast a filter turns. Scales of norms: 1. All
    else, the head too as in BiT: 0.
    """
    flat = parameters.allocate(shapes(config), dtype, np)
    tensors = parameters.flatten(parameters.views(flat, shapes(config)))
    for path, tensor in tensors.items():
        if path.endswith("gamma"):
            tensor[:] = 1.0
        elif tensor.ndim == 4:
            deviation = math.sqrt(2.0 / math.prod(tensor.shape[:3]))
            tensor[:] = deviation * rng.standard_normal(tensor.shape)
    return flat
