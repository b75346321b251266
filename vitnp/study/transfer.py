"""Which start helps with few pictures of new classes? Labels of other classes, no labels, nothing.

The classes of Fashion-MNIST are split in two halves at random. From 10, 100 and 1,000 pictures of
the second half a ViT learns these classes: from random weights; after all pictures of the first
half with their labels; and after all pictures of both halves without labels (masked patch
prediction). It is the idea of VTAB, of which the paper reports 19 tasks of 1,000 pictures each.

Budget: 33 runs, most of a quarter of a minute, for three seeds: 20 minutes.
"""

import numpy as np

from vitnp.common.files import replacing
from vitnp.common.randomness import generator
from vitnp.data import load
from vitnp.runs.recipe import Recipe
from vitnp.study import figures
from vitnp.study.settings import PLAIN, Setting, result_of, steps

COUNTS = (10, 100, 1000)
STARTS = ("random weights", "labels of other classes", "no labels")
# For each start the best of 3e-4, 6e-4, this one, 2.4e-3 and 5e-3, by validation with 1,000
# pictures in the mean of the seeds; without labels 2.4e-3 is ahead by 0.05 points
RATE, FRESH_RATE = 1e-3, 1.2e-3


def source(small):
    """Return a Setting whose recipe names the data that the halves are made of."""
    return Setting({}, Recipe(data="digits" if small else "fashion-mnist"))


def settings(small):
    """Return the runs, those of the first seed first; those they start from are made on the way."""
    counts, seeds = ((10, 100), (0,)) if small else (COUNTS, (0, 1, 2))
    return [tuned(start, count, seed, small)
            for seed in seeds for count in counts for start in STARTS]


def tuned(start, count, seed, small):
    """Return the Setting of a run on few pictures of the second half."""
    fields = PLAIN | {"batch_size": min(64, count), "ema": 0.99, "crop_padding": 1}
    fields |= steps(30 if small else 600, count, fields["batch_size"])
    origin = None if start == STARTS[0] else first(start, seed, small)
    if origin:
        fields |= {"learning_rate": RATE, "scale": "half"}
    else:
        fields |= {"learning_rate": FRESH_RATE, "model": "micro/2" if small else "mini/7"}
    facts = {"start": start, "count": count, "seed": seed}
    return Setting(facts, Recipe(data="npz", data_dir=f"second-{seed}.npz", train_images=count,
                                 seed=seed, **fields), origin)


def first(start, seed, small):
    """Return the Setting of the run that comes first, with or without labels."""
    labels = start == STARTS[1]
    fields = PLAIN | {"model": "micro/2" if small else "mini/7", "crop_padding": 1}
    fields |= steps(40, 640) if small else {"epochs": 10, "warmup_epochs": 1}
    if labels:
        fields |= {"data": "npz", "data_dir": f"first-{seed}.npz"}
    else:
        fields |= {"data": "digits" if small else "fashion-mnist", "ops": "textbook"}
    return Setting({"first": start, "seed": seed}, Recipe(seed=seed, **fields), labels=labels)


def prepare(folder, setting):
    """Write the pictures of each seed's halves to the folder, where they are not there yet."""
    recipe = setting.recipe
    dataset = load(recipe.data, recipe.data_dir)
    for seed in range(1 if recipe.data == "digits" else 3):
        classes = generator(seed, "split").permutation(len(dataset.class_names))
        half = len(classes) // 2
        for name, part in (("first", classes[:half]), ("second", classes[half:])):
            write_part(dataset, np.sort(part), folder / f"{name}-{seed}.npz")


def write_part(dataset, classes, path):
    """Write the pictures of some classes, which get the numbers 0, 1 and so on."""
    if path.exists():
        return
    number = np.full(len(dataset.class_names), -1)
    number[classes] = np.arange(len(classes))
    arrays = {"class_names": np.array([dataset.class_names[k] for k in classes])}
    for part in ("train", "test"):
        labels = number[getattr(dataset, f"{part}_labels")]
        arrays[f"{part}_images"] = getattr(dataset, f"{part}_images")[labels >= 0]
        arrays[f"{part}_labels"] = labels[labels >= 0]
    with replacing(path) as aside, open(aside, "wb") as file:
        np.savez(file, **arrays)


def records_of(setting, place):
    """Return the records of a finished run."""
    return [result_of(setting, place)]


def draw(records, path):
    """Draw accuracy against the number of pictures, a line for each start."""
    figure, (axes,) = figures.panels(1, width=5.4)
    styles = figures.STYLES.values()
    for start, style in zip(STARTS, styles, strict=True):
        figures.means(axes, [record for record in records if record["start"] == start], "count",
                      start, style)
    axes.set(xscale="log", xlabel="pictures of the new classes", ylabel="test accuracy, %",
             xticks=COUNTS, xticklabels=[f"{count:,}" for count in COUNTS])
    axes.legend(frameon=False, title="start")
    figures.save(figure, path)
