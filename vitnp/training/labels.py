"""The objective of training with labels: to tell the classes of images apart.

An objective is a module with the names of this one, which the loop calls. The other one is
masked_patches.
"""

import math

import numpy as np

from vitnp import model, networks, params
from vitnp.analysis import evaluation
from vitnp.analysis.drawing import sheets
from vitnp.common.randomness import generator
from vitnp.config import ViTConfig
from vitnp.data.batches import batch_of
from vitnp.errors import Error
from vitnp.runs import run_folder
from vitnp.training import initial_weights, steps
from vitnp.training.steps import compute_gradients

__all__ = ["COMMAND", "END", "PREFIX", "SUFFIX", "batch", "checkpoint", "class_weights",
           "compute_gradients", "finish", "go_on", "kept", "origin", "parts", "published", "remark",
           "start", "validate"]

COMMAND = "vitnp.train"     # what resumes such a run
SUFFIX = ""                 # of the folder's name
PREFIX = ""                 # of the state's tensors in a checkpoint
END = "test"                # what comes after the last epoch


def origin(recipe):
    """Return (Model, how its positions are resized) that the weights come from, or None."""
    if recipe.init_from is None:
        return None
    return initial_weights.load(recipe.init_from, recipe.heads)


def start(recipe, dataset, origin=None):
    """Return (config, preprocess, flat): the network and the weights that it starts from."""
    config, preprocess = recipe.configure(dataset)
    if origin is not None:
        return initial_weights.start_from(origin[0], config, preprocess, origin[1])
    flat = networks.of(config).init(config, generator(recipe.seed, "init"))
    if recipe.position_start == "sincos" and isinstance(config, ViTConfig):
        initial_weights.start_with_waves(flat, config)
    return config, preprocess, flat


def go_on(recipe, dataset, tensors, facts, path):
    """Return (config, preprocess, flat) of a checkpoint, flat with room for the weights.

    Raises Error where it is of the other objective, or the data are others.
    """
    if any(name.startswith("masked/") for name in tensors):
        raise Error(f"{path} was trained without labels; to go on: python -m vitnp.pretrain "
                    f"--resume {path.parent}")
    saved = model.from_checkpoint(tensors, facts, path)
    if saved.class_names != dataset.class_names or (
            saved.preprocess.shape != dataset.train_images.shape[1:]):
        raise Error(f"the images or classes of {recipe.data} are not those of {path}; name the "
                    "folder that the run was trained on with --data-dir")
    shapes = networks.of(saved.config).shapes(saved.config)
    return saved.config, saved.preprocess, params.allocate(shapes, np.float32, np)


def class_weights(recipe, labels, classes):
    """Return a factor (K,) for each class, float32, or None without --balance.

    It is N / (K N_k), so that every class counts alike and the mean over all N images is 1.
    """
    if not recipe.balance:
        return None
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)


def remark(run, record):
    """Return a hint where an epoch's loss is still that of guessing, ln K, or None."""
    chance = math.log(run.trained.config.classes)
    warmup = min(run.recipe.warmup_epochs, run.recipe.epochs / 2)
    if record["epoch"] <= warmup or abs(record["train_loss"] - chance) > chance / 200:
        return None
    return (f"the loss of this epoch is ln {run.trained.config.classes} = {chance:.3f}, that of "
            "guessing: nothing is learned; look at a batch (python -m vitnp.visualize batch), and "
            "try another --learning-rate")


def parts(run):
    """Say in words what the run trains on, validates and tests."""
    return (f"{len(run.training):,} images to train on, {len(run.validation):,} to validate, "
            f"{len(run.dataset.test_labels):,} to test")


def batch(run, order, epoch, i, xp):
    """Return the augmented images of a step and their targets, on the device of xp."""
    return batch_of(run.dataset, order, run.recipe, epoch, i, xp)


def published(trained):
    """Return the Model that a run's checkpoint is read as."""
    return trained


def checkpoint(run, state):
    """Return the tensors of a checkpoint, a dict name → NumPy array."""
    return steps.checkpoint_tensors(state, run.trained.config)


def kept(run, state):
    """Return the tensors that are kept of the best network: no moments."""
    tensors = checkpoint(run, state)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("moment")}


def validate(run):
    """Return mean loss and accuracy on the validation part, and what else chooses the best."""
    score = evaluation.score(run.averaged, run.dataset.train_images, run.dataset.train_labels,
                             run.validation)
    if run.recipe.best == "accuracy":
        return score.loss, score.accuracy
    # NaN where a class has no image
    return score.loss, score.accuracy, float(np.nanmean(score.class_accuracies))


def finish(run, best, best_epoch):
    """Use the test part, once, on the best network; write and draw the result; return its Score."""
    logits = evaluation.logits_of(best, run.dataset.test_images)
    score = evaluation.score_of(logits, run.dataset.test_labels)
    record = {"test_loss": score.loss, "test_accuracy": score.accuracy,
              "test_images": int(score.confusion.sum()), "best_epoch": best_epoch}
    run_folder.append_metrics(run.folder, record)
    sheets.draw_run(run.folder, run.recipe, run.dataset, logits)
    return score
