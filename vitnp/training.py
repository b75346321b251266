"""The training loop: from a recipe to a run folder with a trained model in it."""

import contextlib
import dataclasses
import math
import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from vitnp import data, evaluation, figures, lanes, optim, params, progress, runs, vit
from vitnp.backend import get_xp, pick_device, to_device
from vitnp.checkpoint import native
from vitnp.data import augment
from vitnp.errors import Error
from vitnp.layers import textbook
from vitnp.model import CHECKPOINT, Model, host_tensors
from vitnp.randomness import generator

READ_EVERY = 20     # steps between two looks at the loss: each look waits for a GPU


@dataclass
class State:
    """What a step changes: flat buffers on the device, and the number of steps taken."""

    params: object
    gradients: object
    moment1: object
    moment2: object
    step: int = 0


def start(config, seed, xp):
    """Return the State before the first step; the weights are drawn on the host."""
    flat = to_device(vit.init(config, generator(seed, "init")), xp)
    return State(flat, *(xp.zeros_like(flat) for _ in range(3)))


def train(recipe, out=None, ops=textbook):
    """Train as the recipe says and return (run folder, Model, test Score).

    Every epoch ends with a look at the validation part, a line in metrics.jsonl and a checkpoint;
    the test part is used once, at the end. Raises Error for what cannot be trained, before the
    folder is made, and for a loss that is no longer a number.
    """
    dataset = data.load(recipe.data, recipe.data_dir)
    config, preprocess = recipe.configure(dataset)
    xp = pick_device(recipe.device)
    recipe = with_micro_batch(recipe, config, xp)
    training, validation = data.split_validation(dataset.train_labels)
    images, labels = dataset.train_images, dataset.train_labels
    state = start(config, recipe.seed, xp)
    shapes = vit.shapes(config)
    trained = Model(config, params.views(state.params, shapes), preprocess, dataset.class_names,
                    ops, recipe.threads or lanes.cores())
    folder = runs.create(out, recipe.data)
    runs.write_config(folder, *map(dataclasses.asdict, (config, recipe, preprocess)))
    progress.say(f"{recipe.model} with {state.params.size:,} parameters; {recipe.data}: "
                 f"{len(training):,} images to train on, {len(validation):,} to validate, "
                 f"{len(dataset.test_labels):,} to test; device {recipe.device}; run {folder}")
    with (contextlib.closing(progress.choose(recipe.epochs, len(training))) as shown,
          np.errstate(over="ignore", invalid="ignore")):        # check_finite says it better
        for epoch in range(recipe.epochs):
            record = train_epoch(state, trained, images, labels, training, recipe, epoch, shown)
            score = evaluation.score(trained, images[validation], labels[validation])
            check_finite(score.loss, state.step, record["learning_rate"])
            record |= {"validation_loss": score.loss, "validation_accuracy": score.accuracy}
            shown.epoch(record)
            runs.append_metrics(folder, record)
            save(folder, state, trained)
    score = evaluation.score(trained, dataset.test_images, dataset.test_labels)
    runs.append_metrics(folder, {"test_loss": score.loss, "test_accuracy": score.accuracy})
    title = f"{recipe.model} on {recipe.data}"
    figures.curves(runs.read_metrics(folder), folder / runs.CURVES, title)
    return folder, trained, score


def with_micro_batch(recipe, config, xp):
    """Return the recipe with the size of its micro-batches, so that the run's folder tells it."""
    if recipe.micro_batch or xp is not np:
        return recipe
    size = lanes.micro_batch_size(config, recipe.batch_size)
    return dataclasses.replace(recipe, micro_batch=size)


def train_epoch(state, trained, images, labels, training, recipe, epoch, shown):
    """Take one step for each batch of one epoch, and return the epoch's record."""
    began = time.perf_counter()
    order = training[generator(recipe.seed, "order", epoch).permutation(len(training))]
    steps = math.ceil(len(order) / recipe.batch_size)
    loss = right = seen = reported = 0
    for i in range(steps):
        batch = order[i * recipe.batch_size:(i + 1) * recipe.batch_size]
        pictures = augmented(images[batch], recipe, generator(recipe.seed, "augment", epoch, i))
        losses, hits, rate = train_step(state, trained, pictures, labels[batch], recipe, steps)
        loss, right, seen = loss + losses.sum(), right + hits.sum(), seen + len(batch)
        if i % READ_EVERY == READ_EVERY - 1 or i == steps - 1:
            mean_loss, accuracy = float(loss) / seen, float(right) / seen
            check_finite(mean_loss, state.step, rate)
            shown.step(seen - reported, mean_loss, accuracy, rate)
            reported = seen
    seconds = time.perf_counter() - began
    return {"epoch": epoch + 1, "step": state.step, "learning_rate": rate, "train_loss": mean_loss,
            "train_accuracy": accuracy, "seconds": seconds, "images_per_second": seen / seconds}


def augmented(images, recipe, rng):
    """Return uint8 images (B, height, width, C) changed at random as the recipe says."""
    if recipe.rotate or recipe.rescale:
        images = augment.random_affine(images, recipe.rotate, recipe.rescale, rng)
    if recipe.crop_padding:
        images = augment.random_crop(images, recipe.crop_padding, rng)
    return images


def train_step(state, trained, images, labels, recipe, steps_per_epoch):
    """Take one step on uint8 images (B, height, width, C) with labels (B,), in place.

    Returns losses (B,) and right answers (B,), on the device and not waited for, and the rate used.
    """
    config, xp = trained.config, get_xp(state.params)
    images = trained.preprocess.scale(to_device(images, xp), state.params.dtype)
    labels = to_device(labels, xp)
    shapes = vit.shapes(config)
    draw = None
    if config.dropout or config.attention_dropout or config.stochastic_depth:
        draw = partial(generator, recipe.seed, "dropout", state.step, xp=xp)
    losses, logits = lanes.loss_and_gradients(
        images, labels, trained.params, params.views(state.gradients, shapes), config,
        trained.ops, recipe.label_smoothing, draw, recipe.micro_batch, trained.threads)
    warmup_epochs = min(recipe.warmup_epochs, recipe.epochs / 2)
    rate = optim.schedule(state.step, recipe.learning_rate, round(warmup_epochs * steps_per_epoch),
                          recipe.epochs * steps_per_epoch)
    update(state, groups(shapes, recipe.weight_decay), rate, recipe.clip_norm, trained.threads)
    return losses, logits.argmax(axis=1) == labels, rate


def update(state, groups, rate, clip_norm, threads=1):
    """Clip the gradients (clip_norm 0: not at all) and take one step of AdamW, in place."""
    norm = optim.global_norm(state.gradients) if clip_norm else None
    state.step += 1

    def work(share):
        for part, _, _ in share:
            if clip_norm:
                optim.clip_by_global_norm(state.gradients[part], norm, clip_norm)
        optim.adamw(state.params, state.gradients, state.moment1, state.moment2, state.step, rate,
                    share)

    lanes.in_shares(work, state.params, groups, threads)


def check_finite(loss, step, rate):
    """Raise Error where a loss is no longer a number."""
    if not math.isfinite(loss):
        raise Error(f"the loss is {loss} at step {step}, with the learning rate {rate:.2e}; try a "
                    "smaller --learning-rate or a longer --warmup-epochs (the checkpoint of the "
                    "last good epoch, if there was one, is kept)")


def groups(shapes, weight_decay):
    """Return the optimiser's groups: the decayed tensors, which come first, and the others."""
    places = params.slices(shapes)
    decayed = max(place.stop for path, place in places.items() if vit.is_decayed(path))
    total = max(place.stop for place in places.values())
    return [(slice(0, decayed), 1.0, weight_decay), (slice(decayed, total), 1.0, 0.0)]


def save(folder, state, trained):
    """Write the run's checkpoint: weights, moments and step."""
    shapes = vit.shapes(trained.config)
    tensors = host_tensors(trained.params)
    for name in ("moment1", "moment2"):
        tensors |= host_tensors(params.views(getattr(state, name), shapes), name)
    native.save(folder / CHECKPOINT, tensors, trained.facts() | {"step": state.step})
