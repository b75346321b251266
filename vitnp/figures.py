"""Pictures of runs, as PNG files."""

import math

import numpy as np

from vitnp.files import replacing

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"      # told apart by colour-blind readers too


def curves(records, path, title):
    """Draw loss, accuracy and learning rate by epoch, from the records of metrics.jsonl."""
    from matplotlib.figure import Figure

    records = [record for record in records if "epoch" in record]
    epochs = [record["epoch"] for record in records]
    marker = "o" if len(epochs) == 1 else ""        # one point makes no line
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    figure.suptitle(title)
    loss, accuracy, rate = figure.subplots(1, 3)
    for axes, name, unit, factor in ((loss, "loss", "cross-entropy", 1.0),
                                     (accuracy, "accuracy", "%", 100.0)):
        for part, colour in (("train", BLUE), ("validation", ORANGE)):
            values = [factor * record[f"{part}_{name}"] for record in records]
            smoothed = part == "train" and name == "loss"       # with smoothed targets
            axes.plot(epochs, values, color=colour, marker=marker,
                      label="train, as minimised" if smoothed else part)
        axes.set(title=name.capitalize(), xlabel="epoch", ylabel=unit)
        axes.legend(frameon=False)
    rate.plot(epochs, [record["learning_rate"] for record in records], color=GREEN, marker=marker)
    rate.set(title="Learning rate at the epoch's end", xlabel="epoch", ylim=(0, None))
    for axes in (loss, accuracy, rate):
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def confusion(counts, names, path, title):
    """Draw a confusion matrix: counts[label, prediction], each row in shares of its label."""
    from matplotlib.figure import Figure

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    count = len(names)
    cell, size = (0.45, 10) if count <= 20 else (0.16, 8)      # inches, points
    side = 2.5 + cell * min(count, 100)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, shrink=0.8, label="% of the images with this label")
    ticks = range(0, count, math.ceil(count / 100))
    shown = [names[i] for i in ticks]
    axes.set(title=title, xlabel="prediction", ylabel="label")
    if count <= 20 and max(map(len, names)) < 3:
        axes.set_xticks(ticks, shown)
    else:
        axes.set_xticks(ticks, shown, rotation=60, ha="right", rotation_mode="anchor", size=size)
    axes.set_yticks(ticks, shown, size=size)
    if count <= 20:
        for (row, column), number in np.ndenumerate(counts):
            if number:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(number), ha="center", va="center", color=colour)
    save(figure, path)


def save(figure, path):
    """Write a figure as PNG, aside and then renamed."""
    with replacing(path) as aside:
        figure.savefig(aside, format="png", dpi=120)
