"""Train a Vision Transformer, from random or published weights.

    python -m vitnp.train [--preset NAME] [--data NAME --data-dir DIR] [--model tiny/4] …
    python -m vitnp.train --resume RUN

Without options: a small ViT on 8 x 8 digits, in under a minute on two cores. A run goes to the
first free folder of runs/, whose name is the last line printed. Ctrl-C, SIGTERM, SIGHUP and SIGUSR1
finish the step and save; --resume goes on from there, or from the last checkpoint of a run that was
killed. SIGUSR2 saves and goes on.
"""

import argparse
from dataclasses import replace
from statistics import mean, stdev

from vitnp.common import command
from vitnp.errors import Error
from vitnp.runs import checkpoint_options, choices, presets, recipe

OF_WEIGHTS = ("model", "stem", "pooling", "positions", "position_start", "scale", "gelu")


def main(arguments):
    """Train as the options say, and print the results and the run's folder."""
    parser = command.Parser(prog="python -m vitnp.train", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", metavar="NAME",
                        help=f"measured recipe, which options may change: {presets.described()}")
    recipe.add_options(parser)
    parser.add_argument("--out", metavar="DIR", help="new or empty folder for the run")
    parser.add_argument("--resume", metavar="RUN", help="folder of a run that is to go on; only "
                        f"{recipe.names_of_options(recipe.MAY_CHANGE)} may be given with it")
    parser.add_argument("--seeds", metavar="N,…", help="train a run for each of these seeds, and "
                        "end with the mean and the spread of their test accuracies")
    options = vars(parser.parse_args(arguments))
    preset, folder, seeds = (options.pop(name) for name in ("preset", "resume", "seeds"))
    if folder and seeds is None:
        return resume(folder, preset, options)
    return start(preset, options, seeds_of(seeds, options, folder))


def seeds_of(text, options, folder):
    """Return the seeds in a text such as "0,1,2", None of None, or raise Error."""
    if text is None:
        return None
    seeds = checkpoint_options.whole_numbers(text)
    if not seeds or len(set(seeds)) != len(seeds):
        raise Error(f"--seeds is {text}; it must be different whole numbers, such as 0,1,2")
    if folder or options["seed"] is not None:
        raise Error("--seeds cannot be given with --seed or --resume: it is for new runs")
    return seeds


def start(preset, options, seeds=None):
    """Train a new run, or one for each seed; preset: its name, or None."""
    doubled = [name for name in OF_WEIGHTS if options[name] is not None]
    if options["init_from"] is not None and doubled:
        raise Error(f"{recipe.names_of_options(doubled)} cannot be given with --init-from: they "
                    "are those of the weights")
    from vitnp.parallel import lanes
    from vitnp.training import loop

    wanted = recipe.from_options(options, choices.defaults(preset, options))
    presets.check(preset, wanted)
    recipe.check_effect(wanted, [name for name in options if options[name] is not None])
    lanes.prepare_process()
    accuracies = []
    for seed in seeds or [wanted.seed]:
        out = options["out"]
        folder, _, score = loop.train(replace(wanted, seed=seed),
                                      out and seeds and f"{out}-{seed}" or out)
        report(folder, score.loss, score.accuracy, score.confusion.sum())
        accuracies.append(100 * score.accuracy)
    if seeds:
        spread = f", standard deviation {stdev(accuracies):.2f}" if len(seeds) > 1 else ""
        print(f"{len(seeds)} seeds: test accuracy {mean(accuracies):.2f} % (mean), from "
              f"{min(accuracies):.2f} to {max(accuracies):.2f} %{spread}")
    return 0


def resume(folder, preset, options):
    """Go on with a run, or say that it is finished."""
    given = recipe.changes(options, preset)
    from vitnp.common.progress import say
    from vitnp.parallel import lanes
    from vitnp.training import loop, saving

    record = saving.result_of(folder)
    if record:
        say(f"{folder} is finished; to train further, start another run")
        report(folder, record["test_loss"], record["test_accuracy"], record["test_images"])
        return 0
    lanes.prepare_process()
    folder, _, score = loop.resume(folder, given)
    report(folder, score.loss, score.accuracy, score.confusion.sum())
    return 0


def report(folder, loss, accuracy, images):
    """Print the test's result, and last the folder."""
    print(f"test accuracy {100 * accuracy:.2f} %, loss {loss:.4f}, {images:,} images")
    print(folder)


if __name__ == "__main__":
    command.run(main)
