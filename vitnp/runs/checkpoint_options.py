"""The options with which commands name a checkpoint, and the Model that they stand for."""

import os
from dataclasses import replace
from pathlib import Path

from vitnp import trained
from vitnp.common import command
from vitnp.errors import Error


def add_options(parser):
    """Add the checkpoint and what belongs to it to a parser."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=named,
                        help="folder of a run, a file, or the name of a network that comes along: "
                        f"{', '.join(trained.names())}")
    parser.add_argument("--which", help="best or last checkpoint of a run (default: best)")
    parser.add_argument("--heads", type=int, help="attention heads, where the file does not say it")
    parser.add_argument("--image-size", metavar="SIDE", help="side in pixels, or HEIGHT,WIDTH, of "
                        "the network's images, where the file does not say it")
    parser.add_argument("--device", default="cpu", help="cpu, gpu or auto (default: cpu)")
    parser.add_argument("--threads", type=int, help="threads on a CPU (default: one a core)")


def named(text):
    """Return the path that a checkpoint's name stands for, and say so where it may be another."""
    from vitnp.checkpoint import locate
    from vitnp.common.progress import say

    path = str(locate.named(text))
    if path == text and text in trained.names():
        say(f"{text} is a file or folder here; it is taken, and not the network of that name that "
            f"comes along; that one is {trained.HERE / text}")
    return path


def load(options):
    """Return the Model of parsed options; a run's best checkpoint where there is one.

    Raises Error for options that are not possible, and see vitnp.load.
    """
    command.check_counts(options, "heads", "threads")
    size = image_size(options.image_size)

    from vitnp import model
    from vitnp.checkpoint import locate
    from vitnp.parallel import lanes

    which = options.which or locate.best_or_last(options.checkpoint)
    loaded = model.load(options.checkpoint, which, options.heads, size).to(options.device)
    return replace(loaded, threads=options.threads or lanes.cores())


def check_channels(checkpoint, trained, dataset):
    """Raise Error where a data set is in grey and the network takes colours, or the other way."""
    words = {1: "grey", 3: "colour"}
    taken, found = trained.preprocess.shape[-1], dataset.train_images.shape[-1]
    if taken != found:
        raise Error(f"{checkpoint} takes images of {taken} channels ({words.get(taken, 'others')}),"
                    f" but those of {dataset.name} have {found} ({words.get(found, 'others')}); "
                    "choose another --data")


def image_size(text):
    """Return (height, width) of a text such as "224" or "128,64", and None of None."""
    if text is None:
        return None
    sides = whole_numbers(text)
    if sides is None or len(sides) > 2 or min(sides) < 1:
        raise Error(f"--image-size is {text}; it must be a side in pixels, or HEIGHT,WIDTH, such "
                    "as 128,64")
    return (sides[0], sides[-1])


def whole_numbers(text):
    """Return the whole numbers in a text such as "3,4", or None where it holds others."""
    words = text.split(",")
    return [int(word) for word in words] if all(map(str.isdecimal, words)) else None


def title_of(path):
    """Return what figures call a checkpoint: model and data of a run, else the file's name."""
    from vitnp.checkpoint import locate
    from vitnp.runs import run_folder

    if locate.is_run(path) and os.path.isfile(Path(path) / run_folder.CONFIG):
        return run_folder.read_recipe(path).title
    return Path(path).resolve().name
