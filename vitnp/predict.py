"""Predict the classes of pictures.

    python -m vitnp.predict CHECKPOINT IMAGE … [--top 5] [--json] [--figure PNG] …

CHECKPOINT is a file, or the folder of a run, whose best checkpoint is taken (the last one where
there is no best). Prints for each picture its likeliest classes with their probabilities: in a
table, or with --json as one list. Pictures are resized to the network's size; no part is cut off.
--figure also draws the pictures, up to 20, with their classes and their attention rollout.
A line on stderr says where a picture is far from those that the network was trained on: in grey for
colours, in colour for greys, or dark on light for light on dark (it is then inverted).
"""

import argparse
import json
import threading
from pathlib import Path

import numpy as np

from vitnp.common import command
from vitnp.common.progress import say
from vitnp.errors import Error
from vitnp.runs import checkpoint_options


def main(arguments):
    """Predict as the options say. Nothing is printed before all pictures are read."""
    options = parse(arguments)

    from vitnp.checkpoint import class_names
    from vitnp.parallel import lanes

    lanes.prepare_process()
    trained = checkpoint_options.load(options)
    if trained.config.classes is None:
        raise Error(f"{options.checkpoint} has no head, and so predicts no classes; give one with "
                    "a head, or fine-tune it with python -m vitnp.train --init-from")
    remarks = {}
    probabilities = probabilities_of(trained, options.images, remarks)
    likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :options.top]
    names = class_names.names_of(trained)
    predictions = [[(int(k), names[k], float(row[k])) for k in best]
                   for best, row in zip(likeliest, probabilities, strict=True)]
    for path in dict.fromkeys(options.images):
        if path in remarks:
            say(remarks[path])
    if options.figure:
        draw(trained, options, predictions)
    if options.json:
        print_json(options.images, predictions)
    else:
        print_table(options.images, predictions)
        if options.figure:
            print(options.figure)
    return 0


def parse(arguments):
    """Return the options, or raise Error for those that are not possible."""
    parser = command.Parser(prog="python -m vitnp.predict", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    checkpoint_options.add_options(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="file of a picture")
    parser.add_argument("--top", type=int, default=5, help="classes for each (default: 5)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--figure", metavar="PNG", help="file of a figure")
    options = parser.parse_args(arguments)
    command.check_counts(options, "top", "heads", "threads")
    if options.figure and Path(options.figure).suffix.lower() != ".png":
        raise Error(f"--figure is {options.figure}, but the figure is a PNG file; choose a name "
                    "that ends in .png")
    if options.figure and Path(options.figure).resolve() in (Path(image).resolve()
                                                             for image in options.images):
        raise Error(f"--figure is {options.figure}, which is one of the pictures; choose another "
                    "name")
    return options


def probabilities_of(trained, paths, remarks):
    """Return the probabilities (B, K) of the pictures in files, read as the lanes need them.

    They equal trained.probabilities(paths), but thousands of photographs need no more memory than
    a few, and one lane reads while another computes. remarks: gets path → sentence for pictures
    that are far from what the network was trained on.
    """
    from vitnp.backend import get_xp, to_device
    from vitnp.data import likeness
    from vitnp.parallel import lanes

    gamma, reading = trained.params["norm"]["gamma"], threading.Lock()

    def prepare(part):
        # Keeping Pillow's warnings quiet is for the whole process, and so for one thread at a time
        with reading:
            images = trained.preprocess.batch(part)
            remarks.update(likeness.remarks(part, images, trained.preprocess))
        return trained.preprocess.scale(to_device(images, get_xp(gamma)), gamma.dtype)

    with np.errstate(over="ignore", invalid="ignore"):
        logits = lanes.logits(paths, trained.params, trained.config, trained.ops, prepare,
                              threads=trained.threads)
    if not np.isfinite(logits).all():
        raise Error("the network's scores are infinite or not numbers; its weights are damaged")
    return trained.ops.softmax.forward(logits)[0]


def print_table(paths, predictions):
    """Print a line for each picture and class, the picture's name in the first of its lines."""
    rows = [("picture", "probability", "class")]
    for path, best in zip(paths, predictions, strict=True):
        # Not every name of a file can be printed
        words = [path.encode(errors="replace").decode()] + [""] * (len(best) - 1)
        rows += [(word, f"{100 * probability:.2f} %", name)
                 for word, (_, name, probability) in zip(words, best, strict=True)]
    width = max(len(row[0]) for row in rows)
    for word, probability, name in rows:
        print(f"{word:<{width}}  {probability:>11}  {name}")


def print_json(paths, predictions):
    """Print one list: for each picture its file and its likeliest classes."""
    print(json.dumps([
        {"file": path, "predictions": [{"class": k, "name": name, "probability": probability}
                                       for k, name, probability in best]}
        for path, best in zip(paths, predictions, strict=True)], indent=2))


def draw(trained, options, predictions):
    """Draw the first pictures with their predictions and their attention rollout."""
    from vitnp.analysis import interpret
    from vitnp.analysis.drawing import canvas, prediction_figure

    paths = options.images[:prediction_figure.MOST]
    if len(paths) < len(options.images):
        say(f"the figure shows the first {len(paths)} of {len(options.images)} pictures")
    rollouts = interpret.rollouts(trained, trained.preprocess.batch(paths))
    classes = [[(name, probability) for _, name, probability in best]
               for best in predictions[:len(paths)]]
    prediction_figure.draw([canvas.shown(path) for path in paths], rollouts, classes,
                           [Path(path).name for path in paths], options.figure,
                           f"Predictions: {checkpoint_options.title_of(options.checkpoint)}")


if __name__ == "__main__":
    command.run(main)
