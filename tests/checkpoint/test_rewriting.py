"""Files that say the same network in other words, and networks written in other words."""

import json

import numpy as np
import pytest
from foreign import DATA, random_model, refusal
from safetensors.numpy import load_file, save_file

import vitnp
from vitnp.checkpoint import tensors

PHOTO = DATA / "photo"
FILE = PHOTO / "chelsea.png"


def rewritten(folder, name, change, settings=None):
    """Write a fixture's folder with its tensors changed in place, and settings of model_args."""
    found = load_file(PHOTO / name / "model.safetensors")
    found = change(found) or found
    folder.mkdir()
    save_file(found, folder / "model.safetensors", {"format": "pt"})
    for path in (PHOTO / name).glob("*.json"):
        said = json.loads(path.read_text())
        (said.get("model_args", said) if path.name == "config.json" else {}).update(settings or {})
        (folder / path.name).write_text(json.dumps(said))
    return folder


def logits(path):
    return vitnp.load(path).logits(FILE)


def drop_biases(found):
    for name in [name for name in found if name.endswith(("query.bias", "key.bias", "value.bias",
                                                           "qkv.bias"))]:
        del found[name]


def drop_one(found):
    del found[next(name for name in found if name.endswith(("query.bias", "qkv.bias")))]


def zero_biases(found):
    for name in found:
        if name.endswith(("query.bias", "key.bias", "value.bias", "qkv.bias")):
            found[name][...] = 0


@pytest.mark.parametrize("name", ["hf_plain", "timm_center", "timm_gap_without_token"])
def test_no_biases_of_queries_keys_and_values_are_biases_of_zero(tmp_path, name):
    expected = logits(rewritten(tmp_path / "a", name, zero_biases))
    found = rewritten(tmp_path / "b", name, drop_biases, {"qkv_bias": False})
    np.testing.assert_array_equal(logits(found), expected)
    missing = rewritten(tmp_path / "c", name, drop_one)
    assert "bias of shape" in refusal(vitnp.load, missing)


def test_a_scale_after_a_layer_is_that_layer(tmp_path):
    """timm's layer scale, λ (x W + b): the weight has its outputs first."""
    gammas = {}

    def apart(found):
        for block in range(2):
            for scale, layer in (("ls1", "attn.proj"), ("ls2", "mlp.fc2")):
                gamma = np.linspace(0.5, 1.5, 24, dtype=np.float32)[::1 - 2 * block]
                gammas[f"blocks.{block}.{scale}.gamma"] = np.ascontiguousarray(gamma)
                for part in ("weight", "bias"):
                    name = f"blocks.{block}.{layer}.{part}"
                    found[name] = (found[name].T / gamma).T.copy()
        return found | gammas

    found = rewritten(tmp_path / "a", "timm_center", apart, {"init_values": 1.0})
    np.testing.assert_allclose(logits(found), logits(PHOTO / "timm_center"), rtol=0, atol=2e-6)
    wrong = rewritten(tmp_path / "b", "timm_center",
                      lambda found: apart(found) | {"blocks.0.ls1.gamma": np.ones(5, np.float32)})
    assert "blocks.0.ls1.gamma has the shape (5,), which does not fit" in refusal(vitnp.load, wrong)


def test_a_class_token_without_position_has_the_position_zero(tmp_path):
    def zero(found):
        found["pos_embed"][:, 0] = 0

    def without(found):
        found["pos_embed"] = found["pos_embed"][:, 1:].copy()

    expected = logits(rewritten(tmp_path / "a", "timm_center", zero))
    found = rewritten(tmp_path / "b", "timm_center", without, {"no_embed_class": True})
    np.testing.assert_array_equal(logits(found), expected)


def test_tensors_in_several_files_are_one_network(tmp_path):
    whole = load_file(PHOTO / "hf_plain" / "model.safetensors")
    folder = rewritten(tmp_path / "a", "hf_plain", lambda found: found)
    (folder / "model.safetensors").unlink()
    parts = [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    for i, part in enumerate(parts):
        save_file(dict(list(whole.items())[i::3]), folder / part)
    places = {name: parts[i % 3] for i, name in enumerate(whole)}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    np.testing.assert_array_equal(logits(folder), logits(PHOTO / "hf_plain"))
    np.testing.assert_array_equal(logits(index), logits(PHOTO / "hf_plain"))
    (folder / parts[1]).unlink()
    assert f"names 3 files, but there is no {parts[1]} beside it" in refusal(vitnp.load, folder)
    for text in ("", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": "../b"}}',
                 '{"weight_map": {"a": 3}}', "[" * 100_000):
        index.write_text(text)
        assert "is damaged: it does not say which files" in refusal(vitnp.load, folder)


@pytest.mark.parametrize("kind", ["BF16", "F16"])
def test_floats_of_16_bits_are_widened(tmp_path, kind):
    """Written by hand: NumPy has no bfloat16. 1.5 and -2 have a short fraction."""
    bits = {"BF16": [0x3FC0, 0xC000, 0x0001], "F16": [0x3E00, 0xC000, 0x0001]}[kind]
    data = np.array(bits, "<u2").tobytes()
    header = json.dumps({"a": {"dtype": kind, "shape": [3], "data_offsets": [0, 6]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    with tensors.of_safetensors(path) as source:
        found = source.get("a")
    smallest = 2.0**-133 if kind == "BF16" else 2.0**-24
    np.testing.assert_array_equal(found.astype(np.float64), [1.5, -2.0, smallest])
    assert source.types["a"].kind == "f"


@pytest.mark.parametrize(("layout", "changes"), [
    ("timm", {"eps": 1e-12}), ("timm", {"eps": 1e-3}), ("google", {"eps": 1e-12, "gelu": "tanh"}),
    ("timm", {"positions": "2d"}), ("timm", {"positions": "none", "pooling": "gap"}),
    ("huggingface", {"positions": "2d", "eps": 1e-5}), ("huggingface", {"positions": "none"}),
    ("google", {"positions": "2d", "gelu": "tanh", "pooling": "gap"}),
    ("timm", {"pooling": "gap"}), ("timm", {"pooling": "avg"}),
])
def test_what_a_layout_says_otherwise_is_the_same_network(tmp_path, capsys, layout, changes):
    model = random_model(**{"gelu": "erf", "image_size": (8, 8)} | changes)
    path = tmp_path / ("a.npz" if layout == "google" else "a")
    model.save(path, layout)
    said = capsys.readouterr().err
    assert ("the same network" in said) == ("eps" in changes or "positions" in changes), said
    found = vitnp.load(path)
    np.testing.assert_allclose(found.logits(FILE), model.logits(FILE), rtol=0, atol=2e-6)
    assert np.abs(model.logits(FILE)).max() > 0.1
