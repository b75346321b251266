"""The questions about the variants of layers, and about the network with a planted mistake."""

import numpy as np

from tutorials.assignments.checking.questions import Question, block_parameters, config_of
from tutorials.assignments.sandbox.wire import OPS


def ask(name, arguments, *fixed, title="random numbers"):
    """Return the question about a variant; its gradients are finite differences."""
    return Question(title, (f"drawn.{name}", "forward"), arguments, fixed, tolerance=1e-6,
                    variant=True)


def rmsnorm(given):
    """Return the questions about RMSNorm."""
    return [ask("rmsnorm", {"x": given.shaped("B", "T", "D"), "gamma": given.shaped("D")}, 0.05),
            ask("rmsnorm", {"x": given.shaped("K", "D"), "gamma": given.shaped("D")}, 0.05,
                title="a matrix (K, D)")]


def weighted_norm(given):
    """Return the questions about the norm with a weighted mean."""
    return [ask("weighted_norm", {"x": given.shaped("B", "T", "D"), "weight": given.shaped("D"),
                                  "gamma": given.shaped("D")}, 0.05)]


def quick_gelu(given):
    """Return the questions about QuickGELU."""
    return [ask("quick_gelu", {"x": 2.0 * given.shaped("B", "T", "F")})]


def mish(given):
    """Return the questions about Mish."""
    return [ask("mish", {"x": 2.0 * given.shaped("B", "T", "F")})]


def gated_pooling(given):
    """Return the questions about gated pooling."""
    return [ask("gated_pooling", {"x": given.shaped("B", "T", "D"), "gate": given.shaped("D")})]


def sum_pooling(given):
    """Return the questions about sum pooling."""
    return [ask("sum_pooling", {"x": given.shaped("B", "T", "D"), "scale": given.shaped("D"),
                                "shift": given.shaped("D")})]


def classes(given):
    """Return targets, a class for each image."""
    return (3 * np.arange(given.sizes["B"]) + 2) % given.sizes["K"]


def confidence_penalty(given):
    """Return the questions about the penalty on confidence."""
    return [ask("confidence_penalty", {"logits": given.shaped("B", "K")}, classes(given), 0.3)]


def focal_loss(given):
    """Return the questions about the focal loss."""
    return [ask("focal_loss", {"logits": given.shaped("B", "K")}, classes(given))]


def queries_keys_values(given):
    """Return random queries, keys and values by name."""
    return {name: given.shaped("B", "H", "T", "Dh") for name in ("q", "k", "v")}


def relative_bias(given):
    """Return the questions about the relative bias."""
    bias = given.draw((2 * given.sizes["T"] - 1,))
    return [ask("relative_bias", queries_keys_values(given) | {"bias": bias})]


def capped_attention(given):
    """Return the questions about capped scores."""
    return [ask("capped_attention", queries_keys_values(given), 0.7)]


def shared_key(given):
    """Return the questions about one shared key."""
    return [ask("shared_key", {"x": given.shaped("B", "T", "D"), "query": given.shaped(
        "H", "D", "Dh"), "key": given.shaped("D", "Dh"), "value": given.shaped("D", "Dh")})]


def talking_heads(given):
    """Return the questions about talking heads."""
    return [ask("talking_heads", queries_keys_values(given) | {"mix": given.shaped("H", "H")})]


def post_norm(given):
    """Return the questions about the post-norm block."""
    return [ask("post_norm", {"x": given.shaped("B", "T", "D"), "p": block_parameters(given)},
                config_of(given.sizes, eps=0.05), OPS)]


def parallel_block(given):
    """Return the questions about the parallel block."""
    p = {name: part for name, part in block_parameters(given).items() if name != "norm2"}
    return [ask("parallel_block", {"x": given.shaped("B", "T", "D"), "p": p},
                config_of(given.sizes, eps=0.05), OPS)]


def network(given):
    """Return the question about the small network."""
    sizes = given.sizes
    D, F, side = sizes["D"], sizes["F"], sizes["P"]
    shapes = {"embedding": (side * side * sizes["C"], D), "qkv": (D, 3 * D), "out": (D, D),
              "in": (D, F), "mlp_out": (F, D), "head": (D, sizes["K"])}
    p = {"class_token": given.shaped("D"), "position": given.shaped("T", "D")}
    for name, shape in shapes.items():
        p[name] = {"weight": given.draw(shape), "bias": given.draw(shape[1:])}
    for name in ("norm1", "norm2"):
        p[name] = {"gamma": given.shaped("D"), "beta": given.shaped("D")}
    images = given.shaped("B", sizes["rows"] * side, sizes["columns"] * side, "C")
    return [Question("random numbers", ("network", "forward"), {"images": images, "p": p},
                     (classes(given), sizes["H"], side), ("losses",))]
