"""Evaluate a checkpoint: accuracy, confusion matrix, worst mistakes.

    python -m vitnp.evaluate RUN [--part test|validation|train] [--which best|last] …
    python -m vitnp.evaluate CHECKPOINT --data NAME [--data-dir DIR] [--out DIR] …
    python -m vitnp.evaluate CHECKPOINT --few-shot 5,10,25 [--data NAME] …

Classes are matched by name where checkpoint and data both name them.

Prints accuracy, loss, top-5 accuracy, calibration error and speed, and for each label the share of
right answers and the predictions. Draws the confusion matrix as confusion.png and the most
confident mistakes as mistakes.png, in the folder of the run or that of --out. Pictures of another
part than test, or of the last checkpoint, have names that say so, such as
mistakes-validation-last.png.

With --few-shot, linear models are fitted to the features of so many training images of each class,
in five draws, and their accuracy on the part is printed. The classes may be new to the network.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

from vitnp import trained as shipped
from vitnp.common import command
from vitnp.common.files import refusing
from vitnp.errors import Error
from vitnp.runs import checkpoint_options

PARTS = ("test", "validation", "train")
MOST_COLUMNS = 20
DRAWS = 5               # of the images of --few-shot


def main(arguments):
    """Evaluate as the options say."""
    parser = command.Parser(prog="python -m vitnp.evaluate", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    checkpoint_options.add_options(parser)
    parser.set_defaults(which="best")
    parser.add_argument("--data", metavar="NAME", help="data set (default: that of the run)")
    parser.add_argument("--data-dir", metavar="DIR", help="where its files are")
    parser.add_argument("--part", default="test", help="test, validation or train (default: test)")
    parser.add_argument("--few-shot", metavar="N,…", help="images of each class to fit a linear "
                        "model to")
    parser.add_argument("--real", metavar="JSON", help="real.json of ImageNet-ReaL, to count a "
                        "prediction as right that is among its labels")
    parser.add_argument("--out", metavar="DIR", help="folder for the pictures (default: the run's)")
    parser.told_elsewhere = ("few_shot",)
    options = parser.parse_args(arguments)
    if options.part not in PARTS:
        raise Error(f"there is no part {options.part!r}; possible are {', '.join(PARTS)}")
    shots = counts_of(options.few_shot)

    from vitnp.parallel import lanes

    lanes.prepare_process()
    trained = checkpoint_options.load(options)
    dataset, title = data_of(options, trained)
    if shots:
        print_few_shot(trained, dataset, shots, options.part)
        return 0
    order, remark = order_of(trained, dataset, options.checkpoint)
    for path in score_part(trained, dataset, order, remark, title, options):
        print(path)
    return 0


def order_of(trained, dataset, checkpoint):
    """Return the model's number of each class of the data, and a remark or None; match by name."""
    from vitnp.checkpoint import class_names

    classes, names = trained.config.classes, dataset.class_names
    if trained.multi_label:
        raise Error(f"{checkpoint} has classes that do not exclude each other, but an accuracy is "
                    "of one class a picture; try its features with --few-shot")
    # Arrays without names have numbers in their place
    unnamed = (dataset.name == "arrays" and names != trained.class_names
               and names == tuple(map(str, range(len(names)))))
    differ = f"{checkpoint} has {classes or 'no'} classes, but {dataset.name} has {len(names)}"
    cure = ("fine-tune it with python -m vitnp.train --init-from, or try its features with "
            "--few-shot")
    if not classes or (unnamed and classes != len(names)):
        raise Error(f"{differ}; {cure}")
    try:
        return class_names.match_classes(trained, None if unnamed else names)
    except Error as error:
        what = f"{checkpoint} and {dataset.name}" if classes == len(names) else differ
        raise Error(f"{what}: {error}; {cure}") from None


def counts_of(text):
    """Return the numbers of a text such as "5,10,25", none of None, or raise Error."""
    counts = [] if text is None else checkpoint_options.whole_numbers(text)
    if counts is None or 0 in counts:
        raise Error(f"--few-shot is {text}; it must be numbers of images above 0, such as 5,10,25")
    return counts


def data_of(options, trained):
    """Return the Dataset to evaluate on, and a title for it and the checkpoint.

    Pictures keep the part that the run gave them, and it is said where that is not possible.
    """
    from vitnp import data
    from vitnp.common.progress import say
    from vitnp.data import fingerprint
    from vitnp.parallel import lanes
    from vitnp.runs import run_folder

    own, is_run = options.data is None, os.path.isfile(Path(options.checkpoint) / run_folder.CONFIG)
    if own and not is_run:
        raise Error(f"{options.checkpoint} is no run folder, which would tell what it was "
                    f"trained on; give a data set with --data: {', '.join(data.NAMES)}")
    kept = fingerprint.read(options.checkpoint) if is_run else None
    name, data_dir, title = options.data, options.data_dir, None
    if own:
        recipe = run_folder.read_recipe(options.checkpoint)
        name, data_dir, title = recipe.data, data_dir or recipe.data_dir, recipe.title
    old = own and kept is None and name in data.FOLDERS
    dataset = data.load(name, data_dir, trained.preprocess.size, lanes.cores(), trained.preprocess,
                        data.OLD if old else kept if own else None, evaluating=True)
    for note in dataset.notes:
        say(note)
    if kept and dataset.fingerprint and options.part != "train":
        seen = fingerprint.trained_on(kept, dataset.fingerprint, options.part)
        count = len(fingerprint.listed(dataset.fingerprint, (options.part,)))
        if seen:
            say(f"{len(seen):,} of the {count:,} pictures of the {options.part} part have the name "
                f"and size of pictures that {options.checkpoint} was trained on: its accuracy on "
                "them says little about others")
    return dataset, title or f"{checkpoint_options.title_of(options.checkpoint)}, {dataset.name}"


def part_of(dataset, part):
    """Return images, labels and which of them are "test", "validation" or "train"."""
    if part == "test":
        return dataset.test_images, dataset.test_labels, None
    training, validation = dataset.parts()
    indices = training if part == "train" else validation
    if not len(indices):
        raise Error(f"these pictures have no {part} part; choose another --part")
    return dataset.train_images, dataset.train_labels, indices


def score_part(trained, dataset, order, remark, title, options):
    """Print how good a model is on a part of the data, draw it, and return the pictures' paths.

    order: the model's class number of each class of the data.
    """
    from vitnp.analysis import evaluation
    from vitnp.analysis.drawing import sheets

    images, labels, indices = part_of(dataset, options.part)
    began = time.perf_counter()
    logits = evaluation.logits_of(trained, images, indices)[:, order]
    seconds = time.perf_counter() - began
    labels = labels if indices is None else labels[indices]
    score = evaluation.score_of(logits, labels)
    print(f"{options.part} accuracy {100 * score.accuracy:.2f} %, loss {score.loss:.4f}, "
          f"{score.confusion.sum():,} images")
    top5 = "" if score.top5 is None else f"top-5 accuracy {100 * score.top5:.2f} %, "
    print(f"{top5}calibration error {100 * score.calibration_error:.2f} %, "
          f"{len(labels) / seconds:,.0f} images/s")
    if remark:
        print(remark)
    print_confusion(score, dataset.class_names)
    if options.real:
        print_real(options, dataset, logits)
    if (options.data or shipped.holds(options.checkpoint)) and not options.out:
        return []                       # the folder of a run is for its own data
    folder = options.out or options.checkpoint
    with refusing(f"the folder {folder} cannot be made", "choose another --out"):
        os.makedirs(folder, exist_ok=True)
    title, ending = f"{title}, {options.part} part", ""
    if options.part != "test":
        ending += f"-{options.part}"
    if options.which != "best":
        title += f", {options.which} checkpoint"
        ending += f"-{options.which}"
    return sheets.draw_part(folder, title, images, labels, logits, dataset.class_names, indices,
                            ending)


def print_real(options, dataset, logits):
    """Print the accuracy by the labels of ImageNet-ReaL."""
    from vitnp.analysis import real_labels
    from vitnp.data import fingerprint

    names = list(fingerprint.listed(dataset.fingerprint, (options.part,))) if (
        dataset.fingerprint) else []
    share, count = real_labels.accuracy(real_labels.read(options.real), names,
                                        logits.argmax(axis=1), len(dataset.class_names))
    print(f"ReaL accuracy {100 * share:.2f} %, {count:,} images that have labels")


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


def print_few_shot(trained, dataset, shots, part):
    """Print the accuracy of linear models that saw few images of each class."""
    from vitnp.analysis import few_shot

    images, labels, indices = part_of(dataset, part)
    indices = np.arange(len(labels)) if indices is None else indices
    for result in few_shot.measure(trained, dataset, shots, images, labels, indices, DRAWS):
        found = 100 * result.accuracies
        print(f"{result.shots} images a class: {part} accuracy {found.mean():.2f} % (mean of "
              f"{len(found)} draws, {found.min():.2f} to {found.max():.2f} %)")


if __name__ == "__main__":
    command.run(main)
