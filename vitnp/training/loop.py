"""The training loop: from a recipe to a run folder with a trained model in it.

It is one for all objectives: the labels of images (labels.py), and the colours of patches that the
network does not see (masked_patches.py).
"""

import contextlib
import dataclasses
import math
import os
import time
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vitnp import kernels, model, networks, params
from vitnp.analysis.evaluation import Score
from vitnp.backend import get_xp, pick_device, to_device, use_tf32
from vitnp.common import progress
from vitnp.data.batches import epoch_order, prefetch
from vitnp.layers import Ops, textbook
from vitnp.model import Model
from vitnp.parallel import lanes
from vitnp.parallel.ranks import Ranks, first
from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe
from vitnp.training import forecast, labels, run_data, steps
from vitnp.training.run import Run
from vitnp.training.saving import (
    Standing,
    Sums,
    check_best,
    guarded,
    read_standing,
    save,
    save_best,
)
from vitnp.training.signals import Stopped, agree, stop_signals

READ_EVERY = 20     # steps between two looks at the loss: each look waits for a GPU
SAVE_SECONDS = 300  # between two checkpoints within a long epoch


def train(recipe: Recipe, out: str | os.PathLike[str] | None = None, ops: Ops = textbook,
          objective: ModuleType = labels,
          world: Ranks | None = None) -> tuple[Path, Model, Score | None]:
    """Train as the recipe says and return (run folder, Model, test Score or None).

    Every epoch ends with a line in metrics.jsonl and a checkpoint. The validation part chooses
    the best of them, and the test part is used once, at the end, on that one. Raises Error for what
    cannot be trained, before the folder is made; Stopped after Ctrl-C or SIGTERM.
    world: the Ranks of MPI that train together, or None.
    """
    run, state = prepare(recipe, ops, objective, world)
    config, preprocess = objective.published(run.trained).config, run.trained.preprocess
    folder = run.first(run_folder.create, out, recipe.data + objective.SUFFIX,
                       *map(dataclasses.asdict, (config, run.recipe, preprocess)),
                       run.dataset.fingerprint)
    with locked(folder, world):
        return fit(replace(run, folder=folder), state, Standing())


def resume(folder: str | os.PathLike[str], changes: dict[str, Any] | None = None,
           ops: Ops = textbook, objective: ModuleType = labels,
           world: Ranks | None = None) -> tuple[Path, Model, Score | None]:
    """Go on with the run in a folder, from its last whole checkpoint, and return as train does.

    changes: fields of the recipe that have no influence on the result, such as threads. Raises
    Error where the folder is no run's, none of its checkpoints is whole, or the data are others.
    """
    folder = Path(folder)
    recipe = with_changes(run_folder.read_recipe(folder), changes or {})
    with locked(folder, world):
        first(world, run_folder.remove_leftovers, folder)
        last = run_folder.last_checkpoint(folder)
        if last:
            run, state = go_on(recipe, ops, objective, world, *last)
        else:
            run, state = prepare(recipe, ops, objective, world, folder)
        run, standing, length = replace(run, folder=folder), Standing(), 0
        if last:
            standing, state.step, length = read_standing(*last[1:])
            check_best(run, state, standing)
        run.first(run_folder.cut_metrics, folder, length)
        progress.say(f"{folder} goes on after step {state.step:,}")
        return fit(run, state, standing)


def locked(folder, world):
    """Return the context in which no other run may use the folder."""
    return contextlib.nullcontext() if world and world.rank else run_folder.locked(folder)


def with_changes(recipe, changes):
    """Return the recipe of a run that goes on; on another device the layers are chosen again."""
    moved = changes.get("device", recipe.device) != recipe.device
    return replace(recipe, **({"ops": None, "tf32": False} if moved else {}) | changes)


def prepare(recipe, ops=textbook, objective=labels, world=None, folder=None):
    """Return the Run, as yet without its folder, and the State before its first step.

    folder: where the run goes on before its first checkpoint.
    """
    origin = objective.origin(recipe)
    dataset = run_data.load(recipe, origin and origin[0].preprocess, folder)
    found = objective.start(recipe, dataset, origin)
    return assemble(recipe, dataset, *found, ops, objective, world)


def go_on(recipe, ops, objective, world, tensors, facts, path):
    """Return the Run and the State of a checkpoint, whose step is read elsewhere."""
    dataset = run_data.load(recipe, model.preprocess_of(facts, path), path.parent)
    found = objective.go_on(recipe, dataset, tensors, facts, path)
    run, state = assemble(recipe, dataset, *found, ops, objective, world)
    steps.restore(state, tensors, run.trained.config, path, objective.PREFIX)
    return run, state


def assemble(recipe, dataset, config, preprocess, flat, ops, objective, world):
    """Return the Run and the State of weights in a flat buffer on the host."""
    xp = pick_device(recipe.device)
    if recipe.tf32:
        use_tf32(xp)
    chosen = kernels.choose(recipe.ops, xp, recipe.precision)
    recipe = with_micro_batch(replace(recipe, ops=chosen), config, xp, world)
    if ops is textbook:                                 # a caller's own layers are taken as given
        ops = networks.layers_of(config, recipe.ops, recipe.precision)
    shapes = networks.of(config).shapes(config)
    training, validation = dataset.parts()
    training = run_data.some_of(training, recipe.train_images)
    state = steps.start_from(to_device(flat, xp), recipe.optimizer, bool(recipe.ema))
    weights = objective.class_weights(recipe, dataset.train_labels[training], config.classes)
    state.class_weights = None if weights is None else to_device(weights, xp)
    trained = Model(config, params.views(state.params, shapes), preprocess, dataset.class_names,
                    ops, recipe.threads or lanes.cores())
    averaged = trained
    if recipe.ema:
        averaged = replace(trained, params=params.views(state.average, shapes))
    run = Run(recipe, dataset, training, validation, trained, averaged, objective, world=world)
    return run, state


def with_micro_batch(recipe, config, xp, world):
    """Return the recipe with the size of its micro-batches, so that the run's folder tells it.

    The result depends on it, and so must not change where the run goes on with other ranks. A GPU
    takes its whole share of the batch.
    """
    if recipe.micro_batch or xp is not np and world is None:
        return recipe
    size = (lanes.micro_batch_size(config, recipe.batch_size) if xp is np
            else math.ceil(recipe.batch_size / world.size))
    return replace(recipe, micro_batch=size)


def fit(run, state, standing):
    """Train from the state on to the end of the run; see train."""
    recipe, folder = run.recipe, run.folder
    progress.say(f"{recipe.network} with {state.params.size:,} parameters; {recipe.data}: "
                 f"{run.objective.parts(run)}; device {recipe.device}; run {folder}")
    forecast.warn(run.trained.config, state.params, recipe.batch_size)
    if state.step == 0:
        run.first(run_folder.check_room, folder, state.params.nbytes * (3 + bool(recipe.ema)))
        save(run, state, standing)          # finds a disk that is full before an hour is spent
    shown = progress.choose(recipe.epochs, len(run.training), state.step / run.steps)
    with contextlib.closing(shown):
        with stop_signals() as stop, np.errstate(over="ignore", invalid="ignore"):
            while (state.step < recipe.epochs * run.steps
                   and not out_of_patience(run, state, standing)):
                train_epoch(run, state, standing, shown, stop)
                finish_epoch(run, state, standing, shown)
                agree(run.world, stop)
                grant(stop, run, state)
        shown.during(run.objective.END)
        return finish(run, state, standing)


def train_epoch(run, state, standing, shown, stop):
    """Take the steps that are left of an epoch; a request to stop is met after the running one."""
    recipe, sums, xp = run.recipe, standing.sums, get_xp(state.params)
    epoch, done = divmod(state.step, run.steps)
    order = epoch_order(run.training, recipe.seed, epoch)
    prepare_batch = partial(run.objective.batch, run, order, epoch, xp=xp)
    prepare_share = partial(prepare_batch, read=run.world.read) if run.world else prepare_batch
    saved, reported = time.monotonic(), sums.seen
    # Ranks read together, and so in one order
    threads = 1 if run.world else run_data.threads(run.dataset)
    with contextlib.closing(prefetch(prepare_share, range(done, run.steps), threads=threads,
                                     whole=run.world is not None)) as batches:
        for i in range(done, run.steps):
            began = time.perf_counter()
            pictures, targets = next(batches)
            sums.waiting += time.perf_counter() - began
            try:
                losses, hits, norm, rate = steps.train_step(
                    state, run.trained, pictures, targets, recipe, run.steps,
                    run.compute_gradients)
                due = agree(run.world, stop, time.monotonic() - saved > SAVE_SECONDS)
                sums.loss = sums.loss + losses.sum(dtype=xp.float64)
                sums.norm = sums.norm + norm.astype(xp.float64)
                sums.right, sums.seen = sums.right + hits.sum(), sums.seen + len(pictures)
                if i % READ_EVERY == READ_EVERY - 1 or i == run.steps - 1 or stop.signal:
                    steps.check_failed(state)
                    shown.step(sums.seen - reported, float(sums.loss) / sums.seen,
                               float(sums.right) / sums.seen, rate,
                               sums.waiting / (sums.seconds + time.perf_counter() - began))
                    reported = sums.seen
            except steps.NotFinite:
                stop_failed(run, state, standing, prepare_batch)
            except MemoryError as error:
                if run.world:                   # the others are not here to try it with
                    raise
                # Its frames hold what fills the memory
                traceback.clear_frames(error.__traceback__)
                raise steps.too_large(state, run.trained, pictures, targets, recipe,
                                      run.compute_gradients) from None
            sums.seconds += time.perf_counter() - began
            if i == run.steps - 1:
                return                          # finish_epoch saves, with the epoch's record
            if stop.signal or due:
                save(run, state, standing)
                stop.save, saved = False, time.monotonic()
            grant(stop, run, state)


def grant(stop, run, state):
    """Raise Stopped where a signal came, after all is saved."""
    if stop.signal:
        raise Stopped(f"stopped after step {state.step:,}; to go on: python -m "
                      f"{run.objective.COMMAND} --resume {run.folder}", stop.signal)


def stop_failed(run, state, standing, prepare_batch):
    """Save the state before a step that was not finite, and raise the Error that describes it."""
    images, targets = prepare_batch(state.step % run.steps)
    error = steps.failure(state, run.trained, images, targets, run.recipe, run.steps,
                          run.compute_gradients)
    if not math.isfinite(float(standing.sums.loss)):
        standing = replace(standing, sums=Sums())       # on a GPU the sums went on meanwhile
    save(run, state, standing)
    raise error


def finish_epoch(run, state, standing, shown):
    """Validate where it is time to, write the epoch's record, the best weights and a checkpoint."""
    recipe, sums = run.recipe, standing.sums
    epoch = state.step // run.steps
    record = {"epoch": epoch, "step": state.step,
              "learning_rate": steps.learning_rate(state.step - 1, recipe, run.steps),
              "gradient_norm": float(sums.norm) / run.steps,
              "train_loss": float(sums.loss) / sums.seen,
              "train_accuracy": float(sums.right) / sums.seen,
              "seconds": sums.seconds, "images_per_second": sums.seen / sums.seconds,
              "waiting": sums.waiting / sums.seconds}
    standing.sums = Sums()
    if epoch % recipe.evaluate_every == 0 or epoch == recipe.epochs:
        shown.during("validation")
        began = time.perf_counter()
        loss, accuracy, *chooses = run.objective.validate(run)
        record |= {"validation_loss": loss, "validation_accuracy": accuracy,
                   "validation_seconds": time.perf_counter() - began}
        found = accuracy
        if chooses:
            found = record["validation_class_mean"] = chooses[0]
        if found >= standing.best_accuracy:             # of two equal ones the later
            standing.best_accuracy, standing.best_epoch = found, epoch
            save_best(run, state, standing)
    shown.epoch(record)
    if remark := run.objective.remark(run, record):
        progress.say(remark)
    with guarded(run):
        run.first(run_folder.append_metrics, run.folder, record)
    save(run, state, standing)


def out_of_patience(run, state, standing):
    """Tell whether the last `patience` looks at the validation part brought nothing better."""
    looks = (state.step // run.steps - standing.best_epoch) // run.recipe.evaluate_every
    return bool(run.recipe.patience and standing.best_epoch and looks >= run.recipe.patience)


def finish(run, state, standing):
    """Do with the best weights what the objective ends with, and mark the run as finished."""
    best = replace(model.load(run.folder, "best").to(run.recipe.device), ops=run.trained.ops,
                   threads=run.trained.threads)
    with guarded(run):
        score = run.objective.finish(run, best, standing.best_epoch)
    standing.finished = True
    save(run, state, standing)
    return run.folder, best, score
