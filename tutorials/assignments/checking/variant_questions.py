"""The questions about the variants of layers, and about the network with a planted mistake."""

import numpy as np

from tutorials.assignments.checking.questions import Question, block_parameters, config_of
from tutorials.assignments.sandbox.wire import OPS


def questions(name, given):
    """Return the questions about a variant, or "network"; gradients are finite differences."""
    if name == "network":
        return [network(given)]
    (arguments, *fixed) = arguments_of(given)[name]
    asked = [Question("random numbers", (f"drawn.{name}", "forward"), arguments, tuple(fixed),
                      tolerance=1e-6, variant=True)]
    if "x" in arguments and name in ("rmsnorm", "weighted_norm", "quick_gelu", "mish"):
        matrix = arguments | {"x": arguments["x"][0]}
        asked.append(Question("a matrix", asked[0].judged, matrix, tuple(fixed), tolerance=1e-6,
                              variant=True))
    return asked


def arguments_of(given):
    """Return the arguments of each variant, a dict name → (arguments by name, others …)."""
    shaped, T = given.shaped, given.sizes["T"]
    x = {"x": shaped("B", "T", "D")}
    wide, logits = {"x": 2.0 * shaped("B", "T", "F")}, {"logits": shaped("B", "K")}
    heads = {name: shaped("B", "H", "T", "Dh") for name in ("q", "k", "v")}
    p, config = block_parameters(given), config_of(given.sizes, eps=0.05)
    gamma, other = shaped("D"), shaped("D")
    return {
        "sum_pooling": (x | {"scale": gamma, "shift": other},),
        "gated_pooling": (x | {"gate": gamma},),
        "confidence_penalty": (logits, classes(given), 0.3),
        "focal_loss": (logits, classes(given)),
        "rmsnorm": (x | {"gamma": gamma}, 0.05),
        "weighted_norm": (x | {"weight": other, "gamma": gamma}, 0.05),
        "quick_gelu": (wide,),
        "mish": (wide,),
        "relative_bias": (heads | {"bias": given.draw((2 * T - 1,))},),
        "capped_attention": (heads, 0.7),
        "shared_key": (x | {"query": shaped("H", "D", "Dh"), "key": shaped("D", "Dh"),
                            "value": shaped("D", "Dh")},),
        "talking_heads": (heads | {"mix": shaped("H", "H")},),
        "post_norm": (x | {"p": p}, config, OPS),
        "parallel_block": (x | {"p": {name: part for name, part in p.items() if name != "norm2"}},
                           config, OPS),
    }


def classes(given):
    """Return targets, a class for each image."""
    return (3 * np.arange(given.sizes["B"]) + 2) % given.sizes["K"]


def network(given):
    """Return the question about the small network."""
    sizes = given.sizes
    D, F, side = sizes["D"], sizes["F"], sizes["P"]
    shapes = {"embedding": (side * side * sizes["C"], D), "qkv": (D, 3 * D), "out": (D, D),
              "in": (D, F), "mlp_out": (F, D), "head": (D, sizes["K"])}
    p = {"class_token": given.shaped("D"), "position": given.shaped("T", "D")}
    p |= {name: {"weight": given.draw(shape), "bias": given.draw(shape[1:])}
          for name, shape in shapes.items()}
    p |= {name: {"gamma": given.shaped("D"), "beta": given.shaped("D")}
          for name in ("norm1", "norm2")}
    images = given.shaped("B", sizes["rows"] * side, sizes["columns"] * side, "C")
    return Question("random numbers", ("network", "forward"), {"images": images, "p": p},
                    (classes(given), sizes["H"], side), ("losses",))
