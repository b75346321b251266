"""Whose checkpoint is it? Told from the content, not from the name."""

import os
import zipfile
from pathlib import Path

from vitnp.checkpoint import families, native, settings, tensors
from vitnp.common import npz
from vitnp.errors import Error

INDEX = "model.safetensors" + tensors.INDEX
OTHERS = (".bin", ".pth", ".pt", ".ckpt", ".pkl", ".h5", ".msgpack", ".bin.index.json", ".onnx")
POINTER = b"version https://git-lfs"
DOWNLOAD = "hf download OWNER/NAME --local-dir FOLDER"
CONVERT = ("which can run any program and is never read; load it with the library that wrote it, "
           "and save it as model.safetensors, in transformers with "
           "save_pretrained(FOLDER, safe_serialization=True); many are on the hub in that format "
           f"too: {DOWNLOAD}")


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
    if os.path.isfile(folder / INDEX):
        return folder / INDEX
    refuse_others(folder)
    return None


def refuse_others(folder):
    """Raise Error for a folder without a checkpoint that is read, but with signs of one."""
    names = sorted(os.listdir(folder))
    parts = [name for name in names if name.endswith(".safetensors")]
    if parts and families.SHARD.search(parts[0]):
        families.refuse_shard(folder / parts[0])
    for name in names:
        if name.endswith((".h5", ".msgpack", ".onnx")):
            raise Error(f"{folder / name} has the weights in a format that is not read; {DOWNLOAD} "
                        "brings them as model.safetensors where the hub has them so")
        if name.endswith(OTHERS):
            raise Error(f"{folder / name} is a pickle, {CONVERT}")
    if "config.json" in names and not parts and not settings.read_json(
            folder / "config.json").keys() & {"recipe"}:
        raise Error(f"{folder} has a config.json but no weights; get both with {DOWNLOAD}")


def layout_of(path):
    """Return "native", "google", "huggingface" or "timm" for a file.

    Raises Error for a file that can be told to be none of them. Where nothing can be told it is
    "native", whose reader knows what to say about missing and damaged files.
    """
    if not os.path.isfile(path):
        return "native"
    try:
        with open(path, "rb") as file:
            start = file.read(len(POINTER))
    except OSError as error:
        raise Error(f"{path} cannot be read: {error.strerror or error}") from None
    if start == POINTER:
        raise Error(f"{path} is no checkpoint, but the text that Git keeps in place of one; get it "
                    f"with git lfs pull, or with {DOWNLOAD}")
    if start.startswith(b"\x89HDF"):
        raise Error(f"{path} is an HDF5 file, as Keras writes it, which is not read; {DOWNLOAD} "
                    "brings the same weights as model.safetensors where the hub has them so")
    if start.startswith(b"PK") or str(path).endswith(".npz"):
        return layout_of_archive(path)
    if start[:1] == b"\x80" and start[8:9] != b"{":              # else a header's length
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
        with tensors.of_safetensors(path) as source:
            names = set(source.shapes)
        metadata = {} if str(path).endswith(tensors.INDEX) else tensors.metadata(path)
    except Error:
        if str(path).endswith(tensors.INDEX):
            raise
        return "native"
    if "vitnp" in metadata:
        return "native"
    families.refuse_shard(path)
    families.refuse(path, names, settings.read_json(Path(path).with_name("config.json")))
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
