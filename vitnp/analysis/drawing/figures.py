"""Diagrams of runs, as PNG files."""

import contextlib
import math
import warnings
from bisect import bisect_right

import numpy as np

from vitnp.common.files import replacing

# Told apart by colour-blind readers too. Source: Okabe and Ito 2008, "Color universal design";
# yellow, the faintest on white, comes last.
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
COLOURS = (BLUE, ORANGE, GREEN, VERMILION, "#CC79A7", "#000000", "#56B4E9", "#F0E442")
STYLES = ("-", "--", ":", "-.")


def curves(records, path, title, floor=None):
    """Draw loss, accuracy, learning rate and gradient norm, from the records of metrics.jsonl.

    floor: the least train loss that label smoothing allows, drawn as a line of its own: with
    smoothed targets the train loss may stay above that of the validation part, which has none.
    """
    from matplotlib.figure import Figure

    records = [record for record in records if "epoch" in record]
    figure = Figure(figsize=(8, 6.4), layout="constrained")
    figure.suptitle(fitting(title, 72 * 7.6, 12), parse_math=False)
    (loss, accuracy), (rate, norm) = figure.subplots(2, 2)
    for part, colour in (("train", BLUE), ("validation", ORANGE)):
        smoothed = part == "train" and floor
        line(loss, records, f"{part}_loss", colour,
             "train, with smoothed labels" if smoothed else part)
        line(accuracy, records, f"{part}_accuracy", colour, part, 100.0)
    if floor:
        loss.axhline(floor, color=BLUE, linestyle=":", label="the least that they allow")
    line(rate, records, "learning_rate", GREEN)
    line(norm, records, "gradient_norm", GREEN)
    loss.set(title="Loss", ylabel="cross-entropy")
    accuracy.set(title="Accuracy", ylabel="%")
    rate.set(title="Learning rate", ylabel="at the end of the epoch", ylim=(0, None))
    norm.set(title="Gradient norm", ylabel="mean of the epoch", ylim=(0, None))
    rate.ticklabel_format(axis="y", scilimits=(-1, 2), useMathText=True)
    for axes in (loss, accuracy):
        if axes.lines:
            axes.legend(frameon=False)
    for axes in (loss, accuracy, rate, norm):
        finish_axes(axes)
    save(figure, path)


def least_loss(smoothing, classes):
    """Return the least cross-entropy with smoothed labels, their entropy, or None without.

    Equation: -Σ t log t, where the label has t = 1 - ε + ε/K and each other class t = ε/K.
    """
    if not smoothing:
        return None
    other = smoothing / classes
    label = 1 - smoothing + other
    return -label * math.log(label) - (classes - 1) * other * math.log(other)


def compare(runs, path):
    """Draw several runs together: validation accuracy and loss, and the loss minimised.

    runs: pairs of a name and the records of a metrics.jsonl, of which at least one has an epoch.
    A dot marks each run's best validation accuracy, which stands beside its name.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(13, 3.8 + 0.21 * len(runs)), layout="constrained")
    accuracy, loss, train_loss = figure.subplots(1, 3)
    lines, words = [], []
    for i, (name, records) in enumerate(runs):
        colour = COLOURS[i % len(COLOURS)]
        style = STYLES[i // len(COLOURS) % len(STYLES)]
        records = [record for record in records if "epoch" in record]
        line(accuracy, records, "validation_accuracy", colour, None, 100.0, style)
        line(loss, records, "validation_loss", colour, style=style)
        line(train_loss, records, "train_loss", colour, style=style)
        best = best_of(records)
        if best:
            accuracy.plot(best["epoch"], 100 * best["validation_accuracy"], "o", color=colour)
        lines.append(Line2D([], [], color=colour, linestyle=style))
        reached = f"{100 * best['validation_accuracy']:.2f} %" if best else "not validated yet"
        words.append(f"{reached}  {fitting(name, 800, 10)}")
    accuracy.set(title="Validation accuracy", ylabel="%")
    loss.set(title="Validation loss", ylabel="cross-entropy")
    train_loss.set(title="Train loss, as minimised", ylabel="cross-entropy")
    for axes in (accuracy, loss, train_loss):
        finish_axes(axes)
    legend = figure.legend(lines, words, loc="outside lower left", frameon=False, handlelength=4,
                           title="best validation accuracy and run", alignment="left")
    for text in legend.get_texts():
        text.set_parse_math(False)
    save(figure, path)


def best_of(records):
    """Return the record with the best validation accuracy, of equal ones the last, or None."""
    validated = [record for record in records if "validation_accuracy" in record]
    return max(reversed(validated), key=lambda record: record["validation_accuracy"], default=None)


def line(axes, records, key, colour, label=None, factor=1.0, style="-"):
    """Draw one number of the records that have it against their epochs."""
    points = [(record["epoch"], factor * record[key]) for record in records if key in record]
    if points:
        marker = "o" if len(points) == 1 else ""                # one point makes no line
        axes.plot(*zip(*points, strict=True), color=colour, marker=marker, label=label,
                  linestyle=style)


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
    ticks = range(0, count, math.ceil(count / 100))
    shown = [fitting(names[i], 200, size) for i in ticks]
    inner = max(3.0, cell * min(count, 100))                    # inches, as all from here on
    outer = 0.6 + max(width_of(name, size) for name in shown) / 72
    sides = np.array([max(outer + inner + 1.2, 0.4 + width_of(title, 12) / 72),
                      outer + inner + 0.45])
    figure = Figure(figsize=sides)
    figure.text(0.5, 1 - 0.15 / sides[1], title, size=12, ha="center", va="top")
    axes = figure.add_axes((*(outer, outer) / sides, *(inner, inner) / sides))
    bar = figure.add_axes((*(outer + inner + 0.2, outer + 0.1 * inner) / sides,
                           *(0.2, 0.8 * inner) / sides))
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100)
    figure.colorbar(image, cax=bar, label="% of the images with this label")
    axes.set(xlabel="prediction", ylabel="label")
    if count <= 20 and max(map(len, names)) < 3:
        axes.set_xticks(ticks, shown, parse_math=False)
    else:
        axes.set_xticks(ticks, shown, rotation=60, ha="right", rotation_mode="anchor", size=size,
                        parse_math=False)
    axes.set_yticks(ticks, shown, size=size, parse_math=False)
    if count <= 20:
        for (row, column), number in np.ndenumerate(counts):
            if number:
                colour = "white" if shares[row, column] > 0.6 else "black"
                axes.text(column, row, str(number), ha="center", va="center", color=colour)
    save(figure, path)


def fitting(text, width, size, kept=""):
    """Return a text and what is kept after it, the text cut short with … where both are too wide.

    width: in points, as is the font's size.
    """
    if width_of(text + kept, size) <= width:
        return text + kept

    def cut(length):
        return text[:length].rstrip() + "…" + kept

    too_wide = bisect_right(range(len(text)), width, key=lambda length: width_of(cut(length), size))
    return cut(max(too_wide - 1, 0))


def width_of(text, size):
    """Return how wide a text is, in points, in a font of `size` points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    with glyphs_may_miss():
        return text_to_path.get_text_width_height_descent(text, FontProperties(size=size), False)[0]


@contextlib.contextmanager
def glyphs_may_miss():
    """Keep quiet about names in letters that the font lacks; they are drawn as boxes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


def save(figure, path):
    """Write a figure as PNG, aside and then renamed."""
    with glyphs_may_miss(), replacing(path) as aside:
        figure.savefig(aside, format="png", dpi=120)
