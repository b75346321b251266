"""A program for test_ranks: prints the hash of a batch's gradients, losses and logits."""

import hashlib
import sys
from functools import partial

import numpy as np

from vitnp import kernels, params, vit
from vitnp.backend import pick_device, to_host
from vitnp.common.randomness import generator
from vitnp.config import ViTConfig
from vitnp.layers import textbook
from vitnp.parallel import lanes, ranks

micro_batch, threads, head_only, device = sys.argv[1:]
lanes.prepare_process()
xp = pick_device(device)
world = ranks.world()
config = ViTConfig.named("mini/4", image_size=8, channels=1, classes=10, dropout=0.1)
shapes, rng = vit.shapes(config), np.random.default_rng(0)
flat = xp.asarray(vit.init(config, rng))
gradients = xp.zeros_like(flat)
losses, logits = lanes.loss_and_gradients(
    xp.asarray(rng.standard_normal((50, 8, 8, 1), np.float32)),
    xp.asarray(rng.integers(0, 10, 50)), params.views(flat, shapes),
    params.views(gradients, shapes), config, kernels.ops() if device == "gpu" else textbook,
    draw=partial(generator, 0, "dropout", 3, xp=xp), micro_batch=int(micro_batch),
    threads=int(threads), head_only=head_only == "head",
    add_up=world.add_in_turn if world else None)
found = b"".join(to_host(array).tobytes() for array in (gradients, losses, logits))
print(hashlib.sha256(found).hexdigest())
