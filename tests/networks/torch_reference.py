"""The residual network once more, with PyTorch's layers and autograd, and its fixture.

    python tests/convolutional/torch_reference.py

writes torch_resnet.npz: parameters, images, dlogits, and what PyTorch 2.13 computes from them in
float64: logits and all gradients. Run it again only where the network is meant to change.
"""

from pathlib import Path

import numpy as np

from vitnp.networks.resnet import ResNetConfig, shapes
from vitnp.params import flatten, nest

FIXTURE = Path(__file__).with_name("torch_resnet.npz")
SMALL = ResNetConfig(image_size=(10, 7), channels=3, width=4, depths=(1, 2), classes=5, groups=2)
LARGE = ResNetConfig(image_size=(22, 17), channels=3, width=4, depths=(1, 1), classes=5, groups=4,
                     root="large")
CONFIGS = {"small": SMALL, "large": LARGE}


def drawn(config):
    """Return random parameters by path, images and dlogits, in float64, of two decimals."""
    rng = np.random.default_rng(7)

    def draw(shape):
        return rng.standard_normal(shape).round(2)

    tensors = {path: draw(shape) for path, shape in shapes(config).items()}
    return tensors, draw((2, *config.image_size, config.channels)), draw((2, config.classes))


def results(config, tensors, images, dlogits):
    """Return PyTorch's logits, dimages and gradients by path, as NumPy arrays."""
    import torch

    leaves = {path: torch.tensor(array, requires_grad=True) for path, array in tensors.items()}
    pixels = torch.tensor(images, requires_grad=True)
    logits = network(pixels.permute(0, 3, 1, 2), nest(leaves), config)
    (logits * torch.tensor(dlogits)).sum().backward()
    gradients = {path: leaf.grad.numpy() for path, leaf in leaves.items()}
    return logits.detach().numpy(), pixels.grad.numpy(), gradients


def network(x, p, config):
    """Return logits of x (B, C, height, width)."""
    from torch import nn

    x = convolve(x, p["root"]["convolution"], 2 if config.root == "large" else 1)
    if config.root == "large":
        x = nn.functional.max_pool2d(x, 3, stride=2, padding=1)
    for block in p["blocks"]:
        C, F = block["convolution1"]["weight"].shape[2:]
        stride = 1 if C == F else 2
        a = norm_relu(x, block["norm1"], config)
        y = norm_relu(convolve(a, block["convolution1"], stride), block["norm2"], config)
        shortcut = convolve(a, block["shortcut"], stride) if "shortcut" in block else x
        x = shortcut + convolve(y, block["convolution2"], 1)
    x = norm_relu(x, p["norm"], config).mean(dim=(2, 3))
    return nn.functional.linear(x, p["head"]["weight"].T, p["head"]["bias"])


def convolve(x, p, stride):
    """Convolve with the standardised weight, whose layout here is (h, w, C, F)."""
    import torch

    weight = p["weight"].permute(3, 2, 0, 1)
    variance, mean = torch.var_mean(weight, dim=(1, 2, 3), keepdim=True, unbiased=False)
    weight = (weight - mean) / torch.sqrt(variance + 1e-10)
    return torch.nn.functional.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2)


def norm_relu(x, p, config):
    """Return ReLU of PyTorch's group norm."""
    from torch import nn

    y = nn.functional.group_norm(x, config.groups, p["gamma"], p["beta"], config.eps)
    return nn.functional.relu(y)


def write():
    """Write the fixture."""
    arrays = {}
    for name, config in CONFIGS.items():
        tensors, images, dlogits = drawn(config)
        logits, dimages, gradients = results(config, tensors, images, dlogits)
        tree = {"params": tensors, "images": images, "dlogits": dlogits, "logits": logits,
                "dimages": dimages, "gradients": gradients}
        arrays |= {f"{name}/{path}": array for path, array in flatten(tree).items()}
    np.savez_compressed(FIXTURE, **arrays)


if __name__ == "__main__":
    write()
