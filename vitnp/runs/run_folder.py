"""The folder of a run: what lies in it, and how it is made, written and read."""

import errno
import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path

from vitnp import __version__
from vitnp.checkpoint import native
from vitnp.checkpoint.locate import CHECKPOINT, PREVIOUS
from vitnp.common import files
from vitnp.common.files import refusing, replacing, sync, write_json
from vitnp.common.progress import say
from vitnp.data import fingerprint
from vitnp.errors import Error
from vitnp.runs.recipe import Recipe

CONFIG, METRICS, CURVES = "config.json", "metrics.jsonl", "curves.png"
FORMAT = 1
ROOM = 10_000_000       # bytes for everything but the checkpoints


def create(out, data, model, recipe, preprocess, pictures=None):
    """Make and return the folder of a new run: `out`, or the first free runs/DATA-001, -002, …

    model, recipe, preprocess: dicts for its config.json; pictures: the fingerprint of those that it
    is trained on, if they are files. A folder that was not there appears with these files in it,
    so that a run can be resumed from the moment on at which its folder is there.
    Raises Error where `out` holds something already or cannot be made.
    """
    def write(folder):
        if pictures is not None:
            fingerprint.write(folder, pictures)
        write_config(folder, model, recipe, preprocess)

    if out is None:
        with refusing("no folder can be made in runs", "choose another place with --out"):
            return place(Path("runs"), write, (f"{data}-{i:03}" for i in itertools.count(1)))
    folder = Path(out)
    with refusing(f"the folder {folder} cannot be made", "choose another --out"):
        if not os.path.isdir(folder):
            return place(folder.parent, write, [folder.name])
        if any(folder.iterdir()):
            raise Error(f"the folder {folder} is not empty; choose another --out, "
                        "or leave it out for a new one")
        write(folder)
    return folder


def place(above, write, names):
    """Make a folder, filled by write(folder), under the first free name in the folder above."""
    above.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".new-run-", dir=above))
    try:
        made.chmod(0o777 & ~current_umask())        # mkdtemp makes it for the owner alone
        write(made)
        for name in names:
            if os.path.lexists(above / name):
                continue
            try:
                os.rename(made, above / name)
            except OSError:
                if os.path.lexists(above / name):       # another process was quicker
                    continue
                raise
            sync(above)
            return above / name
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    finally:
        shutil.rmtree(made, ignore_errors=True)


def current_umask():
    """Return the process' umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_config(folder, model, recipe, preprocess):
    """Write config.json: dicts of the model's, the recipe's and the preprocessing's fields."""
    content = {"format": FORMAT, "vitnp": __version__, "model": model, "recipe": recipe,
               "preprocess": preprocess}
    write_json(Path(folder) / CONFIG, content)


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


def append_metrics(folder, record):
    """Add one line to metrics.jsonl, in one write, and sync it; or leave the file as it was."""
    path = Path(folder) / METRICS
    line = (json.dumps(record) + "\n").encode()
    try:
        with open(path, "ab", buffering=0) as file:
            length = file.seek(0, os.SEEK_END)
            try:
                if file.write(line) == len(line):
                    # The checkpoint that counts this line must not be on the disk before it
                    os.fsync(file.fileno())
                    return
                reason = "the disk is full"
            except OSError as error:
                reason = error.strerror
            file.truncate(length)
    except OSError as error:
        reason = error.strerror
    raise Error(f"{path} cannot be written: {reason}")


def metrics_length(folder):
    """Return the number of bytes in metrics.jsonl."""
    path = Path(folder) / METRICS
    return path.stat().st_size if path.exists() else 0


def cut_metrics(folder, length):
    """Cut metrics.jsonl to the length that it had when the checkpoint was written.

    Lines that a crash has damaged are taken out, with a word, and so are those that it has cut.
    """
    path = Path(folder) / METRICS
    found = metrics_length(folder)
    if not found and not length:
        return
    data = path.read_bytes()[:length] if found else b""
    whole = b"".join(line for line in data.splitlines(keepends=True) if is_record(line))
    lost = length - len(whole)
    if lost:
        say(f"{path} has lost {lost} bytes since the checkpoint; the run goes on with what is left")
    if found != len(whole):
        with replacing(path) as aside:
            aside.write_bytes(whole)


def is_record(line):
    """Tell whether a line of metrics.jsonl is whole."""
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def last_line(folder):
    """Return the last line of metrics.jsonl, whole or not, as bytes."""
    path = Path(folder) / METRICS
    try:
        return path.read_bytes().splitlines()[-1]
    except (OSError, IndexError):       # no file, or nothing in it
        return b""


def read_metrics(folder):
    """Return the records of metrics.jsonl, a list of dicts. Raises Error for a damaged file."""
    path = Path(folder) / METRICS
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except OSError as error:
        raise Error(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise Error(f"{path} is damaged: a line of it is no JSON") from None


def check_room(folder, size):
    """Raise Error unless the disk has room for what a run with checkpoints of `size` bytes keeps.

    That is the last checkpoint, the one before, the next while it is written, and the best.
    """
    needed, free = 4 * size + ROOM, shutil.disk_usage(folder).free
    if free < needed:
        raise Error(f"the run needs up to {needed / 1e6:,.0f} MB in {folder}, but only "
                    f"{free / 1e6:,.0f} MB are free there; make room, or choose another --out")


def save_checkpoint(folder, tensors, facts):
    """Write the last checkpoint; the one before it is kept as `previous`."""
    folder = Path(folder)
    native.save(folder / CHECKPOINT, tensors, facts, previous=folder / PREVIOUS)


def last_checkpoint(folder):
    """Return (tensors, facts, path) of the last whole checkpoint, or None where there is none yet.

    A damaged one is reported, and the one before it is taken; before the very first there is the
    start. Raises Error where all are damaged.
    """
    paths = [path for path in (Path(folder) / CHECKPOINT, Path(folder) / PREVIOUS) if path.exists()]
    for path in paths:
        try:
            return *native.load(path), path
        except Error as error:
            say(f"{error}")
    first = len(paths) == 1 and paths[0].name == CHECKPOINT and has_barely_begun(folder)
    if paths and not first:
        raise Error(f"no checkpoint in {folder} is whole; the run cannot go on, start another run")
    return None


def has_barely_begun(folder):
    """Tell whether at most one epoch has its line in metrics.jsonl."""
    path = Path(folder) / METRICS
    return not path.exists() or path.read_bytes().count(b"\n") <= 1


def locked(folder):
    """Keep other processes from training in this folder; Error where one is at it."""
    return files.locked(Path(folder) / CONFIG, f"another process is training in {folder}; wait for "
                        "it, or stop it first")


def remove_leftovers(folder):
    """Remove what a killed process was about to write; the last pattern is safetensors' own."""
    for pattern in (".*.safetensors.*", ".*.json.*", ".*.jsonl.*", ".*.png.*", ".tmp??????"):
        for path in Path(folder).glob(pattern):
            path.unlink(missing_ok=True)
