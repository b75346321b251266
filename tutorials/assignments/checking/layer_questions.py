"""The questions about layers, a function for each file of vitnp/layers.

Each takes a questions.Source and returns the questions, the plainest of each function first.
"""

import numpy as np

from tutorials.assignments.checking.questions import Question, block_parameters, config_of
from tutorials.assignments.sandbox.wire import OPS

FORWARD = "forward"
LARGE = ("large numbers: subtract the largest of each row before exp, and take the logarithm of "
         "Σ exp(x - max), never of a probability, not even of p + 1e-10")
DRAWS = "draws"         # in place of a generator: the fixed dropout asks only whether there is one


def layer(title, name, arguments, *fixed, **others):
    """Return the question about forward and backward of a layer."""
    return Question(title, (f"layers.{name}", FORWARD), arguments, fixed, **others)


def patches(given):
    """Return the questions about cutting images into patches."""
    side, sizes = given.sizes["P"], given.sizes
    images = given.shaped("B", sizes["rows"] * side, sizes["columns"] * side, "C")
    return [layer("several images", "patches", {"images": images}, side, returns=("patches",))]


def class_token(given):
    """Return the questions about class token and positions."""
    x, token = given.shaped("B", "N", "D"), given.shaped("D")
    both = {"x": x, "class_token": token, "position": given.shaped("T", "D")}
    return [layer("class token and positions", "class_token", both, returns=("z",)),
            layer("no class token", "class_token",
                  both | {"class_token": None, "position": given.shaped("N", "D")}, returns=("z",)),
            layer("no positions", "class_token", both | {"position": None}, returns=("z",))]


def position_2d(given):
    """Return the questions about positions made of rows and columns."""
    arguments = {"row": given.shaped("rows", "D"), "column": given.shaped("columns", "D")}
    return [layer("with a class token", "position_2d", arguments, True, returns=("position",)),
            layer("no class token", "position_2d", arguments, False, returns=("position",))]


def linear(given):
    """Return the questions about the linear layer."""
    affine = {"weight": given.shaped("D", "F"), "bias": given.shaped("F")}
    shapes = {"tokens of several images": "B T D", "a matrix (K, D)": "K D", "four axes": "B H T D"}
    return [layer(title, "linear", {"x": given.shaped(*letters.split())} | affine)
            for title, letters in shapes.items()]


def layernorm(given):
    """Return the questions about LayerNorm."""
    affine = {"gamma": given.shaped("D"), "beta": given.shaped("D")}
    far = {"x": 2.5 * given.shaped("B", "T", "D") + 300.0} | affine
    far = {name: array.astype(np.float32).astype(float) for name, array in far.items()}
    small = {"x": 1e-3 * given.shaped("B", "T", "D")} | affine
    return [layer("tokens of several images", "layernorm", {"x": given.shaped("B", "T", "D")}
                  | affine, 0.05),
            layer("a matrix (K, D)", "layernorm", {"x": given.shaped("K", "D")} | affine, 0.05),
            layer("the default eps, small numbers", "layernorm", small),
            layer("a large mean", "layernorm", far, 1e-6, forms=("float32",), told=(
                "digits are lost where the mean is large: compute the variance from x - mean, not "
                "as mean(x²) - mean(x)²"))]


def gelu(given):
    """Return the questions about the GELU, in both forms."""
    x = {"x": 2.0 * given.shaped("B", "T", "F")}
    far = {"x": np.array([[-300.0, -30.0, 30.0, 300.0]])}
    return [layer("the tanh form", "gelu", x, "tanh"), layer("the erf form", "gelu", x, "erf"),
            layer("the form by default", "gelu", x),
            layer("large numbers, the tanh form", "gelu", far, "tanh", forms=("plain", "float32")),
            layer("large numbers, the erf form", "gelu", far, "erf", forms=("plain", "float32"))]


def softmax(given):
    """Return the questions about the softmax."""
    large = given.shaped("B", "K") + 800.0          # exp of more than 709 is infinite
    return [layer("scores of several heads", "softmax", {"x": given.shaped("B", "H", "K", "T")}),
            layer("a matrix (B, K)", "softmax", {"x": given.shaped("B", "K")}),
            layer("scores around 800", "softmax", {"x": large}, told=LARGE)]


def cross_entropy(given):
    """Return the questions about the cross-entropy: hard and soft targets, smoothing."""
    logits, K = given.shaped("B", "K"), given.sizes["K"]
    classes = (3 * np.arange(len(logits)) + 2) % K
    soft = np.abs(given.shaped("B", "K")) + 0.1
    soft /= soft.sum(axis=1, keepdims=True)
    return [layer("classes as targets", "cross_entropy", {"logits": logits}, classes,
                  returns=("losses",)),
            layer("smoothing", "cross_entropy", {"logits": logits}, classes, 0.2,
                  returns=("losses",)),
            layer("probabilities as targets, smoothing", "cross_entropy", {"logits": logits}, soft,
                  0.1, returns=("losses",)),
            layer("logits around 1000", "cross_entropy", {"logits": 40.0 * logits + 1000.0},
                  logits.argmin(axis=1), returns=("losses",), told=LARGE)]


def dot_product_attention(given):
    """Return the questions about attention: fewer queries than keys, as many, and dropout."""
    few = {"q": given.shaped("B", "H", "rows", "Dh"), "k": given.shaped("B", "H", "T", "Dh"),
           "v": given.shaped("B", "H", "T", "Dh")}
    many = few | {"q": given.shaped("B", "H", "T", "Dh")}
    shift = np.array([45.0] + [0.0] * (given.sizes["Dh"] - 1))    # adds about 900 to each score
    large = {"q": many["q"] + shift, "k": many["k"] + shift, "v": many["v"]}
    name = "dot_product_attention"
    return [layer("fewer queries than keys", name, few, OPS, entry=("weights",)),
            layer("as many queries as keys", name, many, OPS),
            layer("with dropout", name, many, OPS, 0.4, DRAWS, entry=("weights",)),
            layer("scores around 900", name, large, OPS, told=LARGE)]


def heads(given):
    """Return the questions about split and merge."""
    H, head = given.sizes["H"], given.shaped
    D = given.sizes["D"]
    joined, single = head("B", "T", 3 * D), head("B", "T", "D")
    parts = [head("B", "H", "T", "Dh") for _ in range(3)]
    split = ("layers.heads", "split"), ("layers.heads", "merge")
    return [Question("queries, keys and values", split[0], {"x": joined}, (H, 3),
                     ("q", "k", "v"), None, listed=True),
            Question("one part", split[0], {"x": single}, (H, 1), ("q",), None,
                     listed=True),
            Question("three parts", split[1], {"parts": parts}, (), ("x",), None),
            Question("one part", split[1], {"parts": parts[:1]}, (), ("x",), None)]


def composite(title, name, given, p, *fixed, entry=(), **config):
    """Return the question about a layer with parameters and other layers."""
    arguments = {"x": given.shaped("B", "T", "D"), "p": p}
    return layer(title, name, arguments, config_of(given.sizes, **config), OPS, *fixed,
                 entry=entry)


def attention(given):
    """Return the questions about multi-head attention: all tokens, one query, dropout."""
    p = block_parameters(given)["attention"]
    return [composite("all tokens", "attention", given, p, entry=("weights",)),
            composite("one query", "attention", given, p, None, 1, entry=("weights",)),
            composite("with dropout", "attention", given, p, DRAWS, entry=("weights",),
                      attention_dropout=0.4),
            composite("one query, with dropout", "attention", given, p, DRAWS, 1,
                      attention_dropout=0.4)]


def mlp(given):
    """Return the questions about the MLP."""
    p = block_parameters(given)["mlp"]
    return [composite("the tanh form", "mlp", given, p),
            composite("the erf form", "mlp", given, p, gelu="erf"),
            composite("with dropout", "mlp", given, p, DRAWS, dropout=0.4)]


def block(given):
    """Return the questions about the block: each argument that it hands on matters in one."""
    p = block_parameters(given)
    return [composite("all tokens", "block", given, p, eps=0.05),
            composite("one query", "block", given, p, None, 0.0, 1),
            composite("the erf form", "block", given, p, gelu="erf"),
            composite("with dropout and stochastic depth", "block", given, p, DRAWS, 0.3,
                      dropout=0.4),
            composite("with dropout of the attention weights", "block", given, p, DRAWS,
                      attention_dropout=0.4)]
