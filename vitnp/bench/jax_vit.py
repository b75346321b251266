"""The same network and the same step in JAX, jitted as a whole."""

import functools
import os

import numpy as np

from vitnp.bench import cases, timing
from vitnp.errors import Error


def prepare(config, images, labels, setting):
    """Return a function that takes one step and waits for it, its facts, and one for its memory."""
    limit_cores(setting.threads)
    import jax

    from vitnp import params, vit

    # On a GPU, JAX would shorten the factors of float32 products
    precision = "tensorfloat32" if setting.tf32 else "highest"
    precision = "bfloat16" if setting.precision == "bfloat16" else precision
    jax.config.update("jax_default_matmul_precision", precision)
    device = jax_device(jax, setting.device)
    flat = vit.init(config, np.random.default_rng(0))
    tree = jax.device_put(params.views(flat, vit.shapes(config)), device)
    # A copy: device_put may keep the host's memory, and a step gives it away
    tree = jax.tree.map(jax.numpy.copy, tree)
    images, labels = jax.device_put((images, labels.astype(np.int32)), device)
    facts = {"version": jax.__version__, "parameters": flat.size}
    peak = timing.peak_bytes
    if setting.device == "gpu":
        def peak():
            return device.memory_stats()["peak_bytes_in_use"]

    if setting.mode == "predict":
        predict = jax.jit(functools.partial(forward, config))
        return lambda: predict(tree, images).block_until_ready(), facts, peak
    moments = [jax.tree.map(jax.numpy.zeros_like, tree) for _ in range(2)]
    state, update = [tree, *moments, 0], jax.jit(functools.partial(train_step, config),
                                                 donate_argnums=(0, 1, 2))

    def step():
        state[:3] = update(*state[:3], state[3], images, labels)
        state[3] += 1
        jax.block_until_ready(state[:3])

    return step, facts, peak


def limit_cores(threads):
    """Keep this process on as many cores as threads are asked for: XLA knows no other way."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    elif threads != os.cpu_count():
        raise Error("on this system JAX uses all cores; leave --threads out")


def jax_device(jax, name):
    """Return JAX's device for "cpu" or "gpu", or raise Error where there is none."""
    if name == "cpu":
        jax.config.update("jax_platforms", "cpu")
    device = jax.devices()[0]
    if name == "gpu" and device.platform != "gpu":
        raise Error("this JAX finds no GPU; install jax[cuda13], or use --device cpu")
    return device


def forward(config, p, images):
    """Return the logits (B, K) of images (B, height, width, C)."""
    import jax.numpy as jnp

    (B, _, _, C), P, (rows, columns), D = images.shape, config.patch_size, config.grid, config.width
    x = images.reshape(B, rows, P, columns, P, C).transpose(0, 1, 3, 2, 4, 5)
    x = linear(x.reshape(B, rows * columns, P * P * C), p["embedding"]["projection"])   # (B, N, D)
    first = jnp.broadcast_to(p["embedding"]["class_token"], (B, 1, D))
    x = jnp.concatenate([first, x], axis=1) + p["embedding"]["position"]                # (B, T, D)
    for block in p["blocks"]:
        x = x + attention(config, block["attention"], layernorm(x, block["norm1"], config.eps))
        x = x + mlp(block["mlp"], layernorm(x, block["norm2"], config.eps))
    return linear(layernorm(x[:, 0], p["norm"], config.eps), p["head"])


def linear(x, p):
    """Return x W + b."""
    return x @ p["weight"] + p["bias"]


def layernorm(x, p, eps):
    """Return x normalised over the last axis."""
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / (variance + eps) ** 0.5 * p["gamma"] + p["beta"]


def attention(config, p, x):
    """Return multi-head self-attention of x (B, T, D)."""
    import jax

    B, T, D = x.shape
    qkv = linear(x, p["qkv"]).reshape(B, T, 3, config.heads, D // config.heads)
    q, k, v = qkv.transpose(2, 0, 3, 1, 4)                                      # (B, H, T, Dh)
    scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    mixed = jax.nn.softmax(scores) @ v
    return linear(mixed.transpose(0, 2, 1, 3).reshape(B, T, D), p["out"])


def mlp(p, x):
    """Return the perceptron of x (B, T, D), with the GELU in its tanh form."""
    import jax

    return linear(jax.nn.gelu(linear(x, p["in"]), approximate=True), p["out"])


def train_step(config, p, m, v, step, images, labels):
    """Return new parameters and moments after one step of AdamW with clipping; step from 0."""
    import jax
    import jax.numpy as jnp

    beta1, beta2 = cases.BETA1, cases.BETA2
    gradients = jax.grad(mean_loss, argnums=1)(config, p, images, labels)
    norm = jnp.sqrt(sum((g * g).sum() for g in jax.tree.leaves(gradients)))
    factor = cases.CLIP_NORM / jnp.maximum(norm, cases.CLIP_NORM)
    m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * factor * g, m, gradients)
    v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * (factor * g) ** 2, v, gradients)
    correction1, correction2 = 1 - beta1 ** (step + 1), 1 - beta2 ** (step + 1)

    def moved(path, p, m, v):
        decay = cases.WEIGHT_DECAY if path[-1].key == "weight" else 0.0
        change = m / correction1 / (jnp.sqrt(v / correction2) + cases.EPS) + decay * p
        return p - cases.LEARNING_RATE * change

    return jax.tree_util.tree_map_with_path(moved, p, m, v), m, v


def mean_loss(config, p, images, labels):
    """Return the mean cross-entropy of images with labels (B,)."""
    import jax
    import jax.numpy as jnp

    log_probabilities = jax.nn.log_softmax(forward(config, p, images))
    return -jnp.take_along_axis(log_probabilities, labels[:, None], axis=1).mean()
