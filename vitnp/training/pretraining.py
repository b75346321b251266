"""The loop of masked patch prediction: from a recipe to a run whose weights are fine-tuned.

It is the training loop without labels: a checkpoint at the end of each epoch, and no test.
"""

import contextlib
import dataclasses
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from vitnp import model, optim, params, vit
from vitnp.analysis import evaluation
from vitnp.analysis.drawing import figures
from vitnp.backend import get_xp, to_device, to_host
from vitnp.checkpoint import locate, native
from vitnp.common import progress
from vitnp.common.randomness import generator
from vitnp.config import ViTConfig
from vitnp.data.batches import ahead, batch_of, epoch_order
from vitnp.errors import Error
from vitnp.layers import textbook
from vitnp.networks import masked
from vitnp.networks.masked import MaskedConfig
from vitnp.parallel import lanes
from vitnp.runs import run_folder
from vitnp.training import run_data, saving
from vitnp.training import steps as stepping
from vitnp.training.loop import assemble
from vitnp.training.signals import Stopped, stop_signals

PREFIX = "masked/"      # of the tensors in a checkpoint that only go on with pre-training need


@dataclass
class Result:
    """Sums over corrupted patches: the losses, the right colours, and how many there were."""

    loss: float = 0.0
    right: float = 0.0
    count: int = 0

    def add(self, losses, hits):
        """Add losses and hits, arrays of one shape."""
        self.loss = self.loss + losses.sum(dtype=get_xp(losses).float64)
        self.right, self.count = self.right + hits.sum(), self.count + losses.size

    def named(self, part):
        """Return the means as entries of a record."""
        return {f"{part}_loss": float(self.loss) / self.count,
                f"{part}_accuracy": float(self.right) / self.count}


def pretrain(recipe, out=None):
    """Train as the recipe says, without labels, and return the run's folder.

    Raises Error for what cannot be trained, before the folder is made; Stopped after Ctrl-C.
    """
    run, state = prepare(recipe)
    facts = (run.trained.config.plain, run.recipe, run.trained.preprocess)
    folder = run_folder.create(out, f"{recipe.data}-masked", *map(dataclasses.asdict, facts),
                               run.dataset.fingerprint)
    with run_folder.locked(folder):
        return fit(replace(run, folder=folder), state)


def resume(folder):
    """Go on with the run in a folder, from the end of its last whole epoch, and return the folder.

    Raises Error where the folder is no run's, or none of its checkpoints is whole.
    """
    folder = Path(folder)
    recipe = run_folder.read_recipe(folder)
    with run_folder.locked(folder):
        run_folder.remove_litter(folder)
        run, state = prepare(recipe, folder)
        run, last, length = replace(run, folder=folder), run_folder.last_checkpoint(folder), 0
        if last:
            tensors, facts, path = last
            if not any(name.startswith(PREFIX) for name in tensors):
                raise Error(f"{folder} was trained with labels; to go on: python -m vitnp.train "
                            f"--resume {folder}")
            stepping.restore(state, tensors, run.trained.config, path, PREFIX)
            state.step, length = facts["step"], facts["metrics_length"]
        run_folder.cut_metrics(folder, length)
        return fit(run, state)


def prepare(recipe, folder=None):
    """Return the Run, as yet without a folder, and the State before its first step."""
    dataset = run_data.load(recipe, folder=folder)
    plain, preprocess = recipe.configure(dataset)
    if not isinstance(plain, ViTConfig):
        raise Error(f"masked patch prediction is for Vision Transformers, not for {recipe.model}")
    fields = {item.name: getattr(plain, item.name) for item in dataclasses.fields(plain)}
    config = MaskedConfig(**fields | {"classes": None})
    flat = masked.init(config, generator(recipe.seed, "init"))
    return assemble(recipe, dataset, config, preprocess, flat, textbook)


def fit(run, state):
    """Train from the state on to the end of the run."""
    recipe = run.recipe
    progress.say(f"{recipe.network} with {state.params.size:,} parameters; {recipe.data} without "
                 f"labels: {len(run.training):,} images to train on, {len(run.validation):,} to "
                 f"validate; device {recipe.device}; run {run.folder}")
    shown = progress.choose(recipe.epochs, len(run.training), state.step / run.steps)
    with contextlib.closing(shown), stop_signals() as wish, np.errstate(over="ignore",
                                                                        invalid="ignore"):
        for epoch in range(state.step // run.steps, recipe.epochs):
            record = train_epoch(run, state, epoch, shown, wish)
            began = time.perf_counter()
            record |= validate(run).named("validation")
            record["validation_seconds"] = time.perf_counter() - began
            shown.epoch(record)
            saving.guard(run, run_folder.append_metrics, run.folder, record)
            save(run, state)
    saving.guard(run, figures.curves, run_folder.read_metrics(run.folder),
                 run.folder / run_folder.CURVES, f"{recipe.title}, masked patch prediction")
    return run.folder


def train_epoch(run, state, epoch, shown, wish):
    """Take the steps of an epoch, and return its record. A wish to stop ends it: Stopped."""
    recipe, xp, result = run.recipe, get_xp(state.params), Result()
    order = epoch_order(run.training, recipe.seed, epoch)
    batches = ahead(partial(batch_of, run.dataset, order, recipe, epoch, xp=xp), range(run.steps))
    began, norms = time.perf_counter(), 0.0
    with contextlib.closing(batches):
        for i, (images, _) in enumerate(batches):
            losses, hits, norm, rate = step(run, state, images, epoch, i)
            result.add(losses, hits)
            norms = norms + norm
            shown.step(len(images), float(result.loss) / result.count,
                       float(result.right) / result.count, rate, 0.0)
            if wish.signal:
                raise Stopped(f"stopped in epoch {epoch + 1}; to go on from its start: python -m "
                              f"vitnp.pretrain --resume {run.folder}", wish.signal)
    seconds = time.perf_counter() - began
    return {"epoch": epoch + 1, "step": state.step, "learning_rate": rate,
            "gradient_norm": float(norms) / run.steps, "seconds": seconds, "waiting": 0.0,
            "images_per_second": len(order) / seconds} | result.named("train")


def step(run, state, images, epoch, i):
    """Take one step on uint8 images; return losses and hits (B, M), the gradients' norm, the rate.

    Raises Error where a value is not finite, before anything is changed.
    """
    recipe, config, xp = run.recipe, run.trained.config, get_xp(state.params)
    rng = generator(recipe.seed, "mask", epoch, i)
    corruption = masked.corrupt(len(images), config.grid[0] * config.grid[1], rng, xp)
    draw = None
    if config.draws:
        draw = partial(generator, recipe.seed, "dropout", state.step, xp=xp)
    gradients = params.views(state.gradients, masked.shapes(config))
    losses, hits = loss_and_gradients(run.trained, images, corruption, gradients, draw,
                                      recipe.micro_batch)
    norm = optim.global_norm(state.gradients)
    rate = stepping.learning_rate(state.step, recipe, run.steps)
    if not bool(xp.isfinite(norm + losses.sum())):
        raise Error(f"step {state.step + 1} was not taken: its loss or gradient is not finite, at "
                    f"the learning rate {rate:.2e}; train anew with a smaller --learning-rate")
    stepping.update(state, stepping.groups(config, recipe.weight_decay), rate, norm,
                    recipe.clip_norm, recipe.ema, run.trained.threads)
    return losses, hits, norm, rate


def loss_and_gradients(trained, images, corruption, gradients, draw=None, micro_batch=None):
    """Write the gradients of the mean loss of all corrupted patches to a tree of `masked.shapes`.

    images: uint8 (B, height, width, C), not yet corrupted; draw: see lanes.loss_and_gradients.
    Returns losses (B, M) and which predictions are right (B, M).
    """
    def work(part, add):
        targets, logits, cache = predict(trained, images[part], corruption.part(part),
                                         draw(part.start) if draw else None)
        losses, right, loss_cache = compare(trained.ops, logits, targets)
        dlosses = get_xp(losses).full_like(losses, 1.0 / corruption.chosen.size)
        dlogits = trained.ops.cross_entropy.backward(dlosses, loss_cache)       # (B·M, K)
        masked.backward(dlogits.reshape(logits.shape), cache, add)
        return losses.reshape(targets.shape), right.reshape(targets.shape)

    return lanes.add_in_turn(work, images, gradients, trained.config, micro_batch, trained.threads)


def predict(trained, images, corruption, rng=None):
    """Return the right colours (B, M) of the corrupted patches, logits (B, M, K) and the cache."""
    config, xp = trained.config, get_xp(images)
    rows = xp.arange(len(images))[:, None]
    targets = masked.colours(images, config.patch_size)[rows, corruption.chosen]
    scaled = trained.preprocess.scale(images, trained.params["norm"]["gamma"].dtype)
    return targets, *masked.forward(scaled, corruption, trained.params, config, trained.ops, rng)


def compare(ops, logits, targets):
    """Return losses (B·M,), which of the likeliest colours are right (B·M,), and the cache."""
    rows, targets = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)   # (B·M, K)
    losses, cache = ops.cross_entropy.forward(rows, targets)
    return losses, rows.argmax(axis=1) == targets, cache


def validate(run):
    """Return the Result on the validation part, whose patches are always corrupted alike."""
    trained, result = run.averaged, Result()
    config, xp = trained.config, get_xp(trained.params["norm"]["gamma"])
    for start in range(0, len(run.validation), evaluation.CHUNK):
        indices = run.validation[start:start + evaluation.CHUNK]
        images = to_device(run.dataset.train_images[indices], xp)
        corruption = masked.corrupt(len(images), config.grid[0] * config.grid[1],
                                    generator(0, "mask", start), xp)

        def work(part, turn, images=images, corruption=corruption):
            targets, logits, _ = predict(trained, images[part], corruption.part(part))
            return compare(trained.ops, logits, targets)[:2]

        result.add(*lanes.joined(work, len(images), config, xp, lanes.GPU_BATCH,
                                 threads=trained.threads))
    return result


def save(run, state):
    """Write checkpoint and weights: for --init-from the network without mask and colours."""
    config, trained = run.trained.config, run.averaged
    facts = replace(trained, config=config.plain, params=plain_tree(trained)).facts()
    facts |= {"step": state.step, "metrics_length": run_folder.metrics_length(run.folder)}
    weights = model.host_tensors(plain_tree(trained))
    named = stepping.checkpoint_tensors(state, config)
    named = {f"{PREFIX}{name}": to_host(tensor) for name, tensor in named.items()}
    saving.guard(run, run_folder.save_checkpoint, run.folder, weights | named, facts)
    saving.guard(run, native.save, run.folder / locate.BEST, weights, facts)


def plain_tree(trained):
    """Return the parameters of a network without mask and colours."""
    tensors = params.flatten(trained.params)
    return params.nest({path: tensors[path] for path in vit.shapes(trained.config)})
