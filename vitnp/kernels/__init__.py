"""CUDA kernels, each the twin of a textbook layer.

A textbook layer launches a small program on the GPU for each line, and each of them reads and
writes whole arrays. Here a layer is one program, with the same arguments and results. `ops()` puts
the fused layers in the place of their twins, `adamw` is that of steps.update, and `add_gradients`
that of params.add. What runs on the GPU is in cuda.py.
"""

import functools
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np

from vitnp import params
from vitnp.errors import Error
from vitnp.kernels import layers, products
from vitnp.kernels.cuda import LANES, PARTS, PLACES, WARPS
from vitnp.kernels.launching import blocks, contiguous, launch, numbers
from vitnp.layers import textbook

NAMES = ("textbook", "fused")
PRECISIONS = ("float32", "bfloat16")


def adamw(params, gradients, moment1, moment2, average, norm, finite, step, learning_rate, groups,
          max_norm, ema, beta1=0.9, beta2=0.999, eps=1e-8):
    """Clip, take a step of AdamW and move the average, in place; see optim.py for the equations.

    params, gradients, moment1, moment2, average: flat buffers of one length, average may be None;
    norm, finite: numbers on the device, and where finite is false nothing changes; max_norm 0: no
    clipping; ema: weight of the old in the average. The gradients stay as they are.
    """
    for part, multiplier, decay in groups:
        buffers = [buffer[part] for buffer in (params, gradients, moment1, moment2)]
        follows = buffers[0] if average is None else average[part]
        rate = learning_rate * multiplier
        launch("adamw", numbers(buffers[0].size), *buffers, follows, norm, finite, max_norm,
               1.0 - beta1, 1.0 - beta2, rate / (1.0 - beta1**step), 1.0 - beta2**step, eps,
               1.0 - rate * decay, 0.0 if average is None else 1.0 - ema, buffers[0].size)


def add_gradients(tree, gradients, first=False):
    """Do what params.add does, up to PARTS arrays in one launch."""
    tensors = params.flatten(tree)
    found = list(params.flatten(gradients).items())
    if layers.is_host(found[0][1]):         # of a model that was moved to the CPU
        return params.add(tree, gradients, first)
    for start in range(0, len(found), PARTS):
        places, kept, most = np.zeros((), PLACES), [], 0
        for i, (path, gradient) in enumerate(found[start:start + PARTS]):
            tensor, (gradient,) = tensors[path], contiguous(gradient)
            params.check_shape(path, gradient, tensor)
            kept.append(gradient)           # its memory must not be another's before the launch
            places["from"][i], places["to"][i] = address(gradient), address(tensor)
            places["n"][i], most = tensor.size, max(most, tensor.size)
        grid = (min(blocks(most, LANES * WARPS), 2048), len(kept))
        launch("add_parts", grid, places[()], bool(first), like=kept[0])


def address(array):
    """Return where on the GPU an array begins."""
    return array.data.ptr


def adder(layers_of_model):
    """Return the function that adds gradients to their sums: that of the fused layers, or plain."""
    return add_gradients if layers_of_model in (ops(name) for name in PRECISIONS) else params.add


def twin(on_host, **functions):
    """Return a module of functions for Ops; NumPy's arrays go to the layer `on_host`.

    So a model that was trained with these layers can be moved to the CPU.
    """
    module = ModuleType(__name__)

    def either(name, function):
        def call(x, *others, **options):
            chosen = getattr(on_host, name) if layers.is_host(x) else function
            return chosen(x, *others, **options)

        return call

    for name, function in functions.items():
        setattr(module, name, either(name, function))
    return module


def ops(precision="float32"):
    """Return the Ops with fused layers in the place of their textbook twins.

    precision: of the factors of products, "float32" or "bfloat16"; in bfloat16 on a CPU too, where
    they are rounded alike, and nothing becomes faster.
    """
    return made(precision)


@functools.cache
def made(precision):
    """Return the Ops of `ops`, once made."""
    factor = products.shorten if precision == "bfloat16" else products.same
    functions = {
        "layernorm": (layers.layernorm_forward, layers.layernorm_backward),
        "softmax": (layers.softmax_forward, layers.softmax_backward),
        "gelu": (layers.gelu_forward, layers.gelu_backward),
        "dropout": (layers.dropout_forward, layers.dropout_backward),
        "attention": (products.attention_forward, products.attention_backward)}
    of_products = {
        "linear": (products.linear_forward, products.linear_backward),
        "dot_product_attention": (products.dot_product_forward, products.dot_product_backward)}
    twins = {"heads": twin(textbook.heads, split=layers.split, merge=layers.merge)}
    for name, (forward, backward) in functions.items():
        twins[name] = twin(getattr(textbook, name), forward=forward, backward=backward)
    for name, pair in of_products.items():
        forward, backward = (functools.partial(function, factor) for function in pair)
        plain = SimpleNamespace(forward=forward, backward=backward)
        on_host = plain if precision == "bfloat16" else getattr(textbook, name)
        twins[name] = twin(on_host, forward=forward, backward=backward)
    return replace(textbook, **twins)


def choose(name, xp, precision="float32"):
    """Return "fused" or "textbook" for the option --ops; None is the device's own choice.

    Raises Error for other names, for fused layers on a CPU, and on a GPU for the textbook's where
    a precision needs the fused ones.
    """
    if name not in (None, *NAMES):
        raise Error(f"there are no layers {name!r}; possible are {', '.join(NAMES)}")
    if name == "fused" and xp is np:
        raise Error("--ops fused needs a GPU, for which these layers are written, but the device "
                    "is the CPU; leave it out, or use --device gpu")
    if name == "textbook" and precision != "float32" and xp is not np:
        raise Error(f"--precision {precision} is for a GPU's fused layers; leave out --ops "
                    "textbook")
    return name or ("textbook" if xp is np else "fused")
