"""Train a Vision Transformer.

    python -m vitnp.train [--data NAME --data-dir DIR] [--model tiny/4] [--epochs 120] …

Without options: a small ViT on 8 x 8 digits, in under a minute on two cores. A run goes to the
first free folder of runs/, whose name is the last line printed.
"""

import argparse

from vitnp import command, recipe


def main(arguments):
    """Train as the options say, and print the results and the run's folder."""
    parser = command.Parser(prog="python -m vitnp.train", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    recipe.add_options(parser)
    parser.add_argument("--out", metavar="DIR", help="new or empty folder for the run")
    options = vars(parser.parse_args(arguments))

    from vitnp import lanes, training

    lanes.prepare_process()
    folder, _, score = training.train(recipe.from_options(options), options["out"])
    print(f"test accuracy {100 * score.accuracy:.2f} %, loss {score.loss:.4f}, "
          f"{score.confusion.sum():,} images")
    print(folder)
    return 0


if __name__ == "__main__":
    command.run(main)
