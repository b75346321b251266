"""One step of training: what it changes, and what it refuses to change."""

import contextlib
import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from vitnp import kernels, networks, optim, params
from vitnp.backend import get_xp, to_device, to_host
from vitnp.common.randomness import generator
from vitnp.errors import Error
from vitnp.model import host_tensors, take
from vitnp.parallel import lanes


@dataclass
class State:
    """What a step changes: flat buffers on the device, and the number of steps taken.

    moment1: AdamW's mean of the gradients, or the momentum of SGD; moment2: AdamW's mean of their
    squares, or None; average: the moving average of the weights, or None. failed: on a GPU, the
    number of the step that was not taken, nor any after it, because a value was not finite; 0
    while all is well. class_weights: what the gradient of an image of each class is multiplied
    by, (K,) on the device, or None.
    """

    params: object
    gradients: object
    moment1: object
    moment2: object = None
    average: object = None
    step: int = 0
    failed: object = 0
    class_weights: object = None

    def buffers(self):
        """Return the flat buffers that continue from step to step, by their name in checkpoints."""
        named = {"params": self.params, "moment1": self.moment1, "moment2": self.moment2,
                 "ema": self.average}
        return {name: buffer for name, buffer in named.items() if buffer is not None}


class NotFinite(Exception):
    """A loss or gradient was not finite; the state is that of before the step."""


def start(config, seed, xp):
    """Return the State before the first step of AdamW; the weights are drawn on the host."""
    flat = networks.of(config).init(config, generator(seed, "init"))
    return start_from(to_device(flat, xp))


def start_from(flat, optimizer="adamw", averaged=False):
    """Return the State before the first step, from a flat buffer of weights on their device."""
    xp = get_xp(flat)
    moment2 = xp.zeros_like(flat) if optimizer == "adamw" else None
    average = flat.copy() if averaged else None
    return State(flat, xp.zeros_like(flat), xp.zeros_like(flat), moment2, average)


def checkpoint_tensors(state, config):
    """Return what a checkpoint holds of a state, a dict name → NumPy array."""
    shapes, tensors = networks.of(config).shapes(config), {}
    for name, buffer in state.buffers().items():
        tensors |= host_tensors(params.views(buffer, shapes), name)
    return tensors


def restore(state, tensors, config, path, prefix=""):
    """Copy the tensors of a checkpoint into a state; `path` is for the message of an Error.

    prefix: what stands before the names of the state's buffers in the checkpoint.
    """
    xp = get_xp(state.params)
    for name, buffer in state.buffers().items():
        tree = params.views(buffer, networks.of(config).shapes(config))
        found = params.flatten(take(tensors, prefix + name, config, path))
        for place, array in params.flatten(tree).items():
            array[...] = to_device(found[place], xp)


def dropout_of(state, config, recipe):
    """Return what gives the step's micro-batches their Generators, or None: see lanes."""
    if not config.draws:
        return None
    return partial(generator, recipe.seed, "dropout", state.step, xp=get_xp(state.params))


def compute_gradients(state, trained, images, targets, recipe, add_up=lanes.add_in_turn):
    """Write a batch's gradients to the state, and return losses (B,) and right answers (B,).

    add_up: see lanes.loss_and_gradients.
    """
    config, xp = trained.config, get_xp(state.params)
    images = trained.preprocess.scale(to_device(images, xp), state.params.dtype)
    targets = to_device(targets, xp)
    draw = dropout_of(state, config, recipe)
    gradients = params.views(state.gradients, networks.of(config).shapes(config))
    losses, logits = lanes.loss_and_gradients(
        images, targets, trained.params, gradients, config, trained.ops, recipe.label_smoothing,
        draw, recipe.micro_batch, trained.threads, recipe.tune == "head", state.class_weights,
        add_up)
    labels = targets if targets.ndim == 1 else targets.argmax(axis=1)
    return losses, logits.argmax(axis=1) == labels


def train_step(state, trained, images, targets, recipe, steps_per_epoch, compute=None):
    """Take one step on uint8 images (B, height, width, C), in place.

    targets: classes (B,) or probabilities (B, K), or what `compute` takes in their place: the
    function that writes the gradients, see compute_gradients. Returns losses (B,), right answers
    (B,), the gradients' norm, and the rate used; the first three on the device, not waited for.
    Raises NotFinite, on a CPU, before anything is changed; on a GPU see State.
    """
    xp = get_xp(state.params)
    losses, hits = (compute or compute_gradients)(state, trained, images, targets, recipe)
    norm = optim.global_norm(state.gradients)
    rate = learning_rate(state.step, recipe, steps_per_epoch)
    finite = xp.isfinite(norm + losses.sum())
    if xp is np and not finite:
        raise NotFinite
    parts = groups(trained.config, recipe.weight_decay, recipe.layer_decay, recipe.tune == "head")
    if recipe.ops == "fused" and state.moment2 is not None:
        update_fused(state, parts, rate, norm, finite, recipe.clip_norm, recipe.ema)
        return losses, hits, norm, rate
    before = {} if xp is np else {name: old.copy() for name, old in state.buffers().items()}
    update(state, parts, rate, norm, recipe.clip_norm, recipe.ema, trained.threads)
    if before:
        finite = finite & (xp.asarray(state.failed) == 0)
        for name, buffer in state.buffers().items():
            buffer[...] = xp.where(finite, buffer, before[name])
        note_failure(state, finite)
    return losses, hits, norm, rate


def learning_rate(step, recipe, steps_per_epoch):
    """Return the learning rate of a step, counted from 0."""
    warmup_epochs = min(recipe.warmup_epochs, recipe.epochs / 2)
    return optim.schedule(step, recipe.learning_rate, round(warmup_epochs * steps_per_epoch),
                          recipe.epochs * steps_per_epoch)


def update(state, groups, rate, norm, clip_norm, ema=0.0, threads=1):
    """Clip the gradients of length `norm`, take one step of the optimiser and average, in place.

    A state without moment2 is one of SGD with momentum. clip_norm 0: no clipping; ema 0: no
    average.
    """
    state.step += 1
    # The first steps are forgotten sooner: the average would else stay near the initial weights
    decay = min(ema, state.step / (state.step + 9))

    def work(share):
        for part, _, _ in share:
            if clip_norm:
                optim.clip_by_global_norm(state.gradients[part], norm, clip_norm)
        if state.moment2 is None:
            optim.sgd(state.params, state.gradients, state.moment1, rate, share)
        else:
            optim.adamw(state.params, state.gradients, state.moment1, state.moment2, state.step,
                        rate, share)
        if ema:
            optim.average(state.average, state.params, decay, share)

    lanes.in_shares(work, state.params, groups, threads)


def update_fused(state, groups, rate, norm, finite, clip_norm, ema=0.0):
    """Do what update does on a GPU in a launch a group, and nothing where `finite` is false."""
    xp = get_xp(state.params)
    finite = finite & (xp.asarray(state.failed) == 0)
    state.step += 1
    decay = min(ema, state.step / (state.step + 9))     # as in update
    kernels.adamw(state.params, state.gradients, state.moment1, state.moment2, state.average, norm,
                  finite, state.step, rate, groups, clip_norm, decay)
    note_failure(state, finite)


def note_failure(state, finite):
    """Keep, on the device, the number of the first step that was not taken; see State."""
    xp = get_xp(state.params)
    still = xp.where(xp.asarray(state.failed) == 0, state.step, state.failed)
    state.failed = xp.where(finite, 0, still)


def groups(config, weight_decay, layer_decay=1.0, head_only=False):
    """Return the optimiser's groups: neighbouring tensors with the same rate and decay.

    The rate of block i is layer_decay^(depth - i) of the highest, that of the embedding
    layer_decay^(depth + 1). With head_only, for a linear probe, the head alone is in a group.
    Source: Clark et al. 2020, ELECTRA, appendix A, for rates that fall from layer to layer.
    """
    network, depth, merged = networks.of(config), config.depth, []
    for path, place in params.slices(network.shapes(config)).items():
        if head_only and not path.startswith("head/"):
            continue
        multiplier = layer_decay ** layers_above(path, depth)
        decay = weight_decay if network.is_decayed(path) else 0.0
        if merged and merged[-1][1:] == (multiplier, decay) and merged[-1][0].stop == place.start:
            place = slice(merged.pop()[0].start, place.stop)
        merged.append((place, multiplier, decay))
    return merged


def layers_above(path, depth):
    """Return how many layers stand between a tensor and the head."""
    part, _, rest = path.partition("/")
    if part in ("embedding", "root"):
        return depth + 1
    return depth - int(rest.split("/")[0]) if part == "blocks" else 0


def check_failed(state):
    """Raise NotFinite where a step on a GPU was not finite, with the state's step before it."""
    failed = int(state.failed)
    if failed:
        state.step, state.failed = failed - 1, 0
        raise NotFinite


def failure(state, trained, images, targets, recipe, steps_per_epoch, compute=None):
    """Return the Error for the step that was not finite, which is computed once more."""
    losses, _ = (compute or compute_gradients)(state, trained, images, targets, recipe)
    shapes = networks.of(trained.config).shapes(trained.config)
    tree = params.views(state.gradients, shapes)
    wrong = [path for path, gradient in params.flatten(tree).items()
             if not np.isfinite(to_host(gradient)).all()]
    found = (f"the gradients of {len(wrong)} tensors are not finite ({', '.join(wrong[:4])}"
             f"{', …' if len(wrong) > 4 else ''})" if wrong else "the gradients are too large")
    loss, rate = float(losses.mean()), learning_rate(state.step, recipe, steps_per_epoch)
    found = found if math.isfinite(loss) or wrong else "the weights are no longer of use"
    return Error(f"step {state.step + 1} was not taken: its loss is {loss} and {found}, at the "
                 f"learning rate {rate:.2e}; train again with a smaller --learning-rate or a "
                 "longer --warmup-epochs (the weights before it are in the run's checkpoint)")


def too_large(state, trained, images, targets, recipe, compute=None):
    """Return the Error for a batch that does not fit into memory: it names a part that does.

    The gradients of half as many images at a time are computed, of a quarter, and so on.
    """
    size = tried = recipe.micro_batch or len(images)
    while tried > 1:
        tried = -(-tried // 2)
        with contextlib.suppress(MemoryError):
            (compute or compute_gradients)(state, trained, images, targets,
                                           replace(recipe, micro_batch=tried))
            return Error(f"{size} images at a time do not fit into memory, but {tried} do: train "
                         f"again with --micro-batch {tried}, whose gradients are added up to the "
                         "same step")
    return Error("not even one image at a time fits into memory; choose a smaller --model or "
                 "--image-size")
