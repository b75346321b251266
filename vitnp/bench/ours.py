"""The step of this library, as vitnp.training.steps takes it."""

from vitnp import __version__, kernels, networks, optim, params, vit
from vitnp.backend import pick_device, to_device, use_tf32
from vitnp.bench import cases, timing
from vitnp.common.randomness import generator
from vitnp.parallel import lanes
from vitnp.training import steps


def prepare(config, images, labels, setting, ops=None):
    """Return a function that takes one step and waits for it, its facts, and one for its memory.

    ops: other layers than those of the setting, such as timed ones.
    """
    xp, shapes = pick_device(setting.device), vit.shapes(config)
    chosen = kernels.choose(setting.ops, xp, setting.precision)
    ops = ops or networks.layers_of(config, chosen, setting.precision)
    if setting.tf32:
        use_tf32(xp)
    if setting.mode == "train":
        state = steps.start(config, 0, xp)
        flat, gradients = state.params, params.views(state.gradients, shapes)
    else:
        flat = to_device(vit.init(config, generator(0, "init")), xp)
    tree = params.views(flat, shapes)
    groups = steps.groups(config, cases.WEIGHT_DECAY)
    images, labels, now = to_device(images, xp), to_device(labels, xp), timing.clock(xp)
    options = {"ops": ops, "micro_batch": setting.micro_batch, "threads": setting.threads}

    def train():
        lanes.loss_and_gradients(images, labels, tree, gradients, config, **options)
        norm = optim.global_norm(state.gradients)
        if chosen == "fused":
            finite = xp.isfinite(norm)
            steps.update_fused(state, groups, cases.LEARNING_RATE, norm, finite, cases.CLIP_NORM)
        else:
            steps.update(state, groups, cases.LEARNING_RATE, norm, cases.CLIP_NORM,
                         threads=setting.threads)
        now()

    def predict():
        lanes.logits(images, tree, config, **options)
        now()

    on_cpu = xp.__name__ == "numpy"
    whole = len(images) if setting.mode == "train" else min(len(images), lanes.GPU_BATCH)
    size = lanes.micro_batch_size(config, len(images)) if on_cpu else whole
    facts = {"version": __version__, "device": "cpu" if on_cpu else "gpu",
             "parameters": flat.size, "micro_batch": setting.micro_batch or size,
             "ops": chosen}
    pool_bytes = None if on_cpu else xp.get_default_memory_pool().total_bytes
    return train if setting.mode == "train" else predict, facts, pool_bytes or timing.peak_bytes

