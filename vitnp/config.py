"""What a Vision Transformer is made of: its sizes, checked and named."""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from vitnp.errors import Error
from vitnp.layers.convolutional import stem

# (width, depth, heads, MLP width): Ti, S, B, L, H as in the authors' code; the others are for small
# pictures.
VARIANTS = {
    "micro": (32, 2, 2, 64),
    "tiny": (64, 4, 4, 256),
    "mini": (96, 4, 3, 192),
    "midi": (128, 6, 4, 384),
    "small": (192, 6, 3, 768),
    "Ti": (192, 12, 3, 768),
    "S": (384, 12, 6, 1536),
    "B": (768, 12, 12, 3072),
    "L": (1024, 24, 16, 4096),
    "H": (1280, 32, 16, 5120),
}
CHOICES = {
    "pooling": ("token", "gap", "avg"),
    "positions": ("learned", "none", "2d"),
    "gelu": ("tanh", "erf"),
}


@dataclass(frozen=True)
class ViTConfig:
    """The sizes and choices of one Vision Transformer; impossible ones raise Error.

    image_size: (height, width), or one number for both.
    classes: None for a network without a head.
    pooling: "token" (the paper), "gap" (no class token, mean after LayerNorm; the authors' code)
    or "avg" (class token attends, mean of the patches before LayerNorm; timm).
    positions: "learned", "none", or "2d" (a learned row plus a learned column).
    pre_logits: width of a tanh layer before the head, or None.
    stem: channels of each layer of a convolutional stem, of which each halves the sides; the
    patches are then cut from its map (a hybrid).
    dropout, attention_dropout, stochastic_depth: rates during training; the last one is that of the
    last block, and rises from 0 at the first in equal steps.
    """

    image_size: tuple[int, int] | Any = (224, 224)     # Any: one number becomes two
    patch_size: int = 16
    channels: int = 3
    width: int = 768
    depth: int = 12
    heads: int = 12
    mlp_width: int = 3072
    classes: int | None = 1000
    pooling: str = "token"
    positions: str = "learned"
    pre_logits: int | None = None
    stem: tuple[int, ...] = ()
    gelu: str = "tanh"
    eps: float = 1e-6
    dropout: float = 0.0
    attention_dropout: float = 0.0
    stochastic_depth: float = 0.0

    def __post_init__(self) -> None:
        plain_numbers(self)
        size = self.image_size
        size = tuple(size) if isinstance(size, tuple | list) else (size, size)
        object.__setattr__(self, "image_size", size)
        object.__setattr__(self, "stem", self._checked_stem())
        self._check_numbers()
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise Error(f"{name} is {getattr(self, name)!r}; "
                            f"possible are {', '.join(choices)}")
        height, width = stem.grid(size, self.stem)
        if height % self.patch_size or width % self.patch_size:
            cut = "maps" if self.stem else "images"
            raise Error(f"{cut} of {height} x {width} cannot be cut into patches of side "
                        f"{self.patch_size}; choose a patch size that divides both sides")
        if self.width % self.heads:
            raise Error(f"width {self.width} cannot be divided among {self.heads} heads; "
                        "choose a width that is a multiple of the heads")

    def _check_numbers(self):
        if len(self.image_size) != 2:
            raise Error(f"image_size has {len(self.image_size)} numbers; "
                        "give height and width, or one number for both")
        whole = {"image height": self.image_size[0], "image width": self.image_size[1]}
        for name in ("patch_size", "channels", "width", "depth", "heads", "mlp_width"):
            whole[name] = getattr(self, name)
        for name in ("classes", "pre_logits"):
            if getattr(self, name) is not None:
                whole[name] = getattr(self, name)
        for name, value in whole.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise Error(f"{name} is {value!r}; it must be a whole number of at least 1")
        for name in ("dropout", "attention_dropout", "stochastic_depth"):
            rate = getattr(self, name)
            if not is_number(rate) or not 0 <= rate < 1:
                raise Error(f"{name} is {rate!r}; it must be a number from 0 to below 1")
        if not is_number(self.eps) or not 0 < self.eps < math.inf:
            raise Error(f"eps is {self.eps!r}; it must be a number above 0")

    def _checked_stem(self):
        if not isinstance(self.stem, tuple | list) or not all(
                isinstance(width, int) and width > 0 and width % stem.GROUPS == 0
                for width in self.stem):
            raise Error(f"stem is {self.stem!r}; give the channels of each layer, multiples of "
                        f"{stem.GROUPS}, such as (24, 48)")
        return tuple(self.stem)

    @property
    def grid(self) -> tuple[int, int]:
        """The number of patches down and across."""
        rows, columns = stem.grid(self.image_size, self.stem)
        return rows // self.patch_size, columns // self.patch_size

    @property
    def class_token(self) -> bool:
        """True where a class token is prepended."""
        return self.pooling != "gap"

    @property
    def tokens(self) -> int:
        """The number T of tokens."""
        return self.grid[0] * self.grid[1] + self.class_token

    @property
    def widest(self) -> int:
        """How many numbers the largest array of a block or the stem has, for one image."""
        return max(self.tokens * self.mlp_width,
                   stem.widest(self.image_size, self.channels, self.stem))

    @property
    def draws(self) -> bool:
        """True where training draws at random in the network."""
        return bool(self.dropout or self.attention_dropout or self.stochastic_depth)

    @classmethod
    def named(cls, name: str, **changes: Any) -> Self:
        """Return the configuration of a name such as "B/16" (variant / patch side), with changes.

        Raises Error for an unknown variant or a patch side that is no number.
        """
        variant, _, patch_size = name.partition("/")
        if variant not in VARIANTS or not patch_size.isdecimal():
            raise Error(f"unknown model {name!r}; write VARIANT/PATCH, such as B/16 or tiny/2, "
                        f"with a variant of {', '.join(VARIANTS)}")
        width, depth, heads, mlp_width = VARIANTS[variant]
        sizes = {"patch_size": int(patch_size), "width": width, "depth": depth, "heads": heads,
                 "mlp_width": mlp_width}
        return cls(**(sizes | changes))


def plain_numbers(record):
    """Make Python's numbers of NumPy's in a frozen dataclass: those would turn float32 to float64.

    A JSON file and a GPU's kernels take no others.
    """
    for name, value in vars(record).items():
        if isinstance(value, np.generic):
            object.__setattr__(record, name, value.item())


def is_number(value):
    """Tell whether value is an int or float, and not NaN."""
    is_bool = isinstance(value, bool)
    return isinstance(value, int | float) and not is_bool and not math.isnan(value)
