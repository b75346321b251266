"""Random networks of transformers and timm: loaded, saved and loaded there, with one photograph.

Needs the extra `interop`. Each is right within 1e-5 or refused by name; the table says which.
"""

import random
import warnings

import numpy as np
import pytest
from foreign import DATA
from PIL import Image

import vitnp
from vitnp import params, vit
from vitnp.data import Dataset
from vitnp.runs.recipe import Recipe

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
timm = pytest.importorskip("timm")
pytestmark = pytest.mark.filterwarnings("ignore")
FILE = DATA / "photo" / "chelsea.png"
COUNT, BOUND = 20, 1e-5


def randomise(model, seed):
    """Add noise to all parameters, so that each has an influence."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def photograph(channels):
    return Image.open(FILE).convert("L" if channels == 1 else "RGB")


def hf_processor(folder):
    """Return the image processor in a folder, the one that uses Pillow."""
    if transformers.__version__.startswith("4."):
        return transformers.AutoImageProcessor.from_pretrained(folder, use_fast=False)
    return transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")


def hf_logits(folder):
    model = transformers.ViTForImageClassification.from_pretrained(folder).eval()
    pixels = hf_processor(folder)(photograph(3), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        return model(pixels).logits.numpy()


def timm_logits(folder):
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    data = timm.data.resolve_model_data_config(model)
    transform = timm.data.create_transform(**data, is_training=False)
    pixels = transform(photograph(data["input_size"][0]))[None]
    with torch.no_grad():
        return model(pixels).numpy()


def hf_case(folder, seed):
    """Write a random ViTForImageClassification with an image processor; return a description."""
    rng = random.Random(seed)
    heads, patch = rng.choice([1, 2, 3]), rng.choice([4, 8])
    side = patch * rng.choice([2, 3, 5])
    config = {"hidden_size": heads * rng.choice([6, 8, 12]), "num_attention_heads": heads,
              "num_hidden_layers": rng.choice([1, 2, 3]), "intermediate_size": rng.choice([16, 30]),
              "image_size": side, "patch_size": patch, "num_labels": rng.choice([2, 5]),
              "hidden_act": rng.choice(["gelu", "gelu", "gelu_new", "gelu_fast", "gelu_python",
                                        "gelu_pytorch_tanh", "gelu", "quick_gelu"]),
              "layer_norm_eps": rng.choice([1e-12, 1e-6, 1e-5]),
              "qkv_bias": rng.choice([True, True, False])}
    model = randomise(transformers.ViTForImageClassification(transformers.ViTConfig(**config)),
                      seed)
    model.save_pretrained(folder)
    sides, large = {"height": side, "width": side}, side + rng.randrange(9)
    scale = rng.choice([{}, {"image_mean": [0.485, 0.456, 0.406],
                             "image_std": [0.229, 0.224, 0.225]}])
    kind = rng.choice(["ViT", "DeiT", "Bit", "CLIP"])
    size = {"ViT": sides, "DeiT": {"height": large, "width": large + rng.randrange(3)}}.get(
        kind, {"shortest_edge": large if rng.random() < 0.8 else side - 2})
    cut = {} if kind == "ViT" else {"crop_size": sides, "do_center_crop": True}
    resample = rng.choice([0, 1, 2, 3])
    pil = "" if transformers.__version__.startswith("4.") else "Pil"
    getattr(transformers, f"{kind}ImageProcessor{pil}")(
        size=size, resample=resample, **cut, **scale).save_pretrained(folder)
    return f"{kind}, {config['hidden_act']}, {size}, cut {side}, filter {resample}"


def timm_case(folder, seed):
    """Write a random VisionTransformer with its settings of images; return a description."""
    rng = random.Random(seed)
    heads, patch = rng.choice([1, 2, 3]), rng.choice([4, 8])
    size = [patch * rng.choice([2, 3, 5])] * 2 if rng.random() < 0.8 else [2 * patch, 3 * patch]
    said = {"img_size": size, "patch_size": patch, "embed_dim": heads * rng.choice([8, 12]),
            "depth": rng.choice([1, 2, 3]), "num_heads": heads, "mlp_ratio": rng.choice([1.5, 2]),
            "num_classes": rng.choice([2, 5]), "in_chans": rng.choice([1, 3, 3, 3])}
    odd = rng.choice([
        {}, {}, {}, {"act_layer": "gelu_tanh"}, {"qkv_bias": False}, {"init_values": 0.5},
        {"no_embed_class": True}, {"global_pool": "avg"}, {"reg_tokens": 2}, {"qk_norm": True},
        {"global_pool": "avg", "class_token": False, "fc_norm": False}, {"pre_norm": True},
        {"global_pool": "avg", "class_token": False}, {"global_pool": "avg", "fc_norm": False},
        {"fc_norm": True}, {"pos_embed": "none"}, {"act_layer": "quick_gelu"}])
    model = randomise(timm.models.vision_transformer.VisionTransformer(**said, **odd), seed)
    images = {"crop_pct": rng.choice([1.0, 0.9, 0.875, 0.7]),
              "crop_mode": rng.choice(["center", "center", "squash", "center", "squash", "border"]),
              "interpolation": rng.choice(["bicubic", "bilinear", "nearest", "lanczos"]),
              "mean": [0.4, 0.5, 0.45][:said["in_chans"]],
              "std": [0.3, 0.2, 0.25][:said["in_chans"]]}
    model.pretrained_cfg = model.default_cfg = {
        "architecture": "vit_tiny_patch16_224", "input_size": (said["in_chans"], *size),
        "fixed_input_size": True, "num_classes": said["num_classes"], "pool_size": None,
        "first_conv": "patch_embed.proj", "classifier": "head", **images}
    timm.models.save_for_hf(model, str(folder), model_config=model.pretrained_cfg,
                            model_args=said | odd, safe_serialization=True)
    return f"{odd or 'plain'}, {size}, {images['crop_mode']} {images['crop_pct']}"


def outcome(folder, layout, case, seed):
    """Return a row of the table: description, and how each step went."""
    folder.mkdir()
    words, logits = case(folder, seed), hf_logits if layout == "huggingface" else timm_logits
    expected = logits(folder)
    try:
        model = vitnp.load(folder)
    except vitnp.Error as error:
        return words, [f"refused: {error}"]
    steps = [np.abs(model.logits(FILE) - expected).max()]
    for other, read in (("huggingface", hf_logits), ("timm", timm_logits), ("native", None)):
        try:
            model.save(folder / other, other)
        except vitnp.Error as error:
            steps.append(f"refused: {error}")
            continue
        found = read(folder / other) if read else vitnp.load(folder / other).logits(FILE)
        steps.append(np.abs(found - expected).max())
    return words, steps


@pytest.mark.parametrize(("layout", "case"), [("huggingface", hf_case), ("timm", timm_case)])
def test_random_networks_make_the_round_trip_or_are_refused_by_name(tmp_path, capsys, layout, case):
    warnings.simplefilter("ignore")
    rows = [outcome(tmp_path / str(seed), layout, case, seed) for seed in range(COUNT)]
    with capsys.disabled():
        print(f"\n{layout}: differences of the logits when loaded | saved to huggingface | to timm"
              " | to vitnp's own")
        for words, steps in rows:
            print(f"  {words}: " + " | ".join(
                f"{step:.1e}" if not isinstance(step, str) else step.replace(str(tmp_path), "")[:90]
                for step in steps))
    loaded = [steps for _, steps in rows if not isinstance(steps[0], str)]
    assert len(loaded) >= COUNT / 2
    for steps in loaded:
        assert all(isinstance(step, str) or step < BOUND for step in steps)
        own = steps[1 if layout == "huggingface" else 2]
        assert not isinstance(own, str) and not isinstance(steps[3], str)


@pytest.mark.parametrize("changes", [
    {}, {"pooling": "token"}, {"pooling": "avg"}, {"pooling": "token", "gelu": "erf"},
    {"positions": "2d"}, {"pooling": "token", "positions": "none"}])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_vitnp_trains_opens_in_timm_and_with_a_class_token_in_transformers(tmp_path, changes,
                                                                               channels):
    recipe = Recipe(model="micro/4", **changes)
    pixels = np.zeros((4, 16, 16, channels), np.uint8)
    config, preprocess = recipe.configure(Dataset("x", pixels, None, pixels, None, ("a", "b", "c")))
    tree = params.views(vit.init(config, np.random.default_rng(0)), vit.shapes(config))
    for array in params.flatten(tree).values():
        array += np.random.default_rng(1).normal(0, 0.1, array.shape).astype(array.dtype)
    model = vitnp.Model(config, tree, preprocess, ("a", "b", "c"))
    expected = model.logits(FILE)
    model.save(tmp_path / "timm", "timm")
    np.testing.assert_allclose(timm_logits(tmp_path / "timm"), expected, rtol=0, atol=BOUND)
    if config.pooling == "token" and channels == 3:
        model.save(tmp_path / "hf", "huggingface")
        np.testing.assert_allclose(hf_logits(tmp_path / "hf"), expected, rtol=0, atol=BOUND)
