"""What stands beside the tensors: JSON files, the image size, the heads, and what is possible."""

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vitnp.config import ViTConfig, is_number
from vitnp.data.preprocess import Preprocess
from vitnp.errors import Error

LARGEST_FILE = 50_000_000       # bytes; the names of 21,843 classes take two million


class Given(NamedTuple):
    """What a user says of a checkpoint, for what its files do not say; None: nothing.

    heads: attention heads; image_size: a number, or height and width; mean, std: numbers, one for
    each channel or one for all; resample: the name of a filter.
    """

    heads: int | None = None
    image_size: int | tuple | None = None
    mean: Sequence | None = None
    std: Sequence | None = None
    resample: str | None = None

    def checked(self, path, is_said=True, **said):
        """Return mean, std and resample: those given, or else those that the file `path` says.

        is_said=False: the file says none, `said` are defaults. Raises Error where both differ.
        """
        wrong = []
        for name, value in said.items():
            given = getattr(self, name)
            if given is None:
                continue
            if name != "resample":
                given = list(given) if isinstance(given, tuple | list) else [given]
                given = given * (len(said["mean"]) if len(given) == 1 else 1)
            if is_said and given != (value if name == "resample" else list(value)):
                wrong.append(f"{name} {short(value)}, not {short(given)}")
            said[name] = given
        if wrong:
            raise Error(f"{path} says otherwise than what was given: {'; '.join(wrong)}; leave it "
                        "out")
        return said


NOTHING = Given()


def read_json(path):
    """Return the dict in a JSON file, or an empty one where there is no such file.

    Raises Error where it cannot be read or holds something else.
    """
    if not os.path.isfile(path):
        return {}
    try:
        is_usual = os.path.getsize(path) <= LARGEST_FILE
        content = json.loads(Path(path).read_bytes()) if is_usual else None
    except OSError as error:
        raise Error(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise Error(f"{path} is damaged: it is no JSON") from None
    if not isinstance(content, dict):
        raise Error(f"{path} is damaged: it holds no JSON object of a usual size")
    return content


def make_folder(path):
    """Make a folder where there is none, or raise Error."""
    try:
        Path(path).mkdir(exist_ok=True)
    except OSError as error:
        raise Error(f"the folder {path} cannot be made: {error.strerror or error}") from None


def make_config(path, **fields):
    """Return the ViTConfig of these fields; its Error names the file that they came from."""
    try:
        return ViTConfig(**fields)
    except Error as error:
        raise Error(f"{path} describes no possible network: {error}") from None


def make_preprocess(path, config, scaling, **cutting):
    """Return the Preprocess of a network; Error, naming the file, for what is no number.

    scaling: a dict with mean, std and resample; cutting: further fields of Preprocess.
    """
    for name in ("mean", "std"):
        values = scaling[name]
        if not isinstance(values, list | tuple) or not all(
                is_number(value) and abs(value) < math.inf for value in values):
            raise Error(f"{path} has the {name} {short(values)}, not one number for each channel")
    try:
        preprocess = Preprocess(config.image_size, **scaling, **cutting)
    except Error as error:
        raise Error(f"{path} describes no possible preprocessing: {error}") from None
    if preprocess.channels != config.channels:
        raise Error(f"{path} has a mean for {preprocess.channels} channels, but the network takes "
                    f"images of {config.channels}")
    return preprocess


def image_size(path, size, patches, patch_size):
    """Return (height, width) for a file with positions for so many patches, of side patch_size.

    size: what is known of it, a number or pair, or None: then it is a square. Raises Error where
    the patches make no square, or are not those of the size.
    """
    if size is None:
        side = math.isqrt(max(patches, 0))
        if not side or side * side != patches:
            raise Error(f"{path} has positions for {patches} patches of side {patch_size}, which "
                        "make no square; give image_size=(height, width) in pixels")
        return side * patch_size, side * patch_size
    height, width = pair(path, size)
    count = (height // patch_size) * (width // patch_size)
    if count != patches:
        raise Error(f"images of {height} x {width} have {count} patches of side {patch_size}, but "
                    f"{path} has positions for {patches}; give the image_size that it was made for")
    return height, width


def pair(path, size):
    """Return a size in pixels, a number for both sides or a pair, as (height, width)."""
    sides = list(size) if isinstance(size, list | tuple) else [size, size]
    whole = [isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides]
    if whole != [True, True]:
        raise Error(f"{path} cannot have the image size {short(size)}; it is one whole number, or "
                    "height and width")
    return tuple(sides)


def heads(path, given, said, width):
    """Return the number of heads that a file says, or else the one that is given."""
    if given is None and said is None:
        raise Error(f"{path} does not say how many attention heads the network has; give heads, "
                    f"such as heads={max(1, width // 64)} (64 channels each)")
    return given if said is None else said


def check_agreement(path, said, found):
    """Raise Error where settings name other sizes than the tensors have.

    said: the settings of the file `path`, which may have more; found: name → size.
    """
    wrong = [f"{name} {short(said[name])}, not {size}" for name, size in found.items()
             if said.get(name, size) != size]
    if wrong:
        raise Error(f"{path} says otherwise than the tensors beside it: {'; '.join(wrong)}")


def check_known(path, said, possible, others):
    """Raise Error for settings of a file that are not understood, and not without a meaning.

    possible: name → values; others: names that may have any value. Empty ones have no meaning.
    """
    unknown = [name for name, value in said.items()
               if value and not (name in possible or name in others or name.startswith("_"))]
    check_possible(said, possible | dict.fromkeys(unknown, ()), f"{path} describes a network with",
                   "it is not read; take out of the file what has no influence on the network")


def check_possible(settings, possible, what, cure):
    """Raise Error that lists all settings with another value than the possible ones.

    settings: a dict, or an object with such attributes, which may lack some; possible: name →
    values.
    """
    there = settings if isinstance(settings, dict) else vars(settings)
    wrong = [f"{name} {short(there[name])} (possible: {', '.join(map(repr, values)) or 'none'})"
             for name, values in possible.items()
             if name in there and there[name] not in values]
    if wrong:
        raise Error(f"{what} {'; '.join(wrong)}; {cure}")


def short(value):
    """Return a value from a file for a message: in ASCII, one line, and cut where it is long."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
