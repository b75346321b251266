"""vitnp: a Vision Transformer written by hand in NumPy, forward and backward."""

from vitnp.config import ViTConfig
from vitnp.errors import Error
from vitnp.model import Model, load

__all__ = ["Error", "Model", "ViTConfig", "__version__", "load"]


def __getattr__(name):
    if name == "__version__":
        from importlib.metadata import version

        return version("vitnp")
    raise AttributeError(f"module 'vitnp' has no attribute {name!r}")
