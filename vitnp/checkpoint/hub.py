"""Checkpoints by their name on the Hugging Face hub, through the library huggingface_hub.

Cache, progress, tokens, offline mode (HF_HUB_OFFLINE) and another address (HF_ENDPOINT) are the
library's.
"""

import os
import re
from pathlib import Path

from vitnp.errors import Error

NAME = re.compile(r"(?:hf-hub:|hf:)?([\w][\w.-]*/[\w.-]+)(?:@([\w./-]+))?")
WANTED = ["config.json", "preprocessor_config.json", "model.safetensors",
          "model.safetensors.index.json", "model-*-of-*.safetensors"]
TYPE = "pip install 'vitnp[hub]'"


def local(path):
    """Return the folder that a checkpoint's name on the hub stands for; any other path as it is.

    path: OWNER/NAME, or OWNER/NAME@REVISION, where there is no such file, nor a folder OWNER.
    Raises Error where it cannot be loaded, or has no weights as safetensors.
    """
    name = NAME.fullmatch(os.fspath(path))
    if not name or os.path.exists(path) or os.path.exists(Path(path).parent):
        return path
    repository, revision = name.groups()
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise Error(f"there is no file {path}; to load it by its name on the Hugging Face hub, "
                    f"type {TYPE} first, or hf download {repository} --local-dir FOLDER elsewhere, "
                    "and give the folder") from None
    try:
        folder = snapshot_download(repository, revision=revision, allow_patterns=WANTED)
    except Exception as error:  # noqa: BLE001  of the library, and of those that it stands on
        raise Error(reason(path, repository, error)) from None
    if not any(file.endswith(".safetensors") for file in os.listdir(folder)):
        raise Error(f"{repository} has no model.safetensors on the hub; other files of weights are "
                    "never read: load it with its own library, and save it in that format")
    return folder


def reason(path, repository, error):
    """Return in one sentence why a name could not be loaded, and what to type."""
    kind = type(error).__name__
    cure = f"or type hf download {repository} --local-dir FOLDER elsewhere, and give the folder"
    if kind in ("RepositoryNotFoundError", "HFValidationError"):
        return (f"there is neither a file {path} nor a model of that name on the hub that may be "
                "read; for a private one, type hf auth login first")
    if kind == "RevisionNotFoundError":
        return f"{repository} has no revision {path.rpartition('@')[2]} on the hub"
    if kind == "GatedRepoError":
        return (f"{repository} is for those alone who accepted its terms on the hub; do so, and "
                "type hf auth login")
    if kind in ("LocalEntryNotFoundError", "OfflineModeIsEnabled"):
        return (f"there is no file {path}, and the hub cannot be reached, nor was the model loaded "
                f"before; connect to it (HF_HUB_OFFLINE must not be set), {cure}")
    words = " ".join(str(error).split())[:200]
    return f"{repository} cannot be loaded from the hub ({kind}: {words}); try again, {cure}"
