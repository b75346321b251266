"""How a run is written down so that it can go on, and read back."""

import contextlib
from dataclasses import dataclass, field, replace

from vitnp.checkpoint import locate, native
from vitnp.common import progress
from vitnp.errors import Error
from vitnp.runs import run_folder


@dataclass
class Sums:
    """Sums over the images and steps of the running epoch; a GPU's are not waited for."""

    loss: object = 0.0
    right: object = 0
    norm: object = 0.0
    seen: int = 0
    seconds: float = 0.0
    waiting: float = 0.0        # seconds in which the step had no batch yet


@dataclass
class Standing:
    """How far a run is, besides its state: what a checkpoint tells in words."""

    sums: Sums = field(default_factory=Sums)
    best_accuracy: float = -1.0
    best_epoch: int = 0
    finished: bool = False


def save(run, state, standing):
    """Write the run's checkpoint: weights, moments, average, step and standing."""
    run.first(write_checkpoint, run, state, standing)


def write_checkpoint(run, state, standing):
    """Write the run's checkpoint in this process."""
    sums = {name: float(number) for name, number in vars(standing.sums).items()}
    facts = run.objective.published(run.trained).facts() | {
        "step": state.step, "standing": vars(standing) | {"sums": sums},
        "metrics_length": run_folder.metrics_length(run.folder)}
    tensors = run.objective.checkpoint(run, state)
    with guarded(run):
        run_folder.save_checkpoint(run.folder, tensors, facts)


def save_best(run, state, standing):
    """Write the weights that did best on the validation part, without moments."""
    run.first(write_best, run, state, standing)


def write_best(run, state, standing):
    """Write the best weights in this process."""
    facts = run.objective.published(run.trained).facts() | {
        "step": state.step, "epoch": standing.best_epoch,
        "validation_accuracy": standing.best_accuracy}
    kept = run.objective.kept(run, state)
    with guarded(run):
        native.save(run.folder / locate.BEST, kept, facts)


@contextlib.contextmanager
def guarded(run):
    """Let an Error of what is written here say how the run can go on."""
    try:
        yield
    except Error as error:
        raise Error(f"{error}; the last checkpoint is whole: mend that, then python -m "
                    f"{run.objective.COMMAND} --resume {run.folder}") from None


def read_standing(facts, path):
    """Return Standing, step and length of the metrics from a checkpoint's facts, or raise Error."""
    try:
        if "standing" not in facts:         # of a version in which pre-training kept less
            return Standing(), facts["step"], facts["metrics_length"]
        found = dict(facts["standing"])
        sums = Sums(**found["sums"])
        standing = Standing(**found | {"sums": replace(sums, seen=int(sums.seen))})
        return standing, facts["step"], facts["metrics_length"]
    except (KeyError, TypeError):
        raise Error(f"{path} is no checkpoint that a run can go on from") from None


def check_best(run, state, standing):
    """Let the present weights take the place of a best checkpoint that is damaged, and say so."""
    if standing.best_epoch == 0:
        return
    damage = run.first(damage_of, run.folder / locate.BEST)
    if damage:
        progress.say(f"{damage}; the present weights take its place, until better ones come")
        standing.best_accuracy, standing.best_epoch = -1.0, state.step // run.steps
        save_best(run, state, standing)


def damage_of(path):
    """Return what is wrong with a checkpoint of vitnp's, or None."""
    try:
        native.load(path)
    except Error as error:
        return str(error)


def result_of(folder):
    """Return the record of the test in the metrics of a run, or None where it is not finished.

    The checkpoint, which may be large, is read only where the metrics end with a test.
    """
    if b'"test_loss"' not in run_folder.last_line(folder):
        return None
    last = run_folder.last_checkpoint(folder)
    if last and read_standing(*last[1:])[0].finished:
        return run_folder.read_metrics(folder)[-1]
    return None
