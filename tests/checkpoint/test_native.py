"""Native checkpoints: back to the bit, or refused; damage is never loaded."""

import json
import pickle
import random
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

import vitnp
from vitnp import ViTConfig, params, vit
from vitnp.checkpoint import native
from vitnp.data.preprocess import Preprocess
from vitnp.model import Model

CONFIG = ViTConfig.named("micro/4", image_size=8, channels=1, classes=3, width=4, mlp_width=6)
FACTS = {"config": {"width": 8}, "class_names": ["ä", "b"], "step": 3, "rate": 0.1 + 0.2}
rng = np.random.default_rng(0)
TENSORS = {
    "params/a": rng.standard_normal((2, 3)).astype(np.float32),
    "params/b/c": rng.standard_normal(5),
    "moment1/scalar": np.array(1 / 3),
    "moment1/cut": rng.standard_normal((4, 6))[::2, 1::3],
    "moment1/turned": np.asfortranarray(rng.standard_normal((3, 2))),
    "moment2/empty": np.zeros((0, 3), np.float32),
    "moment2/special": np.array([0.0, -0.0, 5e-324, np.inf]),
}


def refusal(call, *arguments):
    with pytest.raises(vitnp.Error) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def same(one, other):
    """Tell whether two tensors are equal to the bit, with the same shape and type."""
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


def saved(folder, tensors=TENSORS, facts=FACTS):
    path = folder / "checkpoint.safetensors"
    native.save(path, tensors, facts)
    return path


def model():
    flat = vit.init(CONFIG, np.random.default_rng(0))
    tree = params.views(flat, vit.shapes(CONFIG))
    return Model(CONFIG, tree, Preprocess((8, 8), (0.5,), (0.5,)), ("a", "b", "c"))


def test_tensors_and_facts_come_back_to_the_bit(tmp_path):
    path = saved(tmp_path)
    tensors, facts = native.load(path)
    assert facts == {"format": 2} | FACTS
    assert set(tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert same(tensors[name], tensor), name
    assert names(tmp_path) == ["checkpoint.safetensors"]


def test_saving_twice_gives_the_same_bytes_and_changes_nothing_given(tmp_path):
    facts = dict(FACTS)
    first = saved(tmp_path, facts=facts).read_bytes()
    assert saved(tmp_path, facts=facts).read_bytes() == first and facts == FACTS


def test_a_checkpoint_can_be_read_by_whoever_can_read_its_neighbours(tmp_path):
    (tmp_path / "neighbour").touch()
    assert saved(tmp_path).stat().st_mode == (tmp_path / "neighbour").stat().st_mode


def check_damage(path, data, tensors):
    """Assert that a damaged file is refused, or holds what was saved, to the bit."""
    path.write_bytes(data)
    try:
        found, facts = native.load(path)
    except vitnp.Error as error:
        assert "\n" not in str(error) and len(str(error)) < 500
        return False
    assert facts == {"format": 2} | FACTS and set(found) == set(tensors)
    assert all(same(found[name], tensor) for name, tensor in tensors.items())
    return True


SMALL = {"params/a": np.float32([[1, 2], [3, 4]]), "params/b": np.array([5.0, 6.0])}


def test_no_flipped_byte_is_loaded(tmp_path):
    """Every place of the file, with three kinds of damage in turn, and some at random."""
    data = saved(tmp_path, SMALL).read_bytes()
    numbers = random.Random(0)
    places = [(i, (0x01, 0x80, 0xFF)[i % 3]) for i in range(len(data))]
    places += [(numbers.randrange(len(data)), numbers.randrange(1, 256)) for _ in range(300)]
    refused = 0
    for place, mask in places:
        damaged = bytearray(data)
        damaged[place] ^= mask
        refused += not check_damage(tmp_path / "damaged", bytes(damaged), SMALL)
    assert refused > 0.95 * len(places)


def test_no_cut_or_lengthened_file_is_loaded(tmp_path):
    data = saved(tmp_path, SMALL).read_bytes()
    for length in range(len(data)):
        assert not check_damage(tmp_path / "damaged", data[:length], SMALL), length
    for more in (b"\0", b"\0" * 100, data):
        assert not check_damage(tmp_path / "damaged", data + more, SMALL)


def test_no_exchanged_or_zeroed_pieces_are_loaded(tmp_path):
    data = saved(tmp_path, SMALL).read_bytes()
    for start in range(0, len(data) - 16, 7):
        zeroed = data[:start] + bytes(16) + data[start + 16:]
        assert not check_damage(tmp_path / "damaged", zeroed, SMALL)
        turned = data[:start] + data[start:start + 16][::-1] + data[start + 16:]
        assert not check_damage(tmp_path / "damaged", turned, SMALL)


def test_threads_change_no_checksum(monkeypatch):
    alone = native.checksum(SMALL, FACTS)
    monkeypatch.setattr(native, "LARGE", 0)
    assert native.checksum(SMALL, FACTS) == alone
    others = dict(zip(SMALL, reversed(SMALL.values()), strict=True))
    assert native.checksum(others, FACTS) != alone


def rewrite(path, change):
    """Write a file that safetensors reads, with vitnp's metadata changed by a function."""
    facts = {"format": 2} | FACTS
    facts["sha256"] = native.checksum(SMALL, facts)
    save_file(SMALL, path, {"vitnp": change(facts)})
    return path


@pytest.mark.parametrize(("change", "words"), [
    (lambda facts: json.dumps(facts | {"format": 1}), "has format 1, but this version"),
    (lambda facts: json.dumps(facts | {"format": None}), "has format None"),
    (lambda facts: json.dumps(facts | {"step": 4}), "its checksum does not fit"),
    (lambda facts: json.dumps(facts | {"sha256": 7}), "its checksum does not fit"),
    (lambda facts: json.dumps(FACTS), "its metadata cannot be read"),
    (lambda facts: "", "its metadata cannot be read"),
    (lambda facts: "[1, 2]", "its metadata cannot be read"),
    (lambda facts: '"text"', "its metadata cannot be read"),
    (lambda facts: "null", "its metadata cannot be read"),
    (lambda facts: "[" * 100_000, "its metadata cannot be read"),
    (lambda facts: '{"a":' * 100_000, "its metadata cannot be read"),
])
def test_metadata_that_do_not_fit_are_refused(tmp_path, change, words):
    message = refusal(native.load, rewrite(tmp_path / "a.safetensors", change))
    assert words in message and str(tmp_path / "a.safetensors") in message


def test_files_of_others_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    for metadata in (None, {}, {"format": "pt"}):
        save_file(SMALL, path, metadata)
        assert "was not written by vitnp" in refusal(vitnp.load, path)
    for dtype, size in (("BF16", 2), ("F8_E4M3", 1), ("F99", 1)):
        header = json.dumps({"x": {"dtype": dtype, "shape": [2], "data_offsets": [0, 2 * size]}})
        path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(2 * size))
        message = refusal(vitnp.load, path)
        assert "was not written by vitnp" in message or "no safetensors file" in message


class Trap:
    """Fails the test if it is ever unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize("data", [
    pickle.dumps(Trap()), b"", b"\0" * 7, b"\xff" * 100, struct.pack("<Q", 2**63), b"PK\3\4" * 9,
    b'{"params": 3}', struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 90_000) + b"[" * 90_000,
])
def test_what_is_no_checkpoint_is_refused_and_never_unpickled(tmp_path, data):
    (tmp_path / "a.safetensors").write_bytes(data)
    assert str(tmp_path / "a.safetensors") in refusal(vitnp.load, tmp_path / "a.safetensors")


def test_places_without_a_checkpoint_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for name in ("", "missing", "file/under", "b" * 300):
        message = refusal(vitnp.load, tmp_path / name)
        assert message.startswith(f"there is no file {tmp_path / name}")
        assert "give a run folder" in message
    assert "there is no file" in refusal(native.load, tmp_path)


def test_places_that_cannot_be_written_to_are_refused_and_stay_as_they_were(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name in ("missing/a", "file/under", "folder", "b" * 300):
        assert "cannot be written: " in refusal(native.save, tmp_path / name, SMALL, FACTS)
    assert names(tmp_path) == ["file", "folder"] and names(tmp_path / "folder") == []
    path = saved(tmp_path / "folder")
    before = path.read_bytes()
    with pytest.raises(TypeError):
        native.save(path, SMALL, {"what JSON does not know": object()})
    assert path.read_bytes() == before and names(tmp_path / "folder") == [path.name]


def test_everything_that_is_wrong_with_a_model_is_listed_at_once(tmp_path):
    tensors, facts = native.load(saved_model(tmp_path))
    tensors["params/norm/gamma"][1] = np.nan
    tensors["params/head/weight"][0, 0] = -np.inf
    tensors["params/head/bias"] = np.zeros((1, 3), np.float32)
    tensors["params/norm/beta"] = np.zeros(4, np.int64)
    tensors["params/blocks/2/x"] = np.zeros(2)
    tensors["params/colour"] = np.zeros(2)
    del tensors["params/embedding/position"]
    message = refusal(vitnp.load, saved(tmp_path, tensors, facts))
    for words in ("params/norm/gamma holds NaN or infinite values",
                  "params/head/weight holds NaN or infinite values",
                  "params/head/bias has shape (1, 3), not (3,)",
                  "params/norm/beta is of type int64, not of floats",
                  "params/blocks/2/x belongs to no part", "params/colour belongs to no part",
                  "params/embedding/position is missing"):
        assert words in message
    assert message.count(";") == 6


def saved_model(folder):
    model().save(folder / "model.safetensors")
    return folder / "model.safetensors"


@pytest.mark.parametrize(("changes", "words"), [
    ({"config": None}, "no checkpoint of this version"), ({"config": {"speed": 1}}, "speed"),
    ({"config": {"width": -1}}, "width is -1"), ({"preprocess": {}}, "no checkpoint of this"),
    ({"class_names": 3}, "no checkpoint of this"), ({"class_names": ["a"]}, "1 class names"),
])
def test_facts_that_describe_no_model_are_refused(tmp_path, changes, words):
    tensors, facts = native.load(saved_model(tmp_path))
    assert words in refusal(vitnp.load, saved(tmp_path, tensors, facts | changes))
    del facts["class_names"]
    assert "class_names" in refusal(vitnp.load, saved(tmp_path, tensors, facts))
