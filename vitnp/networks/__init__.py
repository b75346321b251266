"""Which network a configuration means, and the networks beside the ViT.

`vit`, `resnet` and `masked` have functions of the same names, which do the same.
"""

from vitnp import kernels, vit
from vitnp.config import ViTConfig
from vitnp.errors import Error
from vitnp.layers import convolutional, textbook
from vitnp.networks import masked, resnet
from vitnp.networks.masked import MaskedConfig
from vitnp.networks.resnet import ResNetConfig


def of(config):
    """Return the module that runs a configuration: vit, masked or resnet."""
    if isinstance(config, MaskedConfig):
        return masked
    return resnet if isinstance(config, ResNetConfig) else vit


def layers_of(config, name="textbook", precision="float32"):
    """Return the layers that a configuration needs; name: "textbook", or "fused" for a GPU's.

    precision: see kernels.ops. The convolutions have no fused kernels: networks with some are
    always run by the textbook. Raises Error for these in bfloat16.
    """
    if isinstance(config, ResNetConfig) or config.stem:
        if precision != "float32":
            raise Error(f"--precision {precision} is for Vision Transformers without a stem; "
                        "convolutions are computed in float32 alone")
        return convolutional.textbook
    if name == "textbook" and precision == "float32":
        return textbook
    return kernels.ops(precision)


def config_of(fields):
    """Return the configuration whose fields a checkpoint tells; a ResNet has depths, by stage."""
    return ResNetConfig(**fields) if "depths" in fields else ViTConfig(**fields)


def need_transformer(config, what, stem=True):
    """Raise Error unless the configuration is a ViT's; `what` begins its sentence.

    stem: False where a hybrid, with a stem, is not possible either.
    """
    if isinstance(config, ResNetConfig):
        raise Error(f"{what} for Vision Transformers; this is a residual network")
    if config.stem and not stem:
        raise Error(f"{what} for Vision Transformers on pixels; this one has a convolutional stem")
