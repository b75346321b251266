"""The from-scratch part: one layer a file, forward beside backward.

A leaf is a module with `y, cache = forward(x, …)` and `dx, … = backward(dy, cache)`. A composite
also takes parameters `p`, a configuration, and `ops`, the set of layers through which it reaches
the others. To try a layer of your own: `dataclasses.replace(textbook, layernorm=mine)`.
"""

from dataclasses import dataclass
from types import ModuleType

from vitnp.layers import (
    attention,
    block,
    class_token,
    cross_entropy,
    dot_product_attention,
    dropout,
    embedding,
    gelu,
    head,
    heads,
    layernorm,
    linear,
    mlp,
    patches,
    pooling,
    position,
    position_2d,
    pre_logits,
    softmax,
)


@dataclass(frozen=True)
class Ops:
    """The layers that a network is built from, each a module."""

    attention: ModuleType = attention
    block: ModuleType = block
    class_token: ModuleType = class_token
    cross_entropy: ModuleType = cross_entropy
    dot_product_attention: ModuleType = dot_product_attention
    dropout: ModuleType = dropout
    embedding: ModuleType = embedding
    gelu: ModuleType = gelu
    head: ModuleType = head
    heads: ModuleType = heads
    layernorm: ModuleType = layernorm
    linear: ModuleType = linear
    mlp: ModuleType = mlp
    patches: ModuleType = patches
    pooling: ModuleType = pooling
    position: ModuleType = position
    position_2d: ModuleType = position_2d
    pre_logits: ModuleType = pre_logits
    softmax: ModuleType = softmax


textbook = Ops()
