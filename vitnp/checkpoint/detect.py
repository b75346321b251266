"""Whose checkpoint is it? Told from the content, not from the name."""

import os
import zipfile
from pathlib import Path

from vitnp.checkpoint import native, tensors
from vitnp.common import npz
from vitnp.errors import Error

PICKLES = ("pytorch_model.bin", "model.pth", "model.pt")
SHARDS = "model.safetensors.index.json"
CONVERT = ("which can run any program and is never read; load it with the library that wrote it, "
           "and save it as model.safetensors")


def find(folder):
    """Return the path of the one foreign checkpoint in a folder, or None.

    Raises Error where there are several, or there is one that is never read.
    """
    folder = Path(folder)
    if os.path.isfile(folder / "model.safetensors"):
        return folder / "model.safetensors"
    try:
        found = sorted(name for name in os.listdir(folder) if name.endswith(".npz"))
    except OSError as error:
        raise Error(f"{folder} cannot be read: {error.strerror or error}") from None
    if len(found) > 1:
        raise Error(f"{folder} holds {len(found)} .npz files; name the one that is the checkpoint")
    if found:
        return folder / found[0]
    if os.path.isfile(folder / SHARDS):
        raise Error(f"{folder} holds a checkpoint in several files, which are not read; save it as "
                    "one model.safetensors")
    for name in PICKLES:
        if os.path.isfile(folder / name):
            raise Error(f"{folder / name} is a pickle, {CONVERT}")
    return None


def layout_of(path):
    """Return "native", "google", "huggingface" or "timm" for a file.

    Raises Error for a file that can be told to be none of them. Where nothing can be told it is
    "native", whose reader knows what to say about missing and damaged files.
    """
    if not os.path.isfile(path):
        return "native"
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise Error(f"{path} cannot be read: {error.strerror or error}") from None
    if start.startswith(b"PK") or str(path).endswith(".npz"):
        return layout_of_archive(path)
    if start[:1] == b"\x80" and start[8:] != b"{":              # else a header's length
        raise Error(f"{path} is a pickle, {CONVERT}")
    return layout_of_safetensors(path)


def layout_of_archive(path):
    """Return "google" for an archive, or raise Error for one of PyTorch's pickles."""
    with npz.reading(path), zipfile.ZipFile(path) as archive:
        if any(name.endswith(".pkl") for name in archive.namelist()):
            raise Error(f"{path} holds a pickle, {CONVERT}")
    return "google"


def layout_of_safetensors(path):
    """Return "native", "huggingface" or "timm", or raise Error for tensors of something else."""
    try:
        with tensors.opened(path) as file:
            metadata, names = file.metadata() or {}, set(file.keys())
    except Error:
        return "native"
    if "vitnp" in metadata:
        return "native"
    stems = {name.removeprefix("vit.").partition(".")[0] for name in names}
    if {"embeddings", "encoder", "layernorm"} & stems:
        return "huggingface"
    if {"patch_embed", "cls_token", "pos_embed", "blocks"} & stems:
        return "timm"
    try:
        native.load(path)
    except Error as error:
        few = ", ".join(ascii(name[:60])[1:-1] for name in sorted(names)[:5])
        raise Error(f"{error}; its tensors ({few}, ...) are those of no other layout that is "
                    "read either: Google's .npz, Hugging Face's ViT, timm's ViT") from None
    return "native"
