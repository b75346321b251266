"""vitnp: a Vision Transformer written by hand in NumPy, forward and backward."""

from vitnp.config import ViTConfig
from vitnp.errors import Error
from vitnp.model import Model, load

__all__ = ["Error", "Model", "ViTConfig", "__version__", "load"]
__version__ = "0.1.0"
