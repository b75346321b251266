"""The Vision Transformer, forward and backward, in the paper's order.

    z₀ = [x_class; x_p¹ E; …; x_pᴺ E] + E_pos                      (1)  embed
    z'_l = MSA(LN(z_{l-1})) + z_{l-1}                              (2)  encode: the blocks
    z_l = MLP(LN(z'_l)) + z'_l                                     (3)
    y = LN(z_L⁰), and logits = y W + b                             (4)  head

Source: Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021.
"""

import numpy as np

from vitnp import params as parameters
from vitnp import variants
from vitnp.config import ViTConfig
from vitnp.initial_values import lecun_normal, xavier
from vitnp.layers import textbook

__all__ = ["ViTConfig", "backward", "embed", "embed_backward", "encode", "encode_backward",
           "forward", "head", "head_backward", "init", "is_decayed", "shapes"]

HEAD_PARTS = ("norm", "pre_logits", "head")


def forward(images, params, config, ops=textbook, rng=None, all_tokens=True):
    """Return logits (B, K), or without a head the features, and the cache.

    images: (B, height, width, C), scaled to about -1 … 1; params: the tree of `shapes`.
    ops: the layers; those of `layers.convolutional.textbook` for a config with a stem.
    rng: a Generator for dropout, or None for evaluation.
    all_tokens=False lets the last block compute the class token alone where pooling reads no other:
    the same logits and gradients with fewer operations.
    """
    x, embedding = embed(images, params, config, ops, rng)              # (B, T, D)
    blocks = []
    for tokens, cache in encode(x, params, config, ops, rng, all_tokens):   # (B, T, D)
        blocks.append(cache)
    logits, head_cache = head(tokens, params, config, ops, rng)         # (B, K)
    return logits, {"ops": ops, "embedding": embedding, "blocks": blocks, "head": head_cache}


def backward(dlogits, cache, add=None):
    """Return dimages (B, height, width, C) and the gradients, a tree like params.

    With `add`, the gradients of each part are handed over as soon as they exist, as
    add("blocks/3", tree of the part), and are not kept: the second result is then None.
    """
    gradients = {}
    keep = gradients.__setitem__
    dx = head_backward(dlogits, cache, add or keep)                     # (B, T, D)
    dx = encode_backward(dx, cache, add or keep)
    dimages = embed_backward(dx, cache, add or keep)
    if add:
        return dimages, None
    return dimages, parameters.nest(parameters.flatten(gradients))


def embed(images, params, config, ops=textbook, rng=None):
    """Return the tokens z₀ (B, T, D) of images (B, height, width, C), and the cache (eq. 1)."""
    return ops.embedding.forward(images, params["embedding"], config, ops, rng)


def embed_backward(dx, cache, add):
    """Return dimages for dx (B, T, D), after handing the gradients to add("embedding", …)."""
    dimages, gradients = cache["ops"].embedding.backward(dx, cache["embedding"])
    add("embedding", gradients)
    return dimages


def encode(x, params, config, ops=textbook, rng=None, all_tokens=True):
    """Yield (x, cache) after each block, x (B, T, D) (eq. 2, 3).

    The last x is (B, 1, D) with all_tokens=False and token pooling.
    """
    for i, p in enumerate(params["blocks"]):
        last = i == config.depth - 1
        queries = 1 if last and not all_tokens and config.pooling == "token" else None
        drop_rate = config.stochastic_depth * i / max(config.depth - 1, 1)
        x, cache = ops.block.forward(x, p, config, ops, rng, drop_rate, queries)
        yield x, cache
        del cache                               # where the caller drops it too, its memory is free


def encode_backward(dx, cache, add):
    """Return the gradient of z₀ for that of z_L, after handing over that of each block."""
    for i in reversed(range(len(cache["blocks"]))):
        dx, gradients = cache["ops"].block.backward(dx, cache["blocks"][i])
        add(f"blocks/{i}", gradients)
    return dx


def head(x, params, config, ops=textbook, rng=None):
    """Return logits (B, K) of the last tokens x (B, T, D), and the cache (eq. 4)."""
    p = {part: params[part] for part in HEAD_PARTS if part in params}
    return ops.head.forward(x, p, config, ops, rng)


def head_backward(dlogits, cache, add):
    """Return dx (B, T, D) for dlogits, after handing the gradients of each part to add."""
    dx, gradients = cache["ops"].head.backward(dlogits, cache["head"])
    for part, part_gradients in gradients.items():
        add(part, part_gradients)
    return dx


def shapes(config):
    """Return the parameters' shapes, an ordered dict path → shape, decayed tensors first.

    Here are those of the paper's network; variants.py changes what a configuration has otherwise.
    """
    P, C, T = config.patch_size, config.channels, config.tokens
    D, F, K = config.width, config.mlp_width, config.classes
    result = {"embedding/projection/weight": (P * P * C, D), "embedding/projection/bias": (D,),
              "embedding/class_token": (D,), "embedding/position": (T, D)}
    for i in range(config.depth):
        block = {"norm1/gamma": (D,), "norm1/beta": (D,),
                 "attention/qkv/weight": (D, 3 * D), "attention/qkv/bias": (3 * D,),
                 "attention/out/weight": (D, D), "attention/out/bias": (D,),
                 "norm2/gamma": (D,), "norm2/beta": (D,),
                 "mlp/in/weight": (D, F), "mlp/in/bias": (F,),
                 "mlp/out/weight": (F, D), "mlp/out/bias": (D,)}
        result |= {f"blocks/{i}/{name}": shape for name, shape in block.items()}
    result |= {"norm/gamma": (D,), "norm/beta": (D,), "head/weight": (D, K), "head/bias": (K,)}
    result = variants.shapes(config, result)
    return dict(sorted(result.items(), key=lambda item: not is_decayed(item[0])))


def is_decayed(path):
    """Tell whether weight decay applies: to matrices, not to biases, norms, token and positions."""
    return path.endswith("/weight")


def init(config, rng, dtype=np.float32):
    """Return a flat NumPy buffer of the authors' initial values, drawn from rng.

    Attention and MLP: Xavier uniform, the packed qkv counted as three D x D matrices. Projection:
    LeCun normal, cut off at two standard deviations. Positions: normal, deviation 0.02. MLP biases:
    normal, 1e-6. LayerNorm scales: 1. All else, the head too: 0. Other parts: see variants.
    Source: the authors' code (vit_jax/models_vit.py).
    """
    flat = parameters.allocate(shapes(config), dtype, np)
    tree, D = parameters.views(flat, shapes(config)), config.width
    variants.init(tree, rng)
    projection = tree["embedding"]["projection"]["weight"]
    projection[:] = lecun_normal(projection.shape, rng)
    if config.positions == "learned":
        position = tree["embedding"]["position"]
        position[:] = 0.02 * rng.standard_normal(position.shape)
    for block in tree["blocks"]:
        block["norm1"]["gamma"][:] = block["norm2"]["gamma"][:] = 1.0
        for part in range(3):
            block["attention"]["qkv"]["weight"][:, part * D:(part + 1) * D] = xavier((D, D), rng)
        for linear in (block["attention"]["out"], block["mlp"]["in"], block["mlp"]["out"]):
            linear["weight"][:] = xavier(linear["weight"].shape, rng)
        for linear in (block["mlp"]["in"], block["mlp"]["out"]):
            linear["bias"][:] = 1e-6 * rng.standard_normal(linear["bias"].shape)
    tree["norm"]["gamma"][:] = 1.0
    return flat
