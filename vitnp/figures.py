"""Pictures of runs, as PNG files."""

import math

import numpy as np

from vitnp.files import replacing

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"      # told apart by colour-blind readers too


def curves(records, path, title):
    """Draw loss, accuracy, learning rate and gradient norm, from the records of metrics.jsonl."""
    from matplotlib.figure import Figure

    records = [record for record in records if "epoch" in record]
    figure = Figure(figsize=(15, 3.6), layout="constrained")
    figure.suptitle(title)
    loss, accuracy, rate, norm = figure.subplots(1, 4)
    for part, colour in (("train", BLUE), ("validation", ORANGE)):
        smoothed = part == "train"                              # with smoothed or mixed targets
        line(loss, records, f"{part}_loss", colour, "train, as minimised" if smoothed else part)
        line(accuracy, records, f"{part}_accuracy", colour, part, 100.0)
    line(rate, records, "learning_rate", GREEN)
    line(norm, records, "gradient_norm", GREEN)
    loss.set(title="Loss", ylabel="cross-entropy")
    accuracy.set(title="Accuracy", ylabel="%")
    rate.set(title="Learning rate at the end of the epoch", ylim=(0, None))
    norm.set(title="Gradient norm, mean of the epoch", ylim=(0, None))
    for axes in (loss, accuracy):
        axes.legend(frameon=False)
    for axes in (loss, accuracy, rate, norm):
        finish_axes(axes)
    save(figure, path)


def line(axes, records, key, colour, label=None, factor=1.0):
    """Draw one number of the records that have it against their epochs."""
    points = [(record["epoch"], factor * record[key]) for record in records if key in record]
    if points:
        marker = "o" if len(points) == 1 else ""                # one point makes no line
        axes.plot(*zip(*points, strict=True), color=colour, marker=marker, label=label)


def finish_axes(axes):
    """Label the epochs by whole numbers, and leave out what is only a frame."""
    axes.set(xlabel="epoch")
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


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
