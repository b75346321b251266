"""timm's folders: read, written, and run with their values, gradients and refusals."""

import json
import shutil

import numpy as np
import pytest
from foreign import (
    DATA,
    PRECISIONS,
    cast,
    check_comes_back,
    check_forward,
    check_gradients,
    check_names_and_scales_come_back,
    loss_and_gradients,
    random_model,
    refusal,
    same_bits,
)
from safetensors.numpy import load_file, save_file

import vitnp
from vitnp.checkpoint import timm
from vitnp.data.preprocess import Preprocess

NAMES = ("timm_vit", "timm_vit_avg")
KINDS = [{}, {"pooling": "avg"}, {"gelu": "tanh"}, {"classes": None}, {"channels": 1},
         {"image_size": (4, 16), "pooling": "avg", "classes": None}, {"mlp_width": 11}]
ERF = {"gelu": "erf"}


def nhwc(images):
    return images.transpose(0, 2, 3, 1)


def copied(folder, name="timm_vit", **changes):
    """Copy a fixture, and change or, where the value is None, leave out settings in its JSON."""
    for path in (DATA / name).iterdir():
        shutil.copyfile(path, folder / path.name)
    said = json.loads((folder / "config.json").read_text()) | changes
    said = {key: value for key, value in said.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(said))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_and_its_file_are_read_alike_and_written_as_they_were(tmp_path, name):
    model = vitnp.load(DATA / name)
    assert (model.config.heads, model.config.gelu, model.config.eps) == (4, "erf", 1e-6)
    assert model.config.pooling == ("avg" if name == "timm_vit_avg" else "token")
    assert model.preprocess == Preprocess((16, 16), (0.5,) * 3, (0.5,) * 3, "bicubic", (17, 17),
                                          True, "even")
    same_bits(vitnp.load(str(DATA / name / "model.safetensors")).params, model.params)
    model.save(tmp_path / "a", "timm")
    same_bits(load_file(tmp_path / "a" / "model.safetensors"),
              load_file(DATA / name / "model.safetensors"))
    ours, theirs = (json.loads((folder / "config.json").read_text())
                    for folder in (tmp_path / "a", DATA / name))
    for key in ("img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio",
                "num_classes", "global_pool", "in_chans"):
        assert ours["model_args"][key] == theirs["model_args"][key], key
    for key in ("mean", "std", "input_size", "interpolation", "num_classes"):
        assert ours["pretrained_cfg"][key] == theirs["pretrained_cfg"][key], key


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", NAMES)
def test_values_loss_and_every_gradient_are_those_of_timm(name, dtype):
    model, reference = vitnp.load(DATA / name), np.load(DATA / f"{name}_ref.npz")
    config, tree = model.config, cast(model.params, dtype)
    bound, gradient_bound = PRECISIONS[dtype]
    images = nhwc(reference["pixel_values"]).astype(dtype)
    expected = {key.replace("block_out", "block"): reference[key] for key in reference.files}
    if config.pooling == "token":
        expected["features"] = expected["features"].reshape(3, 24)
    check_forward(config, tree, images, expected, bound)
    loss, dimages, gradients = loss_and_gradients(config, tree, images, reference["labels"])
    assert abs(loss - reference["loss"]) < bound
    expected = nhwc(reference["grad_pixel_values"])
    assert np.abs(dimages - expected).max() <= gradient_bound * np.abs(expected).max()
    check_gradients(timm.from_ours(gradients, config), reference, gradient_bound, 24)


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_written_model_comes_back_to_the_bit(tmp_path, dtype, changes):
    check_comes_back(tmp_path, "timm", dtype, ERF | changes)


def test_names_and_scales_come_back_too(tmp_path):
    check_names_and_scales_come_back(tmp_path, timm, ERF)


def test_heads_are_read_from_the_name_or_asked_for(tmp_path):
    whole = vitnp.load(DATA / "timm_vit").config
    bare = copied(tmp_path, model_args=None, architecture="vit_tiny_patch16_224.augreg")
    assert vitnp.load(bare).config.heads == 3
    assert vitnp.load(bare, heads=4).config == whole
    for architecture in ("vit_medium_patch16_gap_240", "vit_base_patch16_clip_224", "vit_tiny", 3):
        copied(tmp_path, model_args=None, architecture=architecture)
        assert "give heads, such as heads=1" in refusal(vitnp.load, bare)
        assert vitnp.load(bare, heads=4).config == whole
    (tmp_path / "config.json").unlink()
    assert "does not say how many attention heads" in refusal(vitnp.load, tmp_path)
    assert vitnp.load(tmp_path / "model.safetensors", heads=4).config == whole
    assert "has 4 heads, not 6" in refusal(vitnp.load, DATA / "timm_vit", heads=6)


def test_settings_of_older_versions_are_read(tmp_path):
    copied(tmp_path, pretrained_cfg=None, mean=[0.4, 0.5, 0.6], std=[0.1, 0.2, 0.3],
           interpolation="bilinear", input_size=[3, 16, 16])
    # crop_pct is 0.875 where nothing is said
    expected = Preprocess((16, 16), (0.4, 0.5, 0.6), (0.1, 0.2, 0.3), "bilinear", (18, 18), True,
                          "even")
    assert vitnp.load(tmp_path).preprocess == expected


ARGUMENTS = json.loads((DATA / "timm_vit" / "config.json").read_text())["model_args"]


@pytest.mark.parametrize(("changes", "words"), [
    ({"model_args": ARGUMENTS | {"reg_tokens": 4}}, "reg_tokens 4 (possible: 0)"),
    ({"model_args": ARGUMENTS | {"act_layer": "relu"}}, "act_layer 'relu' (possible: None, 'ge"),
    ({"model_args": ARGUMENTS | {"rope": True}}, "rope True (possible: none)"),
    ({"model_args": ARGUMENTS | {"depth": 4, "embed_dim": 32}}, "embed_dim 32, not 24; depth 4"),
    ({"model_args": ARGUMENTS | {"patch_size": [4, 8]}}, "patch_size [4, 8], not 4"),
    ({"model_args": ARGUMENTS | {"global_pool": "avg"}},
     "global_pool 'avg', a class token and the last norm before the"),
    ({"model_args": ARGUMENTS | {"img_size": [16, 20]}}, "16 x 20 have 20 patches of side 4"),
    ({"model_args": ARGUMENTS | {"num_heads": 0}}, "heads is 0"),
    ({"model_args": [1]}, "model_args in it is no JSON object"),
    ({"model_args": None, "global_pool": "avg", "architecture": "vit_tiny_patch16_224"},
     "global_pool 'avg', a class token and the last norm before the"),
    ({"pretrained_cfg": {"interpolation": "hamming"}}, "interpolation 'hamming'"),
    ({"pretrained_cfg": {"crop_mode": "border"}}, "crop_mode 'border' (possible: 'center', 'squ"),
    ({"pretrained_cfg": {"crop_pct": "a"}}, "crop_pct"),
    ({"pretrained_cfg": {"input_size": [3, 20, 20]}}, "images of [20, 20], but the network takes"),
    ({"pretrained_cfg": {"mean": [0.5]}}, "one number for each"),
    ({"pretrained_cfg": {"mean": ["a"] * 3}}, "one number for each channel"),
    ({"pretrained_cfg": {"std": [0.5, 0.5, float("nan")]}}, "one number for each channel"),
    ({"label_names": ["a", "b"]}, "do not name the classes 0 to 4"),
])
def test_settings_that_are_not_those_of_a_vit_are_refused(tmp_path, changes, words):
    message = refusal(vitnp.load, copied(tmp_path, **changes))
    assert words in message and str(tmp_path) in message


def test_what_a_folder_cannot_say_is_not_written(tmp_path):
    message = refusal(random_model(pre_logits=12).save, tmp_path / "a", "timm")
    assert "pre_logits 12 (possible: None)" in message and "another layout" in message
    assert list(tmp_path.iterdir()) == []


def test_everything_that_is_wrong_is_listed_at_once_in_the_files_own_names(tmp_path):
    tensors = load_file(copied(tmp_path) / "model.safetensors")
    del tensors["norm.bias"]
    tensors["blocks.1.attn.qkv.weight"] = np.zeros((24, 72), np.float32)
    tensors["blocks.1.ls1.beta"] = np.ones(24, np.float32)
    tensors["pos_embed"][0, 3, 5] = np.nan
    save_file(tensors, tmp_path / "model.safetensors")
    message = refusal(vitnp.load, tmp_path)
    for words in ("norm.bias of shape (24,) is missing", "blocks.1.ls1.beta belongs to no part",
                  "blocks.1.attn.qkv.weight has shape (24, 72), not (72, 24)"):
        assert words in message, words


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("changes", KINDS)
def test_timm_reads_what_is_written(tmp_path, changes):
    torch, theirs = pytest.importorskip("torch"), pytest.importorskip("timm")
    model = random_model(**(ERF | changes))
    model.save(tmp_path, "timm")
    network = theirs.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert sum(p.numel() for p in network.parameters()) == sum(
        p.size for p in load_file(tmp_path / "model.safetensors").values())
    images = np.random.default_rng(1).random((2, *model.preprocess.shape), np.float32)
    pixels = torch.from_numpy(model.preprocess.scale(images).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        results = network(pixels).numpy()
    ours = model.logits(images) if model.config.classes else model.features(images)
    np.testing.assert_allclose(ours, results, rtol=0, atol=2e-5)


@pytest.mark.filterwarnings("ignore")
def test_timm_prepares_pictures_as_the_written_settings_say(tmp_path):
    pytest.importorskip("torch")
    theirs = pytest.importorskip("timm")
    random_model(**ERF).save(tmp_path, "timm")
    network = theirs.create_model(f"local-dir:{tmp_path}", pretrained=True)
    data = theirs.data.resolve_model_data_config(network)
    assert (data["crop_mode"], data["crop_pct"]) == ("squash", 1.0)
    assert data["input_size"] == (3, 8, 12) and data["interpolation"] == "bilinear"
