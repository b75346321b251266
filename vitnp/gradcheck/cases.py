"""The cases of vitnp.gradcheck: every layer, and small networks, with random values.

All sizes differ, so that an exchanged axis shows: B 2, H 3, Dh 4, D 12, N 6, T 7, F 10, K 5.
"""

from dataclasses import replace
from itertools import product

import numpy as np

from vitnp import params, vit
from vitnp.backend import get_xp, to_device
from vitnp.common.randomness import generator
from vitnp.config import ViTConfig
from vitnp.gradcheck import Case
from vitnp.layers import textbook

SIZES = ViTConfig(image_size=(6, 4), patch_size=2, channels=5, width=12, depth=2, heads=3,
                  mlp_width=10, classes=5)
B, N, T, D, H, Dh, F, K = 2, 6, 7, 12, 3, 4, 10, 5
IMAGES, TOKENS, HEADS = (B, 6, 4, 5), (B, T, D), (B, H, T, Dh)


def all_cases(xp=np, ops=textbook):
    """Return the cases of all layers of `ops`, and of networks made of them, on xp's device."""
    draw = drawing(xp)
    return leaf_cases(draw, ops) + composite_cases(draw, ops) + network_cases(draw, ops)


def drawing(xp):
    """Return a function shape -> array of xp, random, and the same after each start."""
    rng = generator(0, "gradcheck")
    return lambda shape: to_device(0.7 * rng.standard_normal(shape), xp)


def leaf_cases(draw, ops):
    """Return the cases of the leaves."""
    targets = get_xp(draw((1,))).asarray(np.array([3, 1]))
    soft_targets, _ = ops.softmax.forward(draw((B, K)))
    x = {"x": draw(TOKENS)}
    qkv = {"q": draw((B, H, 1, Dh)), "k": draw(HEADS), "v": draw(HEADS)}
    affine = {"gamma": draw((D,)), "beta": draw((D,))}
    token = {"x": draw((B, N, D)), "class_token": draw((D,)), "position": draw((T, D))}
    grid = {"row": draw((3, D)), "column": draw((2, D))}
    return [
        leaf("patches", ops.patches, {"images": draw(IMAGES)}, 2),
        leaf("linear", ops.linear, x | {"weight": draw((D, F)), "bias": draw((F,))}),
        leaf("layernorm", ops.layernorm, x | affine, 1e-6),
        leaf("gelu tanh", ops.gelu, x, "tanh"),
        leaf("gelu erf", ops.gelu, x, "erf"),
        leaf("softmax", ops.softmax, x),
        split_case(ops.heads, draw),
        merge_case(ops.heads, draw),
        leaf("class_token", ops.class_token, token),
        leaf("position_2d", ops.position_2d, grid, True),
        leaf("cross_entropy", ops.cross_entropy, {"logits": draw((B, K))}, targets),
        leaf("cross_entropy soft, smoothed", ops.cross_entropy, {"logits": draw((B, K))},
             soft_targets, 0.1),
        dropout_case("dropout", ops.dropout, x, per_image=False),
        dropout_case("dropout per image", ops.dropout, {"x": draw((K, N, D))}, per_image=True),
        leaf("dot_product_attention", ops.dot_product_attention, qkv, ops),
    ]


def leaf(name, layer, arguments, *fixed):
    """Return the case of a leaf: `arguments` in the order of its forward, then `fixed`."""

    def forward(arguments):
        return layer.forward(*arguments.values(), *fixed)

    def backward(dy, cache):
        gradients = layer.backward(dy, cache)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        return dict(zip(arguments, gradients, strict=True))

    return Case(name, arguments, forward, backward)


def split_case(heads, draw):
    """Return the case of heads.split, whose backward is merge."""

    def forward(arguments):
        parts = heads.split(arguments["x"], H, 3)
        return get_xp(*parts).stack(parts), None

    return Case("heads split", {"x": draw((B, T, 3 * D))}, forward,
                lambda dy, cache: {"x": heads.merge(list(dy))})


def merge_case(heads, draw):
    """Return the case of heads.merge, whose backward is split."""

    def backward(dy, cache):
        return dict(zip("qkv", heads.split(dy, H, 3), strict=True))

    return Case("heads merge", {name: draw(HEADS) for name in "qkv"},
                lambda arguments: (heads.merge(list(arguments.values())), None), backward)


def dropout_case(name, dropout, x, per_image):
    """Return a case of dropout, with the same mask in each call."""

    def forward(arguments):
        rng = generator(0, "gradcheck", xp=get_xp(arguments["x"]))
        return dropout.forward(arguments["x"], 0.4, rng, per_image)

    return Case(name, x, forward, lambda dy, cache: {"x": dropout.backward(dy, cache)})


def composite_cases(draw, ops):
    """Return the cases of the composites, with dropout."""
    config = replace(SIZES, dropout=0.2, attention_dropout=0.3)
    tree = parameters(config, draw)
    block = tree["blocks"][0]
    images, tokens = draw(IMAGES), draw(TOKENS)
    cases = [
        composite("embedding", ops.embedding, images, tree["embedding"], config, ops),
        composite("attention", ops.attention, tokens, block["attention"], config, ops),
        composite("attention, one query", ops.attention, tokens, block["attention"], config, ops,
                  queries=1),
        composite("mlp", ops.mlp, tokens, block["mlp"], config, ops),
        composite("block", ops.block, tokens, block, config, ops, drop_rate=0.3),
        composite("block, one query", ops.block, tokens, block, config, ops, queries=1),
    ]
    for positions, pooling in (("2d", "token"), ("2d", "gap"), ("learned", "gap"), ("none", "avg")):
        other = replace(SIZES, positions=positions, pooling=pooling)
        p = parameters(other, draw)["embedding"]
        name = f"embedding, {positions} positions, {pooling}"
        cases.append(composite(name, ops.embedding, images, p, other, ops))
        if positions == "2d":
            cases.append(position_case(f"position, {pooling}", ops, p))
    for pooling, pre_logits in product(("token", "gap", "avg"), (None, 8)):
        other = replace(SIZES, pooling=pooling, pre_logits=pre_logits)
        tree = parameters(other, draw)
        p = {part: tree[part] for part in vit.HEAD_PARTS if part in tree}
        name = f"head {pooling}" + (", pre-logits" if pre_logits else "")
        cases.append(composite(name, ops.head, tokens, p, other, ops))
        if pooling != "token" and not pre_logits:
            cases.append(part(f"pooling {pooling}", ops.pooling, tokens, p["norm"], other, ops))
    cases.append(part("pre_logits", ops.pre_logits, draw((B, D)),
                      {"weight": draw((D, F)), "bias": draw((F,))}, ops))
    return cases


def parameters(config, draw):
    """Return a tree of random parameters."""
    return params.nest({path: draw(shape) for path, shape in vit.shapes(config).items()})


def position_case(name, ops, p):
    """Return the case of the positions of rows and columns in the parameters p of an embedding."""
    others = {name: value for name, value in p.items() if name == "class_token"}
    arguments = {name: value for name, value in p.items() if name.startswith("position")}
    return Case(name, arguments, lambda arguments: ops.position.forward(others | arguments, ops),
                ops.position.backward)


def part(name, layer, x, p, *fixed):
    """Return the case of a composite in which nothing is random."""

    def backward(dy, cache):
        dx, dp = layer.backward(dy, cache)
        return {"x": dx, "p": dp}

    return Case(name, {"x": x, "p": p},
                lambda arguments: layer.forward(arguments["x"], arguments["p"], *fixed), backward)


def composite(name, layer, x, p, config, ops, **options):
    """Return the case of a composite, with the same dropout masks in each call."""

    def forward(arguments):
        rng = generator(0, "gradcheck", xp=get_xp(x))
        return layer.forward(arguments["x"], arguments["p"], config, ops, rng, **options)

    def backward(dy, cache):
        dx, dp = layer.backward(dy, cache)
        return {"x": dx, "p": dp}

    return Case(name, {"x": x, "p": p}, forward, backward)


def network_cases(draw, ops):
    """Return the cases of small networks: each pooling and GELU, all positions, pre-logits."""
    cases = []
    positions = ("learned", "2d", "none", "learned", "2d", "learned")
    kinds = product(("token", "gap", "avg"), ("tanh", "erf"))
    for (pooling, gelu), position in zip(kinds, positions, strict=True):
        config = replace(SIZES, pooling=pooling, gelu=gelu, positions=position, dropout=0.1,
                         stochastic_depth=0.2, pre_logits=8 if gelu == "erf" else None)
        name = f"vit {pooling}, {gelu}, {position} positions"
        cases.append(network(name, config, draw, ops, all_tokens=gelu == "erf"))
    return cases


def network(name, config, draw, ops, all_tokens):
    """Return the case of a whole network."""

    def forward(arguments):
        rng = generator(0, "gradcheck", xp=get_xp(arguments["images"]))
        return vit.forward(arguments["images"], arguments["params"], config, ops, rng, all_tokens)

    def backward(dy, cache):
        dimages, gradients = vit.backward(dy, cache)
        return {"images": dimages, "params": gradients}

    arguments = {"images": draw(IMAGES), "params": parameters(config, draw)}
    return Case(name, arguments, forward, backward, sampled=True)
