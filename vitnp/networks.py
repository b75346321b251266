"""Which network a configuration is of: `vit`, `resnet` and `masked` have alike functions."""

from vitnp import hybrid, kernels, masked, resnet, vit
from vitnp.config import ViTConfig
from vitnp.errors import Error
from vitnp.layers import convolutional, textbook
from vitnp.masked import MaskedConfig
from vitnp.resnet import ResNetConfig


def of(config):
    """Return the module that runs a configuration: vit, masked or resnet."""
    if isinstance(config, MaskedConfig):
        return masked
    return resnet if isinstance(config, ResNetConfig) else vit


def layers_of(config, name="textbook"):
    """Return the layers that a configuration needs; name: "textbook", or "fused" for a GPU's.

    The convolutions have no fused kernels: networks with some are always run by the textbook.
    """
    if isinstance(config, ResNetConfig) or config.stem:
        return convolutional.textbook
    return kernels.ops() if name == "fused" else textbook


def config_of(fields):
    """Return the configuration whose fields a checkpoint tells; a ResNet has depths, by stage."""
    return ResNetConfig(**fields) if "depths" in fields else ViTConfig(**fields)


def depth(config):
    """Return the number of blocks."""
    return len(config.blocks) if isinstance(config, ResNetConfig) else config.depth


def widest(config):
    """Return how many numbers the largest array within a block has, for one image."""
    if isinstance(config, ResNetConfig):
        return config.widest
    return max(config.tokens * config.mlp_width, hybrid.widest(config))


def draws(config):
    """Tell whether training draws at random in the network: dropout, stochastic depth."""
    return not isinstance(config, ResNetConfig) and bool(
        config.dropout or config.attention_dropout or config.stochastic_depth)


def need_transformer(config, what, stem=True):
    """Raise Error unless the configuration is a ViT's; `what` begins its sentence.

    stem: False where a hybrid, with a stem, is not possible either.
    """
    if isinstance(config, ResNetConfig):
        raise Error(f"{what} for Vision Transformers; this is a residual network")
    if config.stem and not stem:
        raise Error(f"{what} for Vision Transformers on pixels; this one has a convolutional stem")
