"""What a study consists of: runs, each with the words that its record starts with."""

from dataclasses import dataclass, replace
from pathlib import Path

from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe
from vitnp.training import loop, masked_patches, saving

# What all studies have in common: no augmentation, the same scale of the pixels
PLAIN = {"batch_size": 64, "learning_rate": 1.2e-3, "weight_decay": 0.0, "label_smoothing": 0.0,
         "crop_padding": 0, "rotate": 0.0, "rescale": 0.0, "scale": "data"}
LOOKS = 10          # at the validation part in a run


@dataclass(frozen=True)
class Setting:
    """One run. facts: words and numbers that tell it from all others of the study.

    origin: the Setting that is trained first, and whose weights this one starts from, or None;
    labels: False for masked patch prediction; study: the other study whose run it is, if it is.
    """

    facts: dict
    recipe: Recipe
    origin: object = None
    labels: bool = True
    study: str | None = None

    @property
    def name(self):
        """The name of the run's folder."""
        return "-".join(str(value).replace("/", "_") for value in self.facts.values())


def steps(count, images, batch_size=64):
    """Return the fields of a recipe that takes about `count` steps on so many training images."""
    epochs = max(1, round(count / -(-images // batch_size)))
    return {"epochs": epochs, "warmup_epochs": 0.1 * epochs,
            "evaluate_every": max(1, epochs // LOOKS)}


def train(setting, folder):
    """Train the run of a setting, or go on with it, in a folder of that of the study; return it."""
    recipe, place = setting.recipe, Path(folder) / setting.name
    if setting.origin:
        recipe = replace(recipe, init_from=str(train(setting.origin, folder)))
    if setting.labels:
        finish(recipe, place)
    elif (place / run_folder.CONFIG).exists():
        loop.resume(place, objective=masked_patches)
    else:
        loop.train(recipe, place, objective=masked_patches)
    return place


def finish(recipe, folder):
    """Train a run with labels in a folder, or go on with it, unless it is finished already."""
    if not (folder / run_folder.CONFIG).exists():
        loop.train(recipe, folder)
    elif saving.result_of(folder) is None:
        loop.resume(folder)


def result_of(setting, folder):
    """Return the record of a finished run: its facts, and what came out."""
    records = run_folder.read_metrics(folder)
    epochs = [record for record in records if "epoch" in record]
    looks = [record["validation_accuracy"] for record in epochs if "validation_accuracy" in record]
    return setting.facts | {
        "test_accuracy": records[-1]["test_accuracy"], "validation_accuracy": max(looks),
        "train_accuracy": epochs[-1]["train_accuracy"], "steps": epochs[-1]["step"],
        "seconds": round(sum(record["seconds"] for record in epochs), 1)}
