"""What is measured: sizes that stay as they are, so that figures compare, and one way to step."""

import importlib.util
import math
from dataclasses import dataclass

from vitnp.config import ViTConfig
from vitnp.errors import Error

# name: (ViTConfig, images a step)
CASES = {
    "digits": (ViTConfig(image_size=8, patch_size=2, channels=1, width=64, depth=4, heads=4,
                         mlp_width=256, classes=10), 128),
    "cifar-ti": (ViTConfig(image_size=32, patch_size=4, width=192, depth=6, heads=3,
                           mlp_width=768, classes=10), 64),
    "ti16-224": (ViTConfig.named("Ti/16"), 8),
    "s16-224": (ViTConfig.named("S/16"), 4),
    "b16-224": (ViTConfig.named("B/16"), 4),
}
MODES = ("train", "predict")
# This library's layers without what lanes.py does: the whole batch at once, all threads of BLAS,
# and memory that goes back to the system when it is freed ("plain") or stays ("memory")
STAGES = ("vitnp-plain", "vitnp-memory", "vitnp")
RIVALS = {"torch": "PyTorch", "torch-compile": "PyTorch", "jax": "JAX"}

# Every engine's AdamW and clipping. The rate is small: the same images come again and again, and
# gradients that have shrunk to almost nothing would be another kind of arithmetic.
LEARNING_RATE, WEIGHT_DECAY, CLIP_NORM = 1e-4, 0.05, 1.0
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def library_of(rival):
    """Return the name of a rival's module, or raise Error where it is not installed."""
    library = rival.split("-")[0]
    if importlib.util.find_spec(library) is None:
        raise Error(f"{RIVALS[rival]} is not installed; pip install 'vitnp[bench]', or leave --vs "
                    "out")
    return library


@dataclass(frozen=True)
class Setting:
    """What one engine is asked to do; micro_batch, ops None: what the engine chooses.

    ops, of this library alone: "textbook" or "fused" layers; tf32: see backend.use_tf32.
    """

    engine: str
    case: str
    mode: str
    threads: int
    batch_size: int
    micro_batch: int | None = None
    device: str = "cpu"
    ops: str | None = None
    tf32: bool = False


def check_seconds(seconds):
    """Raise Error unless so many seconds can be measured."""
    if not 0 < seconds < math.inf:
        raise Error(f"--seconds is {seconds}; it must be a number above 0")


def inputs(config, batch_size):
    """Return random images (B, height, width, C) float32 and labels (B,), always the same."""
    import numpy as np

    rng = np.random.default_rng(0)
    shape = (batch_size, *config.image_size, config.channels)
    images = rng.standard_normal(shape, dtype=np.float32)
    return images, rng.integers(0, config.classes, batch_size)
