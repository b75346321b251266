"""Predict the classes of pictures.

    python -m vitnp.predict CHECKPOINT IMAGE … [--top 5] [--json | --csv] [--figure PNG] …

CHECKPOINT is a file, a name on the Hugging Face hub, or the folder of a run, whose best checkpoint
is taken (the last one where there is no best). IMAGE is the file of a picture, or a folder, whose
pictures are taken, also those in folders below. Prints for each picture its likeliest classes with
their probabilities: in a table, with --json as one list, with --csv as one line a class. Pictures
are resized and cut as those that the network was trained on. What cannot be read is named on
stderr, the others go on, and the exit code is 1. --figure also draws the first 20 pictures with
their classes and their attention rollout. A line on stderr says where a picture is far from those
that the network was trained on: in grey for colours, in colour for greys, or dark on light for
light on dark (it is then inverted).
"""

import argparse
import contextlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vitnp.common import command
from vitnp.errors import Error
from vitnp.runs import checkpoint_options

CHUNK = 2**23       # bytes of pictures, made ready for the network, that are read at a time


class Prediction(NamedTuple):
    """The likeliest classes of one picture: path of its file, and (number, name, probability)."""

    path: str
    best: list


def main(arguments):
    """Predict as the options say, and return 1 where a picture could not be read, else 0."""
    options = parse(arguments)

    from vitnp.analysis.drawing import prediction_figure
    from vitnp.common.progress import say
    from vitnp.parallel import lanes

    lanes.prepare_process()
    trained = checkpoint_options.load(options)
    if trained.config.classes is None:
        raise Error(f"{options.checkpoint} has no head, and so predicts no classes; give one with "
                    "a head, or fine-tune it with python -m vitnp.train --init-from")
    if trained.config.channels not in (1, 3):
        raise Error(f"this model takes images of {trained.config.channels} channels, but files are "
                    "read with 1 or 3; call vitnp.load(…).logits(arrays)")
    paths, wrong = find_pictures(options.images)
    if options.figure and Path(options.figure).resolve() in (Path(path).resolve()
                                                             for path in paths):
        raise Error(f"--figure is {options.figure}, which is one of the pictures; choose another "
                    "name")
    if len(wrong) == 1 and not paths:
        raise Error(wrong[0])
    for message in wrong:
        say(message)
    failed, drawn = list(wrong), []
    write = write_json if options.json else write_csv if options.csv else write_table
    write(reported(trained, paths, options, failed, drawn), paths)
    if drawn:
        if len(paths) > prediction_figure.MOST:
            say(f"the figure shows the first {len(drawn)} of {len(paths)} pictures")
        draw(trained, options, drawn)
        if not (options.json or options.csv):
            print(options.figure)
    return 1 if failed else 0


def parse(arguments):
    """Return the options, or raise Error for those that are not possible."""
    parser = command.Parser(prog="python -m vitnp.predict", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    checkpoint_options.add_options(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="file of a picture, or a folder")
    parser.add_argument("--top", type=int, default=5, help="classes for each (default: 5)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON in place of a table")
    form.add_argument("--csv", action="store_true", help="print comma-separated values")
    parser.add_argument("--figure", metavar="PNG", help="file of a figure")
    options = parser.parse_args(arguments)
    command.check_counts(options, "top", "heads", "threads")
    if options.figure and Path(options.figure).suffix.lower() != ".png":
        raise Error(f"--figure is {options.figure}, but the figure is a PNG file; choose a name "
                    "that ends in .png")
    if options.figure and not Path(options.figure).absolute().parent.is_dir():
        raise Error(f"{options.figure} cannot be written: No such file or directory")
    return options


def find_pictures(places):
    """Return the paths of pictures in files and folders, and messages for those that have none."""
    from vitnp.common.progress import say
    from vitnp.data.picture import SUFFIXES

    paths, wrong = [], []
    for place in places:
        if not os.path.isdir(place):
            paths.append(place)
            continue
        found, others = [], 0
        for folder, below, names in os.walk(place, onerror=lambda error: wrong.append(
                f"{error.filename} cannot be read: {error.strerror}")):
            below[:] = sorted(name for name in below if not name.startswith("."))
            visible = sorted(name for name in names if not name.startswith("."))
            chosen = [name for name in visible if name.lower().endswith(SUFFIXES)]
            found += [os.path.join(folder, name) for name in chosen]
            others += len(visible) - len(chosen)
        if not found:
            wrong.append(f"{place} is a folder without pictures (files whose names end in "
                         f"{', '.join(SUFFIXES)})")
        elif others:
            say(f"{others:,} files in {place} do not end as pictures do, and are left out")
        paths += found
    return paths, wrong


def predict(trained, paths, top):
    """Yield lists of Predictions, of messages for files that cannot be read, and of remarks.

    The remarks are sentences about pictures that are far from what the network was trained on.
    It goes chunk by chunk: while one is predicted, a thread reads the next, and the memory that is
    needed does not grow with the number of pictures.
    """
    from vitnp.checkpoint import class_names
    from vitnp.data import likeness
    from vitnp.data.batches import prefetch

    names = class_names.names_of(trained)
    size = max(1, CHUNK // int(np.prod(trained.preprocess.shape)))

    def read(start):
        images, good, errors, remarks = [], [], [], []
        for path in paths[start:start + size]:
            try:
                images.append(trained.preprocess.read(path))
                good.append(path)
                remarks.append(likeness.remark(path, images[-1], trained.preprocess))
            except Error as error:
                errors.append(str(error))
        return images, good, errors, remarks

    with contextlib.closing(prefetch(read, range(0, len(paths), size), waiting=1)) as chunks:
        for images, good, errors, remarks in chunks:
            rows = probabilities_of(trained, np.stack(images)) if images else []
            yield [Prediction(path, best_of(row, names, top))
                   for path, row in zip(good, rows, strict=True)], errors, remarks


def probabilities_of(trained, images):
    """Return the probabilities (B, K) of images that are ready for the network."""
    with np.errstate(over="ignore", invalid="ignore"):
        logits = trained.logits(images)
    if not np.isfinite(logits).all():
        raise Error("the network's scores are infinite or not numbers; its weights are damaged")
    return trained.probabilities_of(logits)


def best_of(row, names, top):
    """Return (number, name, probability) of the likeliest classes, alike ones by their numbers."""
    return [(int(k), names[k], float(row[k])) for k in np.argsort(-row, kind="stable")[:top]]


def reported(trained, paths, options, failed, drawn):
    """Yield a Prediction for each picture; say what cannot be read, and add it to `failed`.

    The first ones are added to `drawn` for a figure. Raises Error where the only one is not read.
    """
    from vitnp.analysis.drawing import prediction_figure
    from vitnp.common.progress import say

    for predictions, errors, remarks in predict(trained, paths, options.top):
        if errors and len(paths) == 1 and not failed:
            raise Error(errors[0])
        failed += errors
        for message in (*errors, *filter(None, remarks)):
            say(message)
        if options.figure:
            drawn += predictions[:prediction_figure.MOST - len(drawn)]
        yield from predictions


def write_table(predictions, paths):
    """Print a line for each picture and class, the picture's name in the first of its lines."""
    width = max(map(len, ["picture", *paths]))
    line = f"{{:<{width}}}  {{:>11}}  {{}}".format
    heading = line("picture", "probability", "class")
    for path, best in predictions:
        if heading:
            print(heading)
            heading = None
        for place, (_, name, probability) in enumerate(best):
            print(line("" if place else printable(path), f"{100 * probability:.2f} %", name))


def write_json(predictions, paths):
    """Print one list: for each picture its file and its likeliest classes."""
    import json
    import textwrap

    before = "["
    for path, best in predictions:
        entry = {"file": path, "predictions": [
            {"class": k, "name": name, "probability": probability}
            for k, name, probability in best]}
        print(before, textwrap.indent(json.dumps(entry, indent=2), "  "), sep="\n", end="")
        before = ","
    print("[]" if before == "[" else "\n]")


def write_csv(predictions, paths):
    """Print a line for each picture and class, the first line naming the columns."""
    import csv
    import sys

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("file", "rank", "class", "name", "probability"))
    for path, best in predictions:
        for rank, (k, name, probability) in enumerate(best, 1):
            writer.writerow((printable(path), rank, k, name, probability))


def printable(path):
    """Return the name of a file with a question mark for what cannot be printed."""
    return path.encode(errors="replace").decode()


def draw(trained, options, predictions):
    """Draw pictures with their predictions and their attention rollout."""
    from vitnp.analysis import interpret
    from vitnp.analysis.drawing import canvas, prediction_figure

    paths = [prediction.path for prediction in predictions]
    rollouts = interpret.rollouts(trained, trained.preprocess.batch(paths))
    classes = [[(name, probability) for _, name, probability in best] for _, best in predictions]
    prediction_figure.draw([canvas.shown(path) for path in paths], rollouts, classes,
                           [Path(path).name for path in paths], options.figure,
                           f"Predictions: {checkpoint_options.title_of(options.checkpoint)}")


if __name__ == "__main__":
    command.run(main)
