"""Train the digits ViT on a student's own layers."""

import importlib.util
import sys
import traceback
from dataclasses import fields, replace
from pathlib import Path

from tutorials.assignments import checking, tasks
from vitnp.errors import Error
from vitnp.layers import Ops, textbook
from vitnp.runs.recipe import Recipe

LAYERS = {field.name for field in fields(Ops)}


def add_parser(words):
    """Add the word `train`."""
    parser = words.add_parser("train", help="train the digits ViT on your own layers", description=(
        "Train the digits ViT on the layers of yours that pass their check; the others are the "
        "library's. Your code runs in this process, without the limits of `check`."))
    parser.add_argument("folder", metavar="DIR", help="your folder")
    parser.add_argument("--device", default="cpu", help="cpu, gpu or auto (default: cpu)")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs,
                        help=f"passes over the training images (default: {Recipe.epochs})")
    parser.add_argument("--out", metavar="DIR", help="new or empty folder for the run")
    parser.set_defaults(main=main)


def main(options):
    """Check the folder, print whose each layer is, and train."""
    from vitnp.parallel import lanes
    from vitnp.training import loop

    recipe = Recipe(device=options.device, epochs=options.epochs)
    mine = passed_modules(checking.read_folder(options.folder))
    for task in tasks.TASKS:
        for module in task.modules:
            if tasks.stem(module) in LAYERS:
                whose = "yours" if module in mine else "the library's"
                print(f"{tasks.stem(module):<24}{whose}", flush=True)
    print(f"{'all else':<24}the library's, the optimiser and the positions too", flush=True)
    if not mine:
        raise Error("no layer of yours passes yet; see what `check` says of them")
    lanes.prepare_process()
    ops = replace(textbook, **{tasks.stem(module): load(Path(options.folder), module)
                               for module in mine})
    folder, _, score = guarded(lambda: loop.train(recipe, options.out, ops), options.folder)
    print(f"test accuracy {100 * score.accuracy:.2f} %, with {len(mine)} layers of yours")
    print(folder)
    return 0


def passed_modules(sources):
    """Return the modules of layers that pass their check, such as "layers.linear"."""
    passed = []
    for task in tasks.TASKS:
        report = checking.check_task(task.name, sources)
        for module in task.modules:
            own = [verdict.passed for verdict in report.verdicts
                   if verdict.function.partition(":")[0] == tasks.stem(module)]
            if tasks.stem(module) in LAYERS and own and all(own):
                passed.append(module)
    return passed


def load(folder, module):
    """Return a student's file as a module."""
    path = folder / f"{tasks.stem(module)}.py"
    spec = importlib.util.spec_from_file_location(f"student_{tasks.stem(module)}", path)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def guarded(train, folder):
    """Return train(); an exception out of a file in the folder becomes an Error with its line."""
    try:
        return train()
    except Error:
        raise
    except Exception as error:
        inside = [frame for frame in traceback.extract_tb(error.__traceback__)
                  if Path(frame.filename).resolve().parent == Path(folder).resolve()]
        if not inside:
            raise
        raise Error(f"{Path(inside[-1].filename).name}, line {inside[-1].lineno}: "
                    f"{type(error).__name__}: {error}; on a GPU, take the library of an array from "
                    "vitnp.backend.get_xp") from error
