"""The folder of a run: what lies in it, and how it is made and read."""

import contextlib
import itertools
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vitnp.errors import Error
from vitnp.files import replacing
from vitnp.recipe import Recipe

CONFIG, METRICS, CURVES = "config.json", "metrics.jsonl", "curves.png"
FORMAT = 1


def create(out, data):
    """Make and return the folder of a new run: `out`, or the first free runs/DATA-001, -002, …

    Raises Error where `out` holds something already or cannot be made.
    """
    if out is not None:
        folder = Path(out)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise Error(f"the folder {folder} is not empty; choose another --out, "
                            "or leave it out for a new one")
        except OSError as error:
            raise Error(f"the folder {folder} cannot be made: {error.strerror}; "
                        "choose another --out") from None
        return folder
    runs = Path("runs")
    try:
        runs.mkdir(exist_ok=True)
        for number in itertools.count(1):
            folder = runs / f"{data}-{number:03}"
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise Error(f"no folder can be made in {runs}: {error.strerror}; "
                    "choose another place with --out") from None


def write_config(folder, model, recipe, preprocess):
    """Write config.json: dicts of the model's, the recipe's and the preprocessing's fields."""
    content = {"format": FORMAT, "vitnp": installed_version(), "model": model, "recipe": recipe,
               "preprocess": preprocess}
    with replacing(Path(folder) / CONFIG) as aside:
        aside.write_text(json.dumps(content, indent=2) + "\n")


def read_config(folder):
    """Return the content of config.json. Raises Error where there is none, or not of this form."""
    path = Path(folder) / CONFIG
    if not os.path.isfile(path):
        raise Error(f"{folder} is no run folder: it has no {CONFIG}")
    try:
        content = json.loads(path.read_text())
        found = content["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise Error(f"{path} is damaged: it cannot be read as the configuration of a run") from None
    if found != FORMAT:
        raise Error(f"{path} has format {found!r}, but this version of vitnp reads {FORMAT}")
    return content


def read_recipe(folder):
    """Return the Recipe in config.json. Raises Error where there is none, or it does not fit."""
    options = read_config(folder).get("recipe")
    try:
        return Recipe(**options)
    except TypeError as error:
        raise Error(f"{Path(folder) / CONFIG} does not hold the options of a run: "
                    f"{error}") from None


def installed_version():
    """Return the version of vitnp, or "unknown" where it is used without being installed."""
    try:
        return version("vitnp")
    except PackageNotFoundError:
        return "unknown"


def append_metrics(folder, record):
    """Add one line to metrics.jsonl, in one write."""
    path = Path(folder) / METRICS
    try:
        with open(path, "a") as file:
            file.write(json.dumps(record) + "\n")
    except OSError as error:
        raise Error(f"{path} cannot be written: {error.strerror}") from None


def read_metrics(folder):
    """Return the records of metrics.jsonl, a list of dicts. Raises Error for a damaged file."""
    path = Path(folder) / METRICS
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except OSError as error:
        raise Error(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise Error(f"{path} is damaged: a line of it is no JSON") from None
