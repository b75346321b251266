"""Train without labels: masked patch prediction.

    python -m vitnp.pretrain [--data NAME --data-dir DIR] [--model mini/4] [--epochs 20] …
    python -m vitnp.pretrain --resume RUN
    mpiexec -n 4 python -m vitnp.pretrain …
    python -m vitnp.train --preset finetune --init-from RUN …

Half of the patches are corrupted, and the network learns to predict their mean colours, as in the
paper's appendix B.1.2. A run goes to the first free folder of runs/, whose name is the last line
printed. Ctrl-C and SIGTERM finish the step and save; --resume goes on from there. The run is
fine-tuned like any checkpoint, and python -m vitnp.evaluate RUN --few-shot 5,10 tries its features.
"""

import argparse

from vitnp.common import command
from vitnp.data import FOLDERS
from vitnp.runs import choices, recipe

# What needs labels, or a network to start from
WITHOUT = ("init_from", "heads", "tune", "layer_decay", "stem", "mixup", "cutmix",
           "label_smoothing", "balance", "best")
DEFAULTS = {"label_smoothing": 0.0, "rotate": 0.0, "rescale": 0.0, "learning_rate": 1e-3,
            "epochs": 20, "warmup_epochs": 1}
SIZES = ("image_size", "model", "batch_size", "crop_padding", "resized_crop", "flip", "scale")


def main(arguments):
    """Train as the options say, and print the validation's result and the run's folder."""
    parser = command.Parser(prog="python -m vitnp.pretrain", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    recipe.add_options(parser, WITHOUT, DEFAULTS)
    parser.add_argument("--out", metavar="DIR", help="new or empty folder for the run")
    parser.add_argument("--resume", metavar="RUN", help="folder of a run that is to go on; only "
                        f"{recipe.names_of_options(recipe.MAY_CHANGE)} may be given with it")
    options = vars(parser.parse_args(arguments))
    folder = options.pop("resume")
    given = recipe.changes(options) if folder else wanted(options)

    from vitnp.parallel import lanes, ranks
    from vitnp.runs import run_folder
    from vitnp.training import loop, masked_patches

    lanes.prepare_process()
    how = {"objective": masked_patches, "world": ranks.world()}
    if folder:
        folder, _, _ = loop.resume(folder, given, **how)
    else:
        folder, _, _ = loop.train(given, options["out"], **how)
    last = run_folder.read_metrics(folder)[-1]
    print(f"validation: {100 * last['validation_accuracy']:.2f} % of the corrupted patches have "
          f"the right colour, loss {last['validation_loss']:.4f}")
    print(folder)
    return 0


def wanted(options):
    """Return the Recipe of parsed options; for a folder of pictures, with sizes that fit them."""
    defaults = DEFAULTS
    if options["data"] in FOLDERS:
        chosen = choices.defaults(None, options | {"init_from": None, "stem": None})
        defaults = DEFAULTS | {name: chosen[name] for name in SIZES if name in chosen}
    found = recipe.from_options(options, defaults)
    recipe.check_effect(found, [name for name, value in options.items() if value is not None])
    return found


if __name__ == "__main__":
    command.run(main)
