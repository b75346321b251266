"""The layers of convolutional networks, for ResNets and hybrid stems.

They keep the promises of `vitnp.layers`, and are the only ones that `vitnp.networks.resnet` and a
convolutional stem need beyond those. New letters: `h` and `w` are the sides of a kernel, `C`
channels go into a layer and `F` filters make those that come out, `G` groups share a norm. Feature
maps are `(B, rows, columns, C)` like images, kernels `(h, w, C, F)`.
"""

from dataclasses import dataclass
from types import ModuleType

from vitnp.layers import Ops
from vitnp.layers import embedding as patch_embedding
from vitnp.layers.convolutional import (
    convolution,
    group_norm,
    hybrid_embedding,
    max_pool,
    mean_pool,
    pooled_head,
    relu,
    residual_block,
    root,
    standardised_convolution,
    stem,
    weight_standardisation,
    windows,
)


@dataclass(frozen=True)
class ConvolutionalOps(Ops):
    """The layers of the Vision Transformer, and those of convolutional networks."""

    convolution: ModuleType = convolution
    embedding: ModuleType = hybrid_embedding
    group_norm: ModuleType = group_norm
    max_pool: ModuleType = max_pool
    mean_pool: ModuleType = mean_pool
    patch_embedding: ModuleType = patch_embedding
    pooled_head: ModuleType = pooled_head
    relu: ModuleType = relu
    residual_block: ModuleType = residual_block
    root: ModuleType = root
    standardised_convolution: ModuleType = standardised_convolution
    stem: ModuleType = stem
    weight_standardisation: ModuleType = weight_standardisation
    windows: ModuleType = windows


textbook = ConvolutionalOps()
