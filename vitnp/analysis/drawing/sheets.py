"""Sheets of pictures with words below them, and all that is drawn of a part of the data."""

import math
from pathlib import Path

import numpy as np

from vitnp.analysis import evaluation
from vitnp.analysis.drawing import figures
from vitnp.layers import textbook
from vitnp.runs import run_folder

CONFUSION, MISTAKES = "confusion", "mistakes"       # names of files, without their ending
MOST_MISTAKES, MOST_IN_BATCH = 40, 64
COLUMNS = 8
MISTAKE_WIDTH, PAIR_WIDTH = 1.3, 1.8                # of a picture and what is around it, in inches
TALLEST, MARGIN, LINE, TITLE = 1.15, 0.15, 0.145, 0.75      # inches
WORDS = 8                                           # points


def draw_run(folder, recipe, dataset, logits):
    """Draw a run that is over: its curves, and from the test part's logits what draw_part draws."""
    figures.curves(run_folder.read_metrics(folder), Path(folder) / run_folder.CURVES, recipe.title,
                   figures.least_loss(recipe.label_smoothing, len(dataset.class_names)))
    draw_part(folder, f"{recipe.title}, test part", dataset.test_images, dataset.test_labels,
              logits, dataset.class_names)


def draw_part(folder, title, images, labels, logits, names, indices=None, ending=""):
    """Draw confusion matrix and mistakes, as files that have `ending` in their names.

    images (count, height, width, C) or Pictures, of which those at the indices, by default all,
    have these labels (B,) and logits (B, K). Returns the paths of the two files.
    """
    paths = [Path(folder) / f"{name}{ending}.png" for name in (CONFUSION, MISTAKES)]
    figures.confusion(evaluation.score_of(logits, labels).confusion, names, paths[0], title)
    mistakes(images, labels, logits, names, paths[1], title, indices)
    return paths


def mistakes(images, labels, logits, names, path, title, indices=None):
    """Draw the 40 wrong predictions of the highest probability, with prediction and label.

    Arguments as of draw_part; only the pictures that are drawn are read.
    """
    predictions = logits.argmax(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    probabilities, _ = textbook.softmax.forward(logits[wrong])
    surest = probabilities.max(axis=1)
    order = np.argsort(-surest, kind="stable")[:MOST_MISTAKES]
    chosen = wrong[order]
    captions = [[(names[predictions[i]], f" ({100 * probability:.1f} %)", figures.VERMILION),
                 (names[labels[i]], "", "black")]
                for i, probability in zip(chosen, surest[order], strict=True)]
    words = f"mistakes on {len(wrong):,} of {len(labels):,} images"
    if len(wrong) > MOST_MISTAKES:
        words += f", the {MOST_MISTAKES} most confident ones"
    words += ", with prediction (probability) and label" if len(wrong) else ""
    places = chosen if indices is None else indices[chosen]
    sheet(images[places], captions, path, f"{title}\n{words}", MISTAKE_WIDTH)


def batch(before, after, labels, targets, names, path, title):
    """Draw the first 64 images of a batch, each as it is and beside it as it was augmented.

    before, after: uint8 (B, height, width, C); labels: (B,); targets: (B,), or probabilities
    (B, K), of which the label's and the largest other one are written below.
    """
    before, after, labels, targets = (array[:MOST_IN_BATCH]
                                      for array in (before, after, labels, targets))
    count, height, width, C = before.shape
    between = np.full((count, height, max(1, width // 16), C), 255, np.uint8)
    captions = [[(names[label], "", "black")] for label in labels]
    words = "left as they are, right as the network sees them"
    if targets.ndim == 2:
        captions = [shares(target, label, names)
                    for target, label in zip(targets, labels, strict=True)]
        words += "; below: how much of the target is the label, and what is mixed in"
    sheet(np.concatenate([before, between, after], axis=2), captions, path, f"{title}\n{words}",
          PAIR_WIDTH)


def shares(target, label, names):
    """Return as a caption the label's share of a target (K,), and the largest of the others'."""
    others = target.copy()
    others[label] = 0
    other = others.argmax()
    lines = [(names[label], f" {target[label]:.2f}", "black"),
             (names[other], f" {target[other]:.2f}", figures.VERMILION)]
    return lines if others[other] > 0 else lines[:1]


def sheet(pictures, captions, path, title, width):
    """Draw pictures in rows, each with a caption below it.

    pictures: uint8 (count, height, width, C), drawn in colours where C is 3, else in greys; they
    fill cells of `width` inches, enlarged without smoothing where they are small. captions: for
    each a list of lines (text, what is kept where the text must be cut short, colour).
    """
    from matplotlib.figure import Figure

    count, rows, columns, C = pictures.shape
    scale = min((width - MARGIN) / columns, TALLEST / rows)         # inches a pixel
    tall, wide = scale * rows, scale * columns
    down = tall + LINE * max(map(len, captions), default=0) + MARGIN
    across, high = COLUMNS * width, TITLE + down * math.ceil(count / COLUMNS)
    figure = Figure(figsize=(across, high))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, across), ylim=(high, 0))                      # in inches, from the top left
    axes.set_axis_off()
    axes.text(across / 2, TITLE / 2, title, ha="center", va="center", size=12, parse_math=False)
    if C != 3:
        pictures = pictures.mean(axis=3)
    for i, (picture, words) in enumerate(zip(pictures, captions, strict=True)):
        centre, top = (i % COLUMNS + 0.5) * width, TITLE + i // COLUMNS * down
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255, aspect="auto",
                    extent=(centre - wide / 2, centre + wide / 2, top + tall, top),
                    interpolation="nearest" if rows <= 32 else None)
        for place, (text, kept, colour) in enumerate(words):
            axes.text(centre, top + tall + LINE * (place + 0.7),
                      figures.fitting(text, 72 * (width - MARGIN / 2), WORDS, kept), size=WORDS,
                      color=colour, ha="center", va="center", parse_math=False)
    figures.save(figure, path)
