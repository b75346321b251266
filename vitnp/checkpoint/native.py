"""vitnp's own checkpoints: safetensors, with everything else as one JSON in the metadata.

Tensors are named "params/…", "ema/…", "moment1/…", "moment2/…", with the paths of `vit.shapes`.
The JSON, under the metadata key "vitnp", holds "format" (1), the configuration, the preprocessing,
class names, the step, and "sha256": over the tensors, by name, and the rest of the JSON.
"""

import hashlib
import json
import os

import numpy as np

from vitnp.errors import Error
from vitnp.files import replacing

FORMAT = 1


def save(path, tensors, facts, previous=None):
    """Write tensors, a dict name → NumPy array, and facts, a dict that JSON can hold.

    The file is written aside, synced and renamed; `previous` is the path that the old one gets.
    Raises Error where that is impossible.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    tensors = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    facts = {"format": FORMAT} | facts
    facts["sha256"] = checksum(tensors, facts)
    with replacing(path, previous) as aside:
        aside.touch()
        mode = aside.stat().st_mode     # save_file lets the owner alone read its files
        try:
            save_file(tensors, aside, {"vitnp": json.dumps(facts)})
        except SafetensorError as error:
            raise Error(f"{path} cannot be written ({error})") from None
        aside.chmod(mode)


def load(path):
    """Return (tensors, facts) as they were saved.

    Raises Error for a file that is missing, no checkpoint of vitnp, of another format or damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):
        raise Error(f"there is no file {path}; give a run folder or a checkpoint.safetensors")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise Error(f"{path} is damaged or no safetensors file ({error})") from None
    if "vitnp" not in metadata:
        raise Error(f"{path} was not written by vitnp: it has no such entry in its metadata")
    try:
        facts = json.loads(metadata["vitnp"])
        written, found = facts.pop("sha256"), facts.get("format")
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise Error(f"{path} is damaged: its metadata cannot be read") from None
    if found != FORMAT:
        raise Error(f"{path} has format {found!r}, but this version of vitnp reads {FORMAT}; "
                    "install the version that wrote it, or a newer one")
    if checksum(tensors, facts) != written:
        raise Error(f"{path} is damaged: its checksum does not fit")
    return tensors, facts


def checksum(tensors, facts):
    """Return the sha256 over tensors, in the order of their names, and facts, as hex digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tensor.shape} ".encode())
        digest.update(tensor.reshape(-1).view(np.uint8))
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()
