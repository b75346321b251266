"""vitnp's own checkpoints: safetensors, with everything else as one JSON in the metadata.

Tensors are named "params/…", "ema/…", "moment1/…", "moment2/…", with the paths of `vit.shapes`.
The JSON, under the metadata key "vitnp", holds "format" (2), the configuration, the preprocessing,
class names, the step, and "sha256": over those of the tensors, by name, and the rest of the JSON.
"""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from vitnp.checkpoint.tensors import opened, read_tensor, write_safetensors
from vitnp.errors import Error

FORMAT = 2          # 1 had one sha256 over all tensors
LARGE = 2**24       # bytes of tensors for which threads are worth their start


def save(path, tensors, facts, previous=None):
    """Write tensors, a dict name → NumPy array, and facts, a dict that JSON can hold.

    The file is written aside, synced and renamed; `previous` is the path that the old one gets.
    Raises Error where that is impossible.
    """
    tensors = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    facts = {"format": FORMAT} | facts
    facts["sha256"] = checksum(tensors, facts)
    write_safetensors(path, tensors, {"vitnp": json.dumps(facts)}, previous)


def load(path):
    """Return (tensors, facts) as they were saved.

    Raises Error for a file that is missing, no checkpoint of vitnp, of another format or damaged.
    """
    if not os.path.isfile(path):
        raise Error(f"there is no file {path}; give a run folder or a checkpoint.safetensors")
    with opened(path) as file:
        metadata, names = file.metadata() or {}, list(file.keys())
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
    tensors = {name: read_tensor(path, name) for name in names}
    if checksum(tensors, facts) != written:
        raise Error(f"{path} is damaged: its checksum does not fit")
    return tensors, facts


def checksum(tensors, facts):
    """Return the sha256 over those of the tensors, by name, and over facts, as hex digits.

    So several threads can read the tensors of a large file.
    """
    names = sorted(tensors)
    arrays = [tensors[name] for name in names]
    if sum(array.nbytes for array in arrays) < LARGE:
        parts = list(map(checksum_of_one, names, arrays))
    else:
        with ThreadPoolExecutor() as pool:
            parts = list(pool.map(checksum_of_one, names, arrays))
    whole = "".join(parts) + json.dumps(facts, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def checksum_of_one(name, tensor):
    """Return the sha256 of a tensor's name, type, shape and numbers, as hex digits."""
    digest = hashlib.sha256(f"{name} {tensor.dtype} {tensor.shape} ".encode())
    digest.update(tensor.reshape(-1).view(np.uint8))
    return digest.hexdigest()
