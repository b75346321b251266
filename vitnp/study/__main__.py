"""Run one of the paper's experiments at the size of a laptop.

    python -m vitnp.study NAME [--small] [--data-dir DIR] [--out DIR]

NAME is data-size, scaling, positions, transfer or bias. Each run that has finished is a line of
results.jsonl in the folder of --out, by default studies/NAME, and figure.png is drawn from these
lines. Called again, the study goes on where it was stopped. All is written into this folder; only
bias without --out takes the networks of data-size from studies/data-size, or trains them there.
--small is a form of a minute, on the digits, to see whether all works.
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
    options = parser.parse_args(arguments)
    if options.name not in NAMES:
        raise Error(f"there is no study {options.name!r}; possible are {', '.join(NAMES)}")

    from vitnp.parallel import lanes

    lanes.prepare_process()
    study = importlib.import_module(f"vitnp.study.{options.name.replace('-', '_')}")
    folder = Path(options.out or f"studies/{options.name}{'-small' * options.small}")
    beside = folder if options.out else folder.parent
    settings = [with_data(setting, options.data_dir, folder)
                for setting in study.settings(options.small)]
    with making(folder, "choose another --out"):
        if hasattr(study, "prepare"):
            study.prepare(folder, with_data(study.source(options.small), options.data_dir, folder))
        take(study, settings, folder, beside)
    study.draw(read(folder), folder / "figure.png")
    print(folder / "figure.png")
    return 0


def with_data(setting, data_dir, folder):
    """Return a setting whose recipes, its origin's too, name the place of their data.

    That is a folder in data_dir; for a file that the study made of them, the study's folder.
    """
    if setting is None:
        return None
    name, place = setting.recipe.data, setting.recipe.data_dir
    if name == "npz":
        place = str(folder / place)
    elif data_dir is not None and name != "digits":
        place = str(Path(data_dir) / name)
    return replace(setting, recipe=replace(setting.recipe, data_dir=place),
                   origin=with_data(setting.origin, data_dir, folder))


def take(study, settings, folder, beside):
    """Take the runs that have no line in results.jsonl yet, and write their lines.

    beside: where the folders of other studies are, whose runs this one needs.
    """
    from vitnp.common import progress
    from vitnp.study.settings import train

    done = read(folder)
    for number, setting in enumerate(settings, start=1):
        if any(setting.facts.items() <= record.items() for record in done):
            continue
        progress.say(f"run {number} of {len(settings)}: {setting.name}")
        place = train(setting, beside / setting.study if setting.study else folder)
        with open(folder / "results.jsonl", "a") as file:
            records = study.records_of(setting, place)
            file.writelines(json.dumps(record) + "\n" for record in records)


def read(folder):
    """Return the records of results.jsonl, a list of dicts."""
    path = Path(folder) / "results.jsonl"
    try:
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    except ValueError:
        raise Error(f"{path} is damaged: a line of it is no JSON; delete this line") from None


if __name__ == "__main__":
    command.run(main)
