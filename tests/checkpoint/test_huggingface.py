"""Hugging Face's folders: read, written, and run with their values, gradients and refusals."""

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
from PIL import Image
from safetensors.numpy import load_file, save_file

import vitnp
from vitnp import params, vit
from vitnp.checkpoint import huggingface
from vitnp.data.preprocess import Preprocess
from vitnp.layers import textbook

KINDS = [{}, {"gelu": "tanh", "eps": 1e-5}, {"classes": None}, {"channels": 1},
         {"classes": None, "pre_logits": 12}, {"classes": None, "pre_logits": 7},
         {"image_size": (4, 16)}]
HF = {"gelu": "erf", "eps": 1e-12}


def nhwc(images):
    return images.transpose(0, 2, 3, 1)


def expected_of(reference):
    """Return what transformers computed, under the names of check_forward."""
    expected = {f"block/{i}": reference[f"hidden_states/{i + 1}"] for i in range(3)}
    return expected | {f"attention/{i}": reference[f"attentions/{i}"] for i in range(3)}


def copied(folder, name="hf_vit"):
    for path in (DATA / name).iterdir():        # not copytree, which would keep "read only"
        shutil.copyfile(path, folder / path.name)
    return folder


def change(folder, name, **changes):
    """Change or, where the value is None, leave out settings in a JSON file."""
    said = json.loads((folder / name).read_text()) | changes
    said = {key: value for key, value in said.items() if value is not None}
    (folder / name).write_text(json.dumps(said))


@pytest.mark.parametrize("name", ["hf_vit", "hf_vit_pooler"])
def test_a_folder_and_its_file_are_read_alike_and_written_as_they_were(tmp_path, name):
    model = vitnp.load(DATA / name)
    assert (model.config.heads, model.config.gelu, model.config.eps) == (4, "erf", 1e-12)
    assert model.config.pre_logits == (24 if name == "hf_vit_pooler" else None)
    assert model.preprocess == Preprocess((16, 16), (0.5,) * 3, (0.5,) * 3, "bilinear")
    assert model.class_names is None
    same_bits(vitnp.load(str(DATA / name / "model.safetensors")).params, model.params)
    model.save(tmp_path / "a", "huggingface")
    same_bits(load_file(tmp_path / "a" / "model.safetensors"),
              load_file(DATA / name / "model.safetensors"))
    for file in ("config.json", "preprocessor_config.json"):
        ours, theirs = (json.loads((folder / file).read_text())
                        for folder in (tmp_path / "a", DATA / name))
        assert {key: theirs[key] for key in ours if key in theirs} == {
            key: value for key, value in ours.items() if key in theirs}


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_values_loss_and_every_gradient_are_those_of_transformers(dtype):
    model, reference = vitnp.load(DATA / "hf_vit"), np.load(DATA / "hf_vit_ref.npz")
    config, tree = model.config, cast(model.params, dtype)
    bound, gradient_bound = PRECISIONS[dtype]
    images = nhwc(reference["pixel_values"]).astype(dtype)
    expected = expected_of(reference) | {"logits": reference["logits"],
                                         "features": reference["last_hidden_state"][:, 0]}
    check_forward(config, tree, images, expected, bound)
    loss, dimages, gradients = loss_and_gradients(config, tree, images, reference["labels"])
    assert abs(loss - reference["loss"]) < bound
    expected = nhwc(reference["grad_pixel_values"])
    assert np.abs(dimages - expected).max() <= gradient_bound * np.abs(expected).max()
    check_gradients(huggingface.from_ours(gradients, config), reference, gradient_bound, 24)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_the_pooler_is_a_layer_before_logits(dtype):
    """Its loss has two parts: from the pooler, and from all tokens after the last LayerNorm."""
    model, reference = vitnp.load(DATA / "hf_vit_pooler"), np.load(DATA / "hf_vit_pooler_ref.npz")
    config, tree = model.config, cast(model.params, dtype)
    bound, gradient_bound = PRECISIONS[dtype]
    images = nhwc(reference["pixel_values"]).astype(dtype)
    pooled, hidden = (reference[f"cotangent_{part}"].astype(dtype)
                      for part in ("pooler_output", "last_hidden_state"))
    expected = expected_of(reference) | {"logits": reference["pooler_output"]}
    check_forward(config, tree, images, expected, bound)

    y, cache = vit.forward(images, tree, config)
    *_, (x, _) = vit.encode(vit.embed(images, tree, config)[0], tree, config)
    normed, norm_cache = textbook.layernorm.forward(
        x, tree["norm"]["gamma"], tree["norm"]["beta"], config.eps)
    assert np.abs(normed - reference["last_hidden_state"]).max() < bound
    loss = (y * pooled).sum() + (normed * hidden).sum()
    assert abs(loss - reference["loss"]) < 20 * bound           # a sum of 816 terms
    gradients = {}
    dx = vit.head_backward(pooled, cache, gradients.__setitem__)
    dmore, dgamma, dbeta = textbook.layernorm.backward(hidden, norm_cache)
    gradients["norm"] = {"gamma": gradients["norm"]["gamma"] + dgamma,
                         "beta": gradients["norm"]["beta"] + dbeta}
    dx = vit.encode_backward(dx + dmore, cache, gradients.__setitem__)
    dimages = vit.embed_backward(dx, cache, gradients.__setitem__)
    expected = nhwc(reference["grad_pixel_values"])
    assert np.abs(dimages - expected).max() <= gradient_bound * np.abs(expected).max()
    gradients = params.nest(params.flatten(gradients))
    check_gradients(huggingface.from_ours(gradients, config), reference, gradient_bound, 24)


def test_pictures_become_what_the_image_processor_makes_of_them(tmp_path):
    preprocess, cases = vitnp.load(DATA / "hf_vit").preprocess, np.load(DATA / "hf_preprocess.npz")
    names = {key.partition("/")[0] for key in cases.files}
    assert len(names) == 4
    for name in names:
        path = tmp_path / f"{name}.png"
        Image.fromarray(cases[f"{name}/image_uint8"]).save(path)
        found = preprocess.scale(preprocess.batch(path))
        assert np.abs(found - nhwc(cases[f"{name}/pixel_values"][None])).max() < 1e-6, name


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_written_model_comes_back_to_the_bit(tmp_path, dtype, changes):
    check_comes_back(tmp_path, "huggingface", dtype, HF | changes)


def test_names_and_scales_come_back_too(tmp_path):
    check_names_and_scales_come_back(tmp_path, huggingface, HF)


def test_the_file_alone_is_asked_for_its_heads(tmp_path):
    shutil.copyfile(DATA / "hf_vit" / "model.safetensors", tmp_path / "b.safetensors")
    message = refusal(vitnp.load, tmp_path / "b.safetensors")
    assert "does not say how many attention heads the network has; give heads, such as" in message
    loaded = vitnp.load(tmp_path / "b.safetensors", heads=4)
    assert loaded.config == vitnp.load(DATA / "hf_vit").config
    assert "24 cannot be divided among 5 heads" in refusal(
        vitnp.load, tmp_path / "b.safetensors", heads=5)
    assert "has 4 heads, not 6" in refusal(vitnp.load, DATA / "hf_vit", heads=6)


@pytest.mark.parametrize(("file", "changes", "words"), [
    ("config.json", {"hidden_act": "relu"}, "hidden_act 'relu' (possible: 'gelu', 'gelu_p"),
    ("config.json", {"model_type": "bert"}, "model_type 'bert' (possible: 'vit', "),
    ("config.json", {"hidden_size": 32, "num_hidden_layers": 2}, "hidden_size 32, not 24; num_h"),
    ("config.json", {"patch_size": 8}, "patch_size 8, not 4"),
    ("config.json", {"image_size": 32}, "32 x 32 have 64 patches of side 4"),
    ("config.json", {"image_size": "16"}, "cannot have the image size '16'"),
    ("config.json", {"num_attention_heads": 5}, "cannot be divided among 5 heads"),
    ("config.json", {"num_attention_heads": "4"}, "heads is '4'"),
    ("config.json", {"layer_norm_eps": -1}, "eps is -1"),
    ("config.json", {"id2label": {"0": "a"}}, "does not name the classes 0 to 4"),
    ("config.json", {"id2label": {str(i): i for i in range(5)}}, "does not name the classes"),
    ("config.json", {"id2label": ["a"] * 5}, "does not name the classes 0 to 4"),
    ("preprocessor_config.json", {"do_normalize": False}, "do_normalize False (possible: True)"),
    ("preprocessor_config.json", {"rescale_factor": 1}, "rescale_factor 1"),
    ("preprocessor_config.json", {"resample": 4}, "resample 4 (possible: 0, 1, 2, 3)"),
    ("preprocessor_config.json", {"do_resize": False}, "do_resize False (possible: True)"),
    ("preprocessor_config.json", {"do_rescale": False}, "do_rescale False (possible: True)"),
    ("preprocessor_config.json", {"do_flip_channel_order": True}, "do_flip_channel_order True"),
    ("preprocessor_config.json", {"do_pad": True}, "do_pad True (possible: none)"),
    ("preprocessor_config.json", {"size": {"longest_edge": 16}}, "size {'longest_edge': 16}"),
    ("preprocessor_config.json", {"size": {"shortest_edge": 16, "longest_edge": 20}}, "the size"),
    ("preprocessor_config.json", {"do_center_crop": True, "crop_size": 20}, "images of 20 x 20, "),
    ("preprocessor_config.json", {"crop_pct": 0.9}, "crop_pct 0.9"),
    ("preprocessor_config.json", {"image_processor_type": "ConvNextImageProcessor"}, "the image "),
    ("preprocessor_config.json", {"image_mean": [0.5] * 2}, "one number for each channel"),
    ("preprocessor_config.json", {"image_mean": 0.5}, "the mean 0.5, not one number for each"),
    ("preprocessor_config.json", {"image_std": [0.5, 0, 1]}, "each std must be above 0"),
    ("preprocessor_config.json", {"size": 32}, "describes images of 32 x 32, but the network"),
])
def test_settings_that_are_not_those_of_a_vit_are_refused(tmp_path, file, changes, words):
    change(copied(tmp_path), file, **changes)
    message = refusal(vitnp.load, tmp_path)
    assert words in message and str(tmp_path) in message


@pytest.mark.parametrize("size", [16, [16, 16], {"shortest_edge": 20}, {"height": 16, "width": 16}])
def test_sizes_are_written_in_many_ways(tmp_path, size):
    change(copied(tmp_path), "preprocessor_config.json", size=size)
    assert vitnp.load(tmp_path).preprocess.size == (16, 16)


@pytest.mark.parametrize("data", [b"", b"[1]", b"{", b"[" * 100_000, b"\xff\xfe", b"null"])
def test_json_that_is_none_is_refused(tmp_path, data):
    for file in ("preprocessor_config.json", "config.json"):
        (copied(tmp_path) / file).write_bytes(data)
        assert f"{tmp_path / file} is damaged" in refusal(vitnp.load, tmp_path)


def test_what_a_folder_cannot_say_is_not_written(tmp_path):
    for changes, words in (({"pooling": "avg"}, "pooling 'avg' (possible: 'token')"),
                           ({"pooling": "gap"}, "pooling 'gap' (possible: 'token')"),
                           ({"pre_logits": 12}, "both a head and a pre-logits layer")):
        message = refusal(random_model(**changes).save, tmp_path / "a", "huggingface")
        assert words in message and "another layout" in message
    assert list(tmp_path.iterdir()) == []


def test_everything_that_is_wrong_is_listed_at_once_in_the_files_own_names(tmp_path):
    tensors = load_file(copied(tmp_path) / "model.safetensors")
    del tensors["vit.layernorm.bias"]
    tensors["vit.encoder.layer.2.output.dense.weight"] = np.zeros((36, 24), np.float32)
    tensors["classifier.bias"] = np.arange(5)
    tensors["vit.pooler.extra"] = np.zeros(2, np.float32)
    save_file(tensors, tmp_path / "model.safetensors")
    message = refusal(vitnp.load, tmp_path)
    for words in ("vit.layernorm.bias of shape (24,) is missing",
                  "vit.encoder.layer.2.output.dense.weight has shape (36, 24), not (24, 36)",
                  "classifier.bias is of type I64, not of floats",
                  "vit.pooler.extra belongs to no part"):
        assert words in message, words


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("changes", [changes for changes in KINDS if changes.get("classes", 1)])
def test_transformers_reads_what_is_written(tmp_path, changes):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = random_model(**(HF | changes))
    model.save(tmp_path, "huggingface")
    theirs, told = transformers.ViTForImageClassification.from_pretrained(
        tmp_path, output_loading_info=True, attn_implementation="eager")
    assert not any(told[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    images = np.random.default_rng(1).random((2, *model.preprocess.shape), np.float32)
    pixels = torch.from_numpy(model.preprocess.scale(images).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        logits = theirs.eval()(pixels).logits.numpy()
    np.testing.assert_allclose(model.logits(images), logits, rtol=0, atol=2e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pre_logits", [12, 7])
def test_transformers_reads_a_pooler_too(tmp_path, pre_logits):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = random_model(**HF, classes=None, pre_logits=pre_logits)
    model.save(tmp_path, "huggingface")
    theirs = transformers.ViTModel.from_pretrained(tmp_path)
    images = np.random.default_rng(1).random((2, *model.preprocess.shape), np.float32)
    pixels = torch.from_numpy(model.preprocess.scale(images).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        features = theirs.eval()(pixels).pooler_output.numpy()
    np.testing.assert_allclose(model.features(images), features, rtol=0, atol=1e-5)
