"""Pictures of runs, as PNG files."""

import numpy as np

from vitnp.files import replacing

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"      # told apart by colour-blind readers too


def curves(records, path, title):
    """Draw loss, accuracy and learning rate by epoch, from the records of metrics.jsonl."""
    from matplotlib.figure import Figure

    records = [record for record in records if "epoch" in record]
    epochs = [record["epoch"] for record in records]
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    figure.suptitle(title)
    loss, accuracy, rate = figure.subplots(1, 3)
    for axes, name, unit, factor in ((loss, "loss", "cross-entropy", 1.0),
                                     (accuracy, "accuracy", "%", 100.0)):
        for part, colour in (("train", BLUE), ("validation", ORANGE)):
            values = [factor * record[f"{part}_{name}"] for record in records]
            axes.plot(epochs, values, color=colour, label=part)
        axes.set(title=name.capitalize(), xlabel="epoch", ylabel=unit)
        axes.legend(frameon=False)
    rate.plot(epochs, [record["learning_rate"] for record in records], color=GREEN)
    rate.set(title="Learning rate at the epoch's end", xlabel="epoch", ylim=(0, None))
    for axes in (loss, accuracy, rate):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    save(figure, path)


def confusion(counts, names, path, title):
    """Draw a confusion matrix: counts[label, prediction], each row in shares of its label."""
    from matplotlib.figure import Figure

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 2.5 + 0.45 * len(names)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, ax=axes, shrink=0.8, label="% of the images with this label")
    ticks = range(len(names))
    axes.set(title=title, xlabel="prediction", ylabel="label")
    axes.set_xticks(ticks, names, rotation=0 if max(map(len, names)) < 3 else 60)
    axes.set_yticks(ticks, names)
    if len(names) <= 20:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour)
    save(figure, path)


def save(figure, path):
    """Write a figure as PNG, aside and then renamed."""
    with replacing(path) as aside:
        figure.savefig(aside, format="png", dpi=120)
