"""Checkpoints that look like a plain ViT: what they are is said before anything is asked."""

import json
import shutil

import numpy as np
import pytest
from foreign import DATA, refusal
from safetensors.numpy import load_file, save_file

import vitnp
from vitnp import predict

PHOTO = DATA / "photo"
ONE = np.zeros(3, np.float32)
HF = load_file(PHOTO / "hf_plain" / "model.safetensors")
TIMM = load_file(PHOTO / "timm_center" / "model.safetensors")


def named(names):
    return {name: ONE for name in names.split()}


FAMILIES = {
    "torchvision": (named("class_token conv_proj.weight encoder.pos_embedding "
                          "encoder.layers.encoder_layer_0.ln_1.weight heads.head.weight"), {},
                    "torchvision's names"),
    "DeiT": ({name.replace("vit.", "deit."): tensor for name, tensor in HF.items()}
             | named("deit.embeddings.distillation_token"), {"model_type": "deit"},
             "a DeiT with a distillation token"),
    "timm's DeiT": (TIMM | named("dist_token head_dist.weight"), {}, "distillation token"),
    "registers": (HF | named("embeddings.register_tokens"),
                  {"model_type": "dinov2_with_registers"}, "with registers"),
    "timm's registers": (TIMM | named("reg_token"), {}, "facebook/dinov2-small"),
    "SigLIP": (named("vision_model.embeddings.patch_embedding.weight vision_model.head.probe"), {},
               "a SigLIP"),
    "timm's SigLIP": (TIMM | named("attn_pool.latent"), {}, "a SigLIP"),
    "CLIP": (named("vision_model.embeddings.class_embedding vision_model.pre_layrnorm.weight"
                   " logit_scale"), {"model_type": "clip"}, "a CLIP"),
    "OpenAI's CLIP": (named("visual.conv1.weight visual.ln_pre.weight"), {}, "a CLIP"),
    "timm's CLIP": (TIMM | named("norm_pre.weight"), {}, "a CLIP"),
    "MAE": (HF | named("decoder.decoder_layers.0.layernorm_before.weight decoder.mask_token"),
            {"model_type": "vit_mae"}, "a masked autoencoder (MAE)"),
    "Facebook's MAE": (TIMM | named("decoder_blocks.0.norm1.weight mask_token"), {}, "(MAE)"),
    "Swin": (named("swin.encoder.layers.0.blocks.0.layernorm_before.weight classifier.weight"),
             {"model_type": "swin"}, "a Swin Transformer"),
    "timm's Swin": (named("patch_embed.proj.weight layers.0.blocks.0.attn.qkv.weight"
                          " layers.0.blocks.0.attn.relative_position_bias_table"), {}, "a Swin"),
    "BEiT": (named("beit.embeddings.cls_token beit.encoder.layer.0.lambda_1"),
             {"model_type": "beit"}, "a BEiT"),
    "timm's BEiT": (TIMM | named("blocks.0.gamma_1"), {}, "a BEiT"),
    "DINOv2 with a classifier": (named("dinov2.embeddings.cls_token classifier.weight"
                                       " dinov2.encoder.layer.0.layer_scale1.lambda1"),
                                 {"model_type": "dinov2"}, "Dinov2Model.from_pretrained(FOLDER)"),
    "the giant DINOv2": (named("embeddings.cls_token encoder.layer.0.mlp.weights_in.weight"),
                         {"model_type": "dinov2"}, "gated MLP"),
    "DataParallel": ({f"module.{name}": tensor for name, tensor in TIMM.items()}, {},
                     "take the prefix off (name.removeprefix('module.'))"),
    "a whole state": ({f"model.{name}": tensor for name, tensor in HF.items()}, {}, "'model.'"),
    "ConvNeXt": (named("convnext.embeddings.layernorm.bias"), {"model_type": "convnext"},
                 "model_type 'convnext' (possible: 'vit', 'dinov2'); read are plain Vision"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_named_with_what_can_be_done_and_nothing_is_asked(tmp_path, family):
    tensors, said, words = FAMILIES[family]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    for lone in (True, False):
        if said and not lone:
            (tmp_path / "config.json").write_text(json.dumps(said))
        elif lone and family == "ConvNeXt":
            continue
        for path in (tmp_path, tmp_path / "model.safetensors"):
            message = refusal(vitnp.load, path)
            assert words in message and "give heads" not in message
    with pytest.raises(vitnp.Error):
        predict.main([str(tmp_path), str(PHOTO / "rocket.jpg")])


@pytest.mark.parametrize(("name", "data", "words"), [
    ("pytorch_model.bin", b"PK\x03\x04", "is a pickle"), ("best.pth", b"\x80\x02}q", "is a pickle"),
    ("dino.ckpt", b"\x80", "save_pretrained(FOLDER, safe_serialization=True)"),
    ("pytorch_model.bin.index.json", b"{}", "is a pickle"),
    ("tf_model.h5", b"\x89HDF", "in a format that is not read; hf download OWNER/NAME"),
    ("flax_model.msgpack", b"", "brings them as model.safetensors"),
    ("model.onnx", b"", "in a format that is not read"),
    ("config.json", b'{"model_type": "vit"}', "has a config.json but no weights; get both with hf"),
    ("model-00002-of-00003.safetensors", b"", "is one of the 3 files of a checkpoint"),
    ("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
     "the text that Git keeps in place of one; get it with git lfs pull, or with hf download"),
])
def test_a_folder_without_weights_that_are_read_says_what_to_type(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    assert words in refusal(vitnp.load, tmp_path)


def test_one_of_several_files_is_named(tmp_path):
    save_file(HF, tmp_path / "model-00001-of-00002.safetensors")
    assert "is one of the 2 files" in refusal(vitnp.load, tmp_path / "model-00001-of-00002.safetens"
                                              "ors")


def test_a_list_of_differences_stops_after_ten(tmp_path):
    shutil.copy(PHOTO / "hf_plain" / "config.json", tmp_path)
    save_file(HF | {f"vit.extra.{i}": ONE for i in range(200)}, tmp_path / "model.safetensors")
    message = refusal(vitnp.load, tmp_path)
    assert message.endswith("; and 190 more") and message.count(";") == 10


@pytest.mark.parametrize("prefix", ["params/", "opt/target/"])
def test_googles_files_of_a_whole_training_state_are_read(tmp_path, prefix):
    with np.load(DATA / "google_vit_small.npz") as plain:
        arrays = {prefix + name: array for name, array in plain.items()}
    np.savez(tmp_path / "a.npz", **arrays, **{"opt/state/step": np.int64(3)})
    found, expected = vitnp.load(tmp_path / "a.npz"), vitnp.load(DATA / "google_vit_small.npz")
    assert found.config == expected.config
    np.testing.assert_array_equal(found.logits(PHOTO / "rocket.jpg"),
                                  expected.logits(PHOTO / "rocket.jpg"))


# Settings of what is read


def changed(folder, name="hf_plain", **said):
    """Copy a fixture's folder with changes to its config.json."""
    shutil.copytree(PHOTO / name, folder)
    path = folder / "config.json"
    path.chmod(0o644)
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    return folder


@pytest.mark.parametrize(("said", "words"), [
    ({"quantization_config": {"bits": 4}}, "quantization_config {'bits': 4} (possible: none)"),
    ({"pruned_heads": {"1": [0]}}, "pruned_heads"), ({"qk_norm": True}, "qk_norm True"),
    ({"problem_type": "regression"}, "describes a regression"),
    ({"problem_type": 3}, "has the problem_type 3"), ({"problem_type": []}, "the problem_type []"),
])
def test_what_is_not_understood_and_matters_is_refused(tmp_path, said, words):
    assert words in refusal(vitnp.load, changed(tmp_path / "a", **said))


def test_what_says_nothing_is_read(tmp_path):
    folder = changed(tmp_path / "a", quantization_config=None, pruned_heads={}, _commit_hash="abc",
                     problem_type="single_label_classification", num_labels=5)
    np.testing.assert_array_equal(vitnp.load(folder).logits(PHOTO / "rocket.jpg"),
                                  vitnp.load(PHOTO / "hf_plain").logits(PHOTO / "rocket.jpg"))


@pytest.mark.parametrize("act", ["gelu_python", "gelu_fast", "gelu_new", "gelu_accurate"])
def test_other_names_of_both_gelus_are_known(tmp_path, act):
    config = vitnp.load(changed(tmp_path / "a", hidden_act=act)).config
    assert config.gelu == ("erf" if act == "gelu_python" else "tanh")


def test_a_mask_token_is_not_needed(tmp_path):
    folder = changed(tmp_path / "a")
    save_file(HF | {"vit.embeddings.mask_token": ONE}, folder / "model.safetensors")
    np.testing.assert_array_equal(vitnp.load(folder).logits(PHOTO / "rocket.jpg"),
                                  vitnp.load(PHOTO / "hf_plain").logits(PHOTO / "rocket.jpg"))


def test_a_head_of_many_labels_gives_each_its_own_probability(tmp_path, capsys):
    folder = changed(tmp_path / "a", problem_type="multi_label_classification")
    model = vitnp.load(folder)
    logits = model.logits(PHOTO / "rocket.jpg")
    np.testing.assert_allclose(model.probabilities(PHOTO / "rocket.jpg"),
                               1 / (1 + np.exp(-logits)), rtol=1e-5)
    for layout in ("native", "huggingface"):
        model.save(tmp_path / layout, layout)
        assert vitnp.load(tmp_path / layout).multi_label
    assert "do not exclude each other" in refusal(model.save, tmp_path / "b", "timm")
    assert not (tmp_path / "b").exists()
    predict.main([str(folder), str(PHOTO / "rocket.jpg"), "--json"])
    found = json.loads(capsys.readouterr().out)[0]["predictions"]
    assert sum(entry["probability"] for entry in found) == pytest.approx(
        model.probabilities(PHOTO / "rocket.jpg").sum())


def test_dinov2_is_a_vit_with_scales_and_its_positions_are_resized(tmp_path, capsys):
    """Trained on a grid of 7 x 7; its processor cuts out 4 x 4 patches."""
    model = vitnp.load(PHOTO / "hf_dinov2")
    assert model.config.image_size == (32, 32) and model.config.eps == 1e-6
    with np.load(PHOTO / "photo_dinov2_ref.npz") as expected:
        for name, features in expected.items():
            np.testing.assert_allclose(model.features(PHOTO / name), features, rtol=0, atol=1e-5)
    own = vitnp.load(PHOTO / "hf_dinov2", image_size=56)
    assert own.preprocess.resize == (63, 63) and own.config.grid == (7, 7)
    assert "cannot be cut into patches" in refusal(vitnp.load, PHOTO / "hf_dinov2", "last",
                                                    None, 30)
    shutil.copy(PHOTO / "hf_dinov2" / "model.safetensors", tmp_path / "a.safetensors")
    lone = vitnp.load(tmp_path / "a.safetensors", heads=3, image_size=(32, 40))
    assert lone.config.eps == 1e-6 and lone.config.grid == (4, 5)
    assert "which would say how pictures are prepared" in capsys.readouterr().err
    model.save(tmp_path / "vit", "huggingface")
    np.testing.assert_allclose(vitnp.load(tmp_path / "vit").features(PHOTO / "rocket.jpg"),
                               model.features(PHOTO / "rocket.jpg"), rtol=0, atol=1e-6)
