"""Read many damaged checkpoints in a process with little memory; see test_damaged.py.

Usage: damaged.py FOLDER SEED COUNT. Each must give an Error that names it in one sentence, or
exactly the undamaged arrays. Prints what became of the checkpoints of each kind, as JSON.
Each kind is a function that fills a folder and returns whose checkpoint may be read from it, or
None where none may. Needs tests/data in PYTHONPATH.
"""

import io
import json
import math
import os
import pickle
import struct
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
from damage import cut_or_flip, print_outcomes
from foreign import random_model
from npz_files import described, npy_bytes, with_announced_size, zip_bytes
from safetensors.numpy import load, save

import vitnp
from vitnp import params
from vitnp.checkpoint import google

FOREIGN = ("google", "huggingface", "timm")
FILES = {"native": "a.safetensors", "google": "a.npz", "huggingface": "model.safetensors",
         "timm": "model.safetensors"}
MODELS = {"native": random_model(), "google": random_model(pre_logits=7, image_size=8),
          "huggingface": random_model(gelu="erf", eps=1e-12),
          "timm": random_model(gelu="erf", pooling="avg")}
OTHERS = ("bert.encoder.layer.0.attention.self.query.weight", "conv1.weight", "layer4.1.bn2.bias",
          "vit.encoder.layer.1.attention.q_proj.weight", "blocks.0.ls1.gamma", "reg_token",
          "Transformer/encoderblock_x/LayerNorm_0/scale", "params/embedding/kernel", "opt/step",
          "blocks.0.attn.qkv", "encoder.layer..x", "blocks.99999999999.norm1.weight", "")
ROWS = ("embedding/bias", "vit.embeddings.cls_token", "blocks.0.mlp.fc1.bias")
BOMBS = {}


class Evil:
    """What would be run if anything were unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def whole(layout, folder, packed=False):
    """Write an undamaged checkpoint, and return the path of its file of tensors."""
    path = folder / FILES[layout]
    if layout in ("native", "google"):
        MODELS[layout].save(path, layout)
    else:
        MODELS[layout].save(folder, layout)
    if packed:
        np.savez_compressed(path, **arrays_of(path))
    return path


def arrays_of(path):
    if path.suffix == ".npz":
        with np.load(path) as file:
            return dict(file)
    return load(path.read_bytes())


def write(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        path.write_bytes(save(arrays, {"format": "pt"}))


def changed(folder, numbers, change):
    """Write a foreign checkpoint whose dict of arrays went through change(arrays, name)."""
    path = whole(numbers.choice(FOREIGN), folder)
    arrays = arrays_of(path)
    write(path, change(arrays, numbers.choice(sorted(arrays)), path.suffix == ".npz"))


def flipped(layout, folder, numbers, packed=False):
    path = whole(layout, folder, packed)
    if numbers.random() < 0.2:
        return layout                           # as it is
    path.write_bytes(cut_or_flip(path.read_bytes(), numbers))
    return layout


def header(folder, numbers):
    """Damage the header of a foreign safetensors file, or cut the file."""
    layout = numbers.choice(FOREIGN[1:])
    path = whole(layout, folder)
    data = path.read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    if numbers.random() < 0.2:
        path.write_bytes(data[:numbers.randrange(len(data))])
    else:
        path.write_bytes(cut_or_flip(data[:end], numbers) + data[end:])
    return layout


def settings(folder, numbers):
    """Damage a JSON file beside the tensors, or put another value into it."""
    layout = numbers.choice(FOREIGN[1:])
    whole(layout, folder)
    path = numbers.choice(sorted(folder.glob("*.json")))
    if numbers.random() < 0.4:
        path.write_bytes(cut_or_flip(path.read_bytes(), numbers))
        return layout
    said = json.loads(path.read_text())
    inner = numbers.choice([part for part in (said, *said.values()) if isinstance(part, dict)])
    inner[numbers.choice(sorted(inner))] = numbers.choice(
        (None, -1, 0, 1, 3, 2**70, 1e400, float("nan"), 0.5, "3", "", [], [4, 4], {}, True, [[]]))
    path.write_text(json.dumps(said))
    return layout


def typed(folder, numbers):
    def change(arrays, name, is_npz):
        kinds = ["i1", "u1", "i8", "u4", "?"] + ["c8", "S3", "U3", "V4", "M8[s]"] * is_npz
        arrays[name] = np.zeros(arrays[name].shape, numbers.choice(kinds))
        return arrays
    return changed(folder, numbers, change)


def shaped(folder, numbers):
    def change(arrays, name, is_npz):
        array = arrays[name]
        arrays[name] = numbers.choice((
            array[None], array.ravel()[:1].reshape(()), array[..., :-1], array[:0],
            np.concatenate([array, array]), np.zeros((1,) * 20, np.float32)))
        return arrays
    return changed(folder, numbers, change)


def other(folder, numbers):
    """Leave tensors out, add some of another model, or exchange them all."""
    def change(arrays, name, is_npz):
        more = {key or "x": np.ones(3, np.float32)
                for key in numbers.sample(OTHERS, numbers.randint(1, 5))}
        if numbers.random() < 0.3:
            return more
        if numbers.random() < 0.5:
            return arrays | more
        return {key: array for key, array in arrays.items() if key != name} | more
    return changed(folder, numbers, change)


def special(folder, numbers):
    """Put NaN or an infinite value into one place."""
    value = numbers.choice((np.nan, np.inf, -np.inf))
    if numbers.random() < 0.2:
        model = random_model()
        array = numbers.choice(list(params.flatten(model.params).values()))
        array.flat[numbers.randrange(array.size)] = value
        model.save(folder / FILES["native"])
        return None

    def change(arrays, name, is_npz):
        arrays[name] = arrays[name].copy()
        arrays[name].flat[numbers.randrange(arrays[name].size)] = value
        return arrays
    return changed(folder, numbers, change)


def pickled(folder, numbers):
    """Write a pickle under any name, bare, as PyTorch does, or as an array of objects."""
    data = pickle.dumps({"state_dict": Evil()}, numbers.randint(0, 5))
    name = numbers.choice(("model.safetensors", "a.npz", "pytorch_model.bin", "model.pth", "a.pt"))
    kind = numbers.choice(("bare", "zip", "objects", "records"))
    if kind == "zip":
        data = zip_bytes({"archive/data.pkl": data, "archive/version": b"3"})
    elif kind != "bare":
        descr = "|O" if kind == "objects" else [("a", "|O")]
        data = zip_bytes({"cls.npy": npy_bytes(described((1,), descr), data)})
    (folder / name).write_bytes(data)


def bomb(folder, numbers):
    """Write an archive that unpacks to much more, or announces to."""
    kind = numbers.choice(("wide", "more", "announced"))
    if kind == "announced":
        path = whole("google", folder)
        size = numbers.choice((2**20, 2**31, 2**32 - 2))
        path.write_bytes(with_announced_size(path.read_bytes(), size))
        return "google"
    if kind not in BOMBS:
        BOMBS[kind] = bomb_bytes(2048, 0) if kind == "wide" else bomb_bytes(16, 2**24)
    (folder / "a.npz").write_bytes(BOMBS[kind])
    return None


def bomb_bytes(width, more):
    """Return a network of zeros of one block, packed to a thousandth, and `more` zeros besides."""
    model, packed = random_model(width=1, depth=1, heads=1, mlp_width=1, image_size=2), io.BytesIO()
    shapes = {"x": (more,)} if more else {}
    for name in google.from_ours(model.params, model.config):
        row = google.STEM.get(name) or google.BLOCK[name.partition("_0/")[2]]
        sizes = {"1": 1, "C": 3, "P": 2, "Q": 2, "T": 2, "H": 1, "K": 5, "M": 1}
        shapes[name] = tuple(sizes.get(axis, width) for axis in row.axes)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, shape in shapes.items():
            with archive.open(name + ".npy", "w") as stream:
                stream.write(npy_bytes(described(shape, "<f4")))
                for start in range(0, 4 * math.prod(shape), 2**20):
                    stream.write(bytes(min(2**20, 4 * math.prod(shape) - start)))
    return packed.getvalue()


KINDS = {
    "native": lambda folder, numbers: flipped("native", folder, numbers),
    "google": lambda folder, numbers: flipped("google", folder, numbers),
    "google packed": lambda folder, numbers: flipped("google", folder, numbers, packed=True),
    "header": header, "settings": settings, "typed": typed, "shaped": shaped, "other": other,
    "special": special, "pickled": pickled, "bomb": bomb,
}


def one_checkpoint(kind, numbers, folder):
    """Return "read" or "refused"; raise what else happens."""
    folder.mkdir()
    layout = KINDS[kind](folder, numbers)
    files = sorted(path for path in folder.iterdir() if path.suffix != ".json")
    is_ours = files[0].name == FILES["native"]          # and no run's, so not found in a folder
    path = files[0] if is_ours or numbers.random() < 0.5 else folder
    try:
        model = vitnp.load(path)
    except vitnp.Error as error:
        sentence = str(error)
        assert str(folder) in sentence and "\n" not in sentence and len(sentence) < 8000, sentence
        return "refused"
    assert layout, f"{path} was read, though nothing in it is right"
    found, expected = (params.flatten(each.params) for each in (model, MODELS[layout]))
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in expected.items()}, f"{path} was read as another"
    return "read"


def main(folder, seed, count):
    """Damage and read `count` checkpoints, each kind as often as the others."""
    print_outcomes(KINDS, one_checkpoint, Path(folder), seed, count)


if __name__ == "__main__":
    warnings.simplefilter("error")
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
