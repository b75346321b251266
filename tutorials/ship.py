"""Make of a finished run a network that comes along with the package.

    python -m tutorials.ship RUN NAME [--processor TEXT] [--out vitnp/trained]

The folder NAME gets the run's best weights in 16 bits, its config.json without the place of the
data, its metrics.jsonl, and a README.md with the command, the accuracy, the time and the licence.
The accuracy with 16 bits is measured again, on the same test part; the data must be there.
"""

import argparse
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np

from vitnp import data, model, params
from vitnp.analysis import evaluation
from vitnp.checkpoint import locate, native
from vitnp.common import command
from vitnp.common.files import making
from vitnp.data.sources import SOURCES
from vitnp.errors import Error
from vitnp.parallel import lanes
from vitnp.runs import presets, run_folder
from vitnp.runs.recipe import Recipe
from vitnp.training import saving

TRAINED = Path(__file__).parents[1] / "vitnp" / "trained"
LICENCES = {"digits": "CC BY 4.0, E. Alpaydin and C. Kaynak"} | {
    name: source.licence for name, source in SOURCES.items()}
ABOUT = """# {name}

A Vision Transformer, {model}, with {parameters:,} parameters:

    {command}

- Test accuracy: {accuracy:.2f} % of {images:,} images; with weights of 32 bits {before:.2f} %.
  The test part was used once, for the epoch that validation chose, {epoch} of {epochs}.
- Training time: {minutes}, on {processor}.
- Licence: MIT, as vitnp. The weights were learned from {data}: {licence}.
"""
NO_INFLUENCE = {"data_dir", "device", "threads", "workers", "ops", "micro_batch"}


def main(arguments):
    """Make the folder and print its path."""
    parser = command.Parser(prog="python -m tutorials.ship", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", help="folder of a finished run")
    parser.add_argument("name", metavar="NAME", help="what vitnp.load is to call it")
    parser.add_argument("--processor", metavar="TEXT", default="an unknown processor",
                        help="what the run was trained on, for the README.md")
    parser.add_argument("--out", metavar="DIR", default=TRAINED, type=Path)
    options = parser.parse_args(arguments)
    print(ship(Path(options.run), options.out / options.name, options.processor))
    return 0


def ship(run, folder, processor):
    """Write the folder of a network that comes along, from that of a run; return it."""
    tested = saving.result_of(run)
    if tested is None:
        raise Error(f"{run} is not finished; go on with python -m vitnp.train --resume {run}")
    recipe, trained = run_folder.read_recipe(run), model.load(run, "best")
    dataset = data.load(recipe.data, recipe.data_dir, recipe.image_size)
    config = run_folder.read_config(run)
    # Where the data lay is nobody else's business
    config["recipe"] |= dict.fromkeys(("data_dir", "threads", "workers"))
    halves = {f"params/{path}": tensor.astype(np.float16)
              for path, tensor in params.flatten(trained.params).items()}
    with making(folder, "choose another --out"):
        native.save(folder / locate.BEST, halves, trained.facts())
        (folder / run_folder.CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        shutil.copyfile(run / run_folder.METRICS, folder / run_folder.METRICS)
        shipped = dataclasses.replace(model.load(folder, "best"), threads=lanes.cores())
        score = evaluation.score(shipped, dataset.test_images, dataset.test_labels)
        (folder / "README.md").write_text(about(folder.name, run, recipe, trained, tested, score,
                                                processor))
    return folder


def about(name, run, recipe, trained, tested, score, processor):
    """Return the text of README.md."""
    epochs = [record for record in run_folder.read_metrics(run) if "epoch" in record]
    minutes, seconds = divmod(round(sum(record["seconds"] for record in epochs)), 60)
    return ABOUT.format(
        name=name, model=recipe.model, command=command_of(recipe), processor=processor,
        parameters=sum(tensor.size for tensor in params.flatten(trained.params).values()),
        accuracy=100 * score.accuracy, before=100 * tested["test_accuracy"],
        images=tested["test_images"], epoch=tested["best_epoch"], epochs=len(epochs),
        minutes=f"{minutes} min {seconds} s", data=recipe.data, licence=LICENCES[recipe.data])


def command_of(recipe):
    """Return the shortest command that trains a recipe: of a preset's, only what differs."""
    wanted = dataclasses.asdict(recipe)

    def differing(base):
        return {name: value for name, value in wanted.items()
                if name not in NO_INFLUENCE and value != base[name]}

    bases = {f" --preset {name}": dataclasses.asdict(Recipe(**presets.find(name)))
             for name in presets.PRESETS} | {"": dataclasses.asdict(Recipe())}
    start = min(reversed(bases), key=lambda name: len(differing(bases[name])))
    words = [f"--{name.replace('_', '-')} {value}"
             for name, value in differing(bases[start]).items()]
    return " ".join([f"python -m vitnp.train{start}", *words])


if __name__ == "__main__":
    command.run(main)
