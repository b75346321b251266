"""The options with which commands name a checkpoint, and the Model that they stand for."""

import os
from dataclasses import replace
from pathlib import Path

from vitnp import trained
from vitnp.common import command
from vitnp.data.preprocess import RESAMPLE
from vitnp.errors import Error


def add_options(parser):
    """Add the checkpoint and what belongs to it to a parser."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=named,
                        help="folder of a run, a file, the name of a network that comes along "
                        f"({', '.join(trained.names())}), or a name on the Hugging Face hub, such "
                        "as google/vit-base-patch16-224")
    parser.add_argument("--which", help="best or last checkpoint of a run (default: best)")
    parser.add_argument("--heads", type=int, help="attention heads, where the file does not say it")
    parser.add_argument("--image-size", metavar="SIDE", help="side in pixels, or HEIGHT,WIDTH, of "
                        "the network's images, where the file does not say it")
    parser.add_argument("--mean", metavar="N,…", help="mean of the images' channels, from 0 to 1, "
                        "where no file beside the weights says it")
    parser.add_argument("--std", metavar="N,…", help="their standard deviation, likewise")
    parser.add_argument("--resample", metavar="NAME", help="filter with which pictures are "
                        f"resized, likewise: {', '.join(RESAMPLE)}")
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
    mean, std = numbers("--mean", options.mean), numbers("--std", options.std)

    from vitnp import model
    from vitnp.checkpoint import hub, locate
    from vitnp.parallel import lanes

    place = hub.local(options.checkpoint)
    which = options.which or locate.best_or_last(place)
    loaded = model.load(place, which, options.heads, size, mean, std,
                        options.resample).to(options.device)
    return replace(loaded, threads=options.threads or lanes.cores())


def image_size(text):
    """Return (height, width) of a text such as "224" or "128,64", and None of None."""
    if text is None:
        return None
    sides = whole_numbers(text)
    if sides is None or len(sides) > 2 or min(sides) < 1:
        raise Error(f"--image-size is {text}; it must be a side in pixels, or HEIGHT,WIDTH, such "
                    "as 128,64")
    return (sides[0], sides[-1])


def numbers(name, text):
    """Return the numbers of a text such as "0.5,0.4,0.4", and None of None."""
    if text is None:
        return None
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise Error(f"{name} is {text}; it must be a number for each channel, such as "
                    "0.485,0.456,0.406, or one for all") from None


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
