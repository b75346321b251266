"""The objective of training without labels: the mean colours of corrupted patches.

Source: Dosovitskiy et al. 2021, appendix B.1.2. The names are those of labels.py.
"""

import dataclasses

import numpy as np

from vitnp import model, params, vit
from vitnp.analysis import evaluation
from vitnp.analysis.drawing import figures
from vitnp.backend import get_xp, to_device, to_host
from vitnp.common.randomness import generator
from vitnp.config import ViTConfig
from vitnp.data.batches import batch_of
from vitnp.errors import Error
from vitnp.networks import masked
from vitnp.networks.masked import MaskedConfig
from vitnp.parallel import lanes
from vitnp.runs import run_folder
from vitnp.training import steps

COMMAND = "vitnp.pretrain"
SUFFIX = "-masked"
PREFIX = "masked/"
END = "curves"


def origin(recipe):
    """Return None: it starts from random weights."""


def start(recipe, dataset, origin=None):
    """Return (config, preprocess, flat): the network and its initial values."""
    config, preprocess = configure(recipe, dataset)
    return config, preprocess, masked.init(config, generator(recipe.seed, "init"))


def configure(recipe, dataset):
    """Return the MaskedConfig and the Preprocess. Raises Error for a residual network."""
    plain, preprocess = recipe.configure(dataset)
    if not isinstance(plain, ViTConfig):
        raise Error(f"masked patch prediction is for Vision Transformers, not for {recipe.model}")
    fields = {item.name: getattr(plain, item.name) for item in dataclasses.fields(plain)}
    return MaskedConfig(**fields | {"classes": None}), preprocess


def go_on(recipe, dataset, tensors, facts, path):
    """Return (config, preprocess, flat) of a checkpoint, flat with room for the weights."""
    if not any(name.startswith(PREFIX) for name in tensors):
        raise Error(f"{path} was trained with labels; to go on: python -m vitnp.train "
                    f"--resume {path.parent}")
    config, preprocess = configure(recipe, dataset)
    return config, preprocess, params.allocate(masked.shapes(config), np.float32, np)


def class_weights(recipe, labels, classes):
    """Return None: there are no classes."""


def remark(run, record):
    """Return None: no loss is known to be that of guessing."""


def parts(run):
    """Say in words what the run trains on and validates."""
    return (f"without labels, {len(run.training):,} images to train on, "
            f"{len(run.validation):,} to validate")


def batch(run, order, epoch, i, xp, read=None):
    """Return the augmented images of a step and the Corruption of their patches."""
    images, _ = batch_of(run.dataset, order, run.recipe, epoch, i, xp, read)
    rng = generator(run.recipe.seed, "mask", epoch, i)
    return images, masked.corrupt(len(images), patches_of(run.trained.config), rng, xp)


def patches_of(config):
    """Return the number of patches of an image."""
    return config.grid[0] * config.grid[1]


def compute_gradients(state, trained, images, corruption, recipe, add_up=lanes.add_in_turn):
    """Write a batch's gradients to the state.

    images: uint8 (B, height, width, C), not yet corrupted; add_up: see loss_and_gradients. Returns
    for each image (B,) the mean loss of its corrupted patches, and the share of them whose colour
    is right.
    """
    config, xp = trained.config, get_xp(state.params)
    draw = steps.dropout_of(state, config, recipe)
    gradients = params.views(state.gradients, masked.shapes(config))
    losses, right = loss_and_gradients(trained, to_device(images, xp), corruption, gradients, draw,
                                       recipe.micro_batch, add_up)              # (B, M)
    return losses.mean(axis=1), right.mean(axis=1)


def loss_and_gradients(trained, images, corruption, gradients, draw=None, micro_batch=None,
                       add_up=lanes.add_in_turn):
    """Write the gradients of the mean loss of all corrupted patches to a tree of `masked.shapes`.

    images: uint8 (B, height, width, C), not yet corrupted; draw, add_up: see
    lanes.loss_and_gradients.
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

    return add_up(work, images, gradients, trained.config, micro_batch, trained.threads,
                  trained.ops)


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


def published(trained):
    """Return the Model that a run's checkpoint is read as: without mask token and colours."""
    tensors = params.flatten(trained.params)
    plain = trained.config.plain
    tree = params.nest({path: tensors[path] for path in vit.shapes(plain)})
    return dataclasses.replace(trained, config=plain, params=tree)


def checkpoint(run, state):
    """Return the tensors of a checkpoint: the plain network, and what the training goes on from."""
    named = steps.checkpoint_tensors(state, run.trained.config)
    return kept(run, state) | {f"{PREFIX}{name}": tensor for name, tensor in named.items()}


def kept(run, state):
    """Return the tensors that are kept of the best network: those that fine-tuning starts from."""
    return model.host_tensors(published(run.averaged).params)


def validate(run):
    """Return mean loss and accuracy on the validation part, whose patches are corrupted alike.

    Patches that were chosen but left as they are do not count: the network sees their colours.
    """
    trained = run.averaged
    config, xp = trained.config, get_xp(trained.params["norm"]["gamma"])

    def of_chunk(first):
        indices = run.validation[first:first + evaluation.CHUNK]
        images = to_device(run.dataset.train_images[indices], xp)
        rng = generator(0, "mask", first)
        corruption = masked.corrupt(len(images), patches_of(config), rng, xp)

        def work(part, turn, images=images, corruption=corruption):
            targets, logits, _ = predict(trained, images[part], corruption.part(part))
            losses, hits, _ = compare(trained.ops, logits, targets)
            return losses.reshape(targets.shape), hits.reshape(targets.shape)

        losses, hits = map(to_host, lanes.joined(work, len(images), config, xp, lanes.GPU_BATCH,
                                                 threads=trained.threads))
        unseen = to_host(masked.is_changed(corruption))                         # (B, M)
        return (float(losses[unseen].sum(dtype=np.float64)), int(hits[unseen].sum()),
                int(unseen.sum()))

    starts = range(0, len(run.validation), evaluation.CHUNK)
    found = run.world.in_turn(of_chunk, starts) if run.world else list(map(of_chunk, starts))
    loss, right, count = (sum(numbers) for numbers in zip(*found, strict=True))
    return loss / count, right / count


def finish(run, best, best_epoch):
    """Draw the curves; there is nothing to test."""
    run.first(draw, run)


def draw(run):
    """Draw the curves of a run."""
    figures.curves(run_folder.read_metrics(run.folder), run.folder / run_folder.CURVES,
                   f"{run.recipe.title}, masked patch prediction")
