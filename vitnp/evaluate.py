"""Evaluate a trained run.

    python -m vitnp.evaluate RUN [--part test|validation|train] [--which best|last] …

Prints accuracy, loss, top-5 accuracy, calibration error and speed, and for each label the share of
right answers and the predictions. Draws the confusion matrix as RUN/confusion.png and the most
confident mistakes as RUN/mistakes.png. Pictures of another part than test, or of the last
checkpoint, have names that say so, such as RUN/mistakes-validation-last.png.
"""

import argparse
import time
from dataclasses import replace

import numpy as np

from vitnp import command
from vitnp.errors import Error

PARTS = ("test", "validation", "train")
MOST_COLUMNS = 20


def main(arguments):
    """Evaluate as the options say."""
    parser = command.Parser(prog="python -m vitnp.evaluate", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", help="folder of a run")
    parser.add_argument("--part", default="test", help="test, validation or train (default: test)")
    parser.add_argument("--which", default="best", help="best or last checkpoint (default: best)")
    parser.add_argument("--data-dir", metavar="DIR", help="where the files are, if they moved")
    parser.add_argument("--device", default="cpu", help="cpu, gpu or auto (default: cpu)")
    parser.add_argument("--threads", type=int, help="threads on a CPU (default: one a core)")
    options = parser.parse_args(arguments)
    if options.part not in PARTS:
        raise Error(f"there is no part {options.part!r}; possible are {', '.join(PARTS)}")

    command.check_counts(options, "threads")

    from vitnp import data, evaluation, lanes, model, runs
    from vitnp.drawing import sheets

    lanes.prepare_process()
    settings = runs.read_recipe(options.run)
    trained = replace(model.load(options.run, options.which).to(options.device),
                      threads=options.threads or lanes.cores())
    dataset = data.load(settings.data, options.data_dir or settings.data_dir, settings.image_size,
                        lanes.cores())
    images, labels, indices = part_of(dataset, options.part)
    began = time.perf_counter()
    logits = evaluation.logits_of(trained, images, indices)
    seconds = time.perf_counter() - began
    labels = labels if indices is None else labels[indices]
    score = evaluation.score_of(logits, labels)
    print(f"{options.part} accuracy {100 * score.accuracy:.2f} %, loss {score.loss:.4f}, "
          f"{score.confusion.sum():,} images")
    top5 = "" if score.top5 is None else f"top-5 accuracy {100 * score.top5:.2f} %, "
    print(f"{top5}calibration error {100 * score.calibration_error:.2f} %, "
          f"{len(labels) / seconds:,.0f} images/s")
    print_confusion(score, dataset.class_names)
    title, ending = f"{settings.title}, {options.part} part", ""
    if options.part != "test":
        ending += f"-{options.part}"
    if options.which != "best":
        title += f", {options.which} checkpoint"
        ending += f"-{options.which}"
    for path in sheets.draw_part(options.run, title, images, labels, logits, dataset.class_names,
                                 indices, ending):
        print(path)
    return 0


def part_of(dataset, part):
    """Return images, labels and which of them are "test", "validation" or "train"."""
    if part == "test":
        return dataset.test_images, dataset.test_labels, None
    from vitnp.data import split_validation

    training, validation = split_validation(dataset.train_labels)
    indices = training if part == "train" else validation
    return dataset.train_images, dataset.train_labels, indices


def print_confusion(score, names):
    """Print the share of right answers for each label, and for up to 20 of them the predictions."""
    counts = score.confusion if len(names) <= MOST_COLUMNS else score.confusion[:, :0]
    width = max(len(str(score.confusion.max())), *(len(name) for name in names)) + 1
    print("label".ljust(width + 5) + "right".rjust(7) + "".join(
        name.rjust(width) for name in names[:counts.shape[1]]))
    for name, row, share in zip(names, counts, score.class_accuracies, strict=True):
        right = "-" if np.isnan(share) else f"{100 * share:.1f} %"
        print(name.ljust(width + 5) + right.rjust(7)
              + "".join(str(count).rjust(width) for count in row))


if __name__ == "__main__":
    command.run(main)
