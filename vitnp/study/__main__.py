"""Run one of the paper's experiments at the size of a laptop.

    python -m vitnp.study NAME [--small] [--data-dir DIR] [--out DIR] [--device gpu]
    mpiexec -n 4 python -m vitnp.study NAME …

NAME is data-size, scaling, positions, transfer or bias. Each run that has finished is a line of
results.jsonl in the folder of --out, by default studies/NAME, and figure.png is drawn from these
lines. Called again, the study goes on where it was stopped. All is written into this folder; only
bias without --out takes the networks of data-size from studies/data-size, or trains them there.
--small is a form of a minute, on the digits, to see whether all works. mpiexec deals the runs to
its processes, each of which needs memory and cores (--threads) for a run of its own; --out must be
a folder that all of them see.
"""

import argparse
import importlib
import json
from dataclasses import replace
from pathlib import Path

from vitnp.common import command
from vitnp.common.files import making
from vitnp.errors import Error

NAMES = ("data-size", "scaling", "positions", "transfer", "bias")


def main(arguments):
    """Take the runs that are missing, and draw the figure."""
    parser = command.Parser(prog="python -m vitnp.study", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--small", action="store_true", help="a form of a minute, on the digits")
    parser.add_argument("--data-dir", metavar="DIR", help="folder with a folder for each data set, "
                        "such as DIR/fashion-mnist (default: where vitnp.data fetch puts them)")
    parser.add_argument("--out", metavar="DIR", help="folder of the study (default: studies/NAME)")
    parser.add_argument("--device", default="cpu", help="cpu, gpu or auto (default: cpu)")
    parser.add_argument("--threads", type=int, help="threads of a run (default: one a core)")
    options = parser.parse_args(arguments)
    command.check_counts(options, "threads")
    if options.name not in NAMES:
        raise Error(f"there is no study {options.name!r}; possible are {', '.join(NAMES)}")

    from vitnp.parallel import lanes, ranks

    lanes.prepare_process()
    world, how = ranks.world(), {"device": options.device, "threads": options.threads}
    study = importlib.import_module(f"vitnp.study.{options.name.replace('-', '_')}")
    folder = Path(options.out or f"studies/{options.name}{'-small' * options.small}")
    beside = folder if options.out else folder.parent
    settings = [with_data(setting, options.data_dir, folder, how)
                for setting in study.settings(options.small)]
    with making(folder, "choose another --out"):
        if hasattr(study, "prepare"):
            source = with_data(study.source(options.small), options.data_dir, folder, how)
            ranks.first(world, study.prepare, folder, source)
        ranks.first(world, gather, folder)
        done = ranks.first(world, read, folder)
        missing = [setting for setting in settings
                   if not any(setting.facts.items() <= record.items() for record in done)]
        take(study, dealt(missing, world), folder, beside, world)
    ranks.first(world, draw, study, folder)
    print(folder / "figure.png")
    return 0


def draw(study, folder):
    """Draw the figure of what is there."""
    study.draw(read(folder), folder / "figure.png")


def dealt(settings, world):
    """Return the settings that this process takes; those that start from one run stay together."""
    if world is None:
        return settings
    groups = {}
    for setting in settings:
        groups.setdefault((setting.origin or setting).name, []).append(setting)
    return [setting for group in list(groups.values())[world.rank::world.size]
            for setting in group]


def with_data(setting, data_dir, folder, how=None):
    """Return a setting whose recipes, its origin's too, name the place of their data.

    That is a folder in data_dir; for a file that the study made of them, the study's folder.
    how: other fields of the recipes, such as device and threads.
    """
    if setting is None:
        return None
    name, place = setting.recipe.data, setting.recipe.data_dir
    if name == "npz":
        place = str(folder / place)
    elif data_dir is not None and name != "digits":
        place = str(Path(data_dir) / name)
    return replace(setting, recipe=replace(setting.recipe, data_dir=place, **how or {}),
                   origin=with_data(setting.origin, data_dir, folder, how))


def take(study, settings, folder, beside, world):
    """Take runs, and write their lines to results.jsonl; other ranks have a file each till then.

    beside: where the folders of other studies are, whose runs this one needs.
    """
    from vitnp.common import progress
    from vitnp.study.settings import train

    path = folder / (f"results-{world.rank}.jsonl" if world and world.rank else "results.jsonl")
    for number, setting in enumerate(settings, start=1):
        progress.say(f"run {number} of {len(settings)}: {setting.name}")
        place = train(setting, beside / setting.study if setting.study else folder)
        records = study.records_of(setting, place)
        with open(path, "a") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
    if world:
        world.agree(0)                          # all are here
        world.first(lambda: gather(folder))


def gather(folder):
    """Move the lines of other ranks to results.jsonl; after a stop there may be some of either."""
    for path in sorted(Path(folder).glob("results-*.jsonl")):
        with open(Path(folder) / "results.jsonl", "a") as file:
            file.write(path.read_text())
        path.unlink()


def read(folder):
    """Return the records of results.jsonl, a list of dicts."""
    path = Path(folder) / "results.jsonl"
    try:
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    except ValueError:
        raise Error(f"{path} is damaged: a line of it is no JSON; delete this line") from None


if __name__ == "__main__":
    command.run(main)
