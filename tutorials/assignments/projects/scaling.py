"""Vary one size of a network, or the share of the training images, and measure what it brings.

    python -m tutorials.assignments.projects.scaling width 16 32 64 --epochs 30 --seeds 2

FACTOR is depth, width, heads, patch-size or share (of the training images, from 0 to 1); all else
is as the options of vitnp.train say, by default tiny/4 on the digits. Each VALUE is trained with
each seed. The table is printed and written to DIR/scaling.csv, beside a run folder for each row.
"""

import argparse
import csv
import dataclasses
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from vitnp import vit
from vitnp.bench import operations
from vitnp.common import command
from vitnp.common.files import replacing
from vitnp.common.randomness import generator
from vitnp.errors import Error
from vitnp.layers import textbook
from vitnp.parallel import lanes
from vitnp.runs import recipe, run_folder
from vitnp.training import labels, loop, run_data
from vitnp.training.saving import Standing

FACTORS = ("depth", "width", "heads", "patch-size", "share")


@dataclass(frozen=True)
class Row:
    """What one training brought.

    operations: of one image's forward pass, two for each multiply-add of a matrix product;
    images_per_second: of training, the median over the epochs; validation: the best accuracy on
    the held-out images, the one to choose by; test: that of the same weights on the test part.
    """

    factor: str
    value: float
    seed: int
    training_images: int
    parameters: int
    operations: int
    images_per_second: float
    validation: float
    test: float


def main(arguments):
    """Train every value with every seed, and print and write the table."""
    parser = command.Parser(prog="python -m tutorials.assignments.projects.scaling",
                            description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("factor", metavar="FACTOR", choices=FACTORS, help=", ".join(FACTORS))
    parser.add_argument("values", metavar="VALUE", nargs="+", type=float)
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each value (default: 1)")
    parser.add_argument("--out", metavar="DIR", default="scaling",
                        help="new or empty folder (default: scaling)")
    recipe.add_options(parser)
    options = vars(parser.parse_args(arguments))
    factor, values, count, out = (options.pop(name)
                                  for name in ("factor", "values", "seeds", "out"))
    if count < 1:
        raise Error(f"--seeds is {count}; it must be a whole number of at least 1")
    if options["init_from"] is not None:
        raise Error("a study trains every network from the start; leave out --init-from")
    base = recipe.from_options(options)
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Error(f"{out} is there already; choose another --out")
    plan = [(value, replace(base, seed=base.seed + i)) for value in values for i in range(count)]
    for value in values:
        prepare(base, factor, value)            # an impossible value is told before hours are spent
    lanes.prepare_process()
    rows = []
    for value, one in plan:
        rows.append(train(one, factor, value, out / f"{factor}-{value:g}-seed-{one.seed}"))
        write(out / "scaling.csv", rows)        # what is done is kept, whatever comes
    show(rows)
    print(out / "scaling.csv")
    return 0


def prepare(wanted, factor, value):
    """Return the Run and State of a recipe with one size changed, before the first step."""
    dataset = run_data.load(wanted)
    config, preprocess = wanted.configure(dataset)
    share = 1.0
    if factor == "share":
        share = value
        if not 0 < share <= 1:
            raise Error(f"the share is {share:g}; it must be above 0, at most 1")
    else:
        if value != int(value):
            raise Error(f"{factor} is {value:g}; it must be a whole number")
        changes = {factor.replace("-", "_"): int(value)}
        if factor == "width":                   # the MLP keeps its proportion
            changes["mlp_width"] = int(value) * config.mlp_width // config.width
        config = replace(config, **changes)
    flat = vit.init(config, generator(wanted.seed, "init"))
    run, state = loop.assemble(wanted, dataset, config, preprocess, flat, textbook, labels, None)
    # The order is shuffled already; validation and test stay the same for all shares
    kept = max(round(share * len(run.training)), 1)
    return replace(run, training=run.training[:kept]), state


def train(wanted, factor, value, folder):
    """Train one network to its end and return its Row."""
    run, state = prepare(wanted, factor, value)
    facts = (run.trained.config, run.recipe, run.trained.preprocess)
    run_folder.create(folder, wanted.data, *map(dataclasses.asdict, facts))
    with run_folder.locked(folder):
        _, _, score = loop.fit(replace(run, folder=folder), state, Standing())
    epochs = [record for record in run_folder.read_metrics(folder) if "images_per_second" in record]
    speeds = sorted(record["images_per_second"] for record in epochs)
    validation = max(record.get("validation_accuracy", 0.0) for record in epochs)
    return Row(factor, value, wanted.seed, len(run.training), state.params.size,
               operations.count(run.trained.config, 1, "predict"), speeds[len(speeds) // 2],
               validation, score.accuracy)


def write(path, rows):
    """Write the rows as a CSV file."""
    names = [field.name for field in dataclasses.fields(Row)]
    with replacing(path) as aside, open(aside, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(dataclasses.astuple(row) for row in rows)


def show(rows):
    """Print the rows as a table."""
    print(f"{rows[0].factor:>10} {'seed':>4} {'images':>7} {'parameters':>11} {'MFLOP':>8} "
          f"{'images/s':>9} {'validation':>10} {'test':>7}")
    for row in rows:
        print(f"{row.value:>10g} {row.seed:>4} {row.training_images:>7,} {row.parameters:>11,} "
              f"{row.operations / 1e6:>8.2f} {row.images_per_second:>9,.0f} "
              f"{100 * row.validation:>8.2f} % {100 * row.test:>5.2f} %")
    sys.stdout.flush()


if __name__ == "__main__":
    command.run(main)
