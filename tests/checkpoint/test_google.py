"""The authors' .npz files: read, written, and run with their values, gradients and refusals."""

import json
import tracemalloc

import google_reader as reader
import numpy as np
import pytest
from foreign import (
    CONFIG,
    DATA,
    PRECISIONS,
    cast,
    check_forward,
    check_gradients,
    loss_and_gradients,
    random_model,
    refusal,
    same_bits,
)

import vitnp
from vitnp import params, vit
from vitnp.checkpoint import google, huggingface, renaming, timm
from vitnp.data.preprocess import Preprocess

NAMES = ("google_vit_small", "google_vit_small_rep", "google_vit_gap", "google_vit_nonsquare")
KINDS = [{}, {"pooling": "gap"}, {"pre_logits": 7}, {"classes": None}, {"channels": 1},
         {"classes": None, "pre_logits": 7}, {"image_size": 6, "heads": 4}]


def given(name):
    return {"image_size": (12, 20)} if name.endswith("nonsquare") else {}


def arrays_of(name="google_vit_small"):
    with np.load(DATA / f"{name}.npz") as file:
        return dict(file)


def written(folder, arrays):
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


@pytest.mark.parametrize("name", NAMES)
def test_files_are_read_as_another_reader_reads_them(name):
    config, tree, reference = reader.load(name)
    model = vitnp.load(DATA / f"{name}.npz", **given(name))
    assert model.config == config and model.class_names is None
    assert model.preprocess == Preprocess(config.image_size, (0.5,) * 3, (0.5,) * 3)
    same_bits(cast(model.params, np.float64), tree)
    assert model.params["norm"]["gamma"].dtype == np.float32
    same_bits(google.to_ours(arrays_of(name), config), model.params)
    gradients = {key.removeprefix("grad/"): reference[key] for key in reference.files}
    same_bits(google.to_ours(gradients, config), reader.to_tree(reference, config, "grad/"))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_read_is_written_as_it_was(tmp_path, name):
    model = vitnp.load(DATA / f"{name}.npz", **given(name))
    model.save(tmp_path / "a.npz", "google")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        same_bits(dict(file), arrays_of(name))


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", NAMES)
def test_values_loss_and_every_gradient_are_the_authors(name, dtype):
    model, (_, _, reference) = vitnp.load(DATA / f"{name}.npz", **given(name)), reader.load(name)
    config, tree = model.config, cast(model.params, dtype)
    bound, gradient_bound = PRECISIONS[dtype]
    images = reference["images"].astype(dtype)
    expected = {key.replace("block_out", "block"): reference[key] for key in reference.files}
    check_forward(config, tree, images, expected, bound)
    loss, dimages, gradients = loss_and_gradients(config, tree, images, reference["labels"])
    assert abs(loss - reference["loss"]) < bound
    expected = reference["grad_images"]
    assert np.abs(dimages - expected).max() <= gradient_bound * np.abs(expected).max()
    check_gradients(google.from_ours(gradients, config), reference, gradient_bound, config.width)


def test_a_loaded_model_takes_pictures_as_the_authors_scale_them():
    model, (_, _, reference) = vitnp.load(DATA / "google_vit_small.npz"), reader.load(NAMES[0])
    images = (reference["images"] + 1) / 2
    assert np.abs(model.logits(images) - reference["logits"]).max() < 1e-5
    assert np.abs(model.features(images) - reference["features"]).max() < 1e-5


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_written_model_comes_back_to_the_bit(tmp_path, dtype, changes):
    model = random_model(dtype, **changes)
    model.save(tmp_path / "a.npz", "google")
    loaded = vitnp.load(tmp_path, image_size=model.config.image_size)
    assert (loaded.config, loaded.preprocess) == (model.config, model.preprocess)
    same_bits(model.params, loaded.params)


def test_both_spellings_of_the_indices_are_read(tmp_path):
    model = vitnp.load(DATA / "google_vit_small_rep.npz")
    later = {name.replace("Attention_1", "Attention_0").replace("LayerNorm_2", "LayerNorm_1")
             .replace("MlpBlock_3", "MlpBlock_0"): array
             for name, array in arrays_of("google_vit_small_rep").items()}
    same_bits(vitnp.load(written(tmp_path, later)).params, model.params)
    mixed = {name.replace("block_1/MlpBlock_0", "block_1/MlpBlock_3"): array
             for name, array in later.items()}
    message = refusal(vitnp.load, written(tmp_path, mixed))
    assert "encoderblock_1/MlpBlock_3/Dense_0/bias belongs to no part" in message
    assert "encoderblock_1/MlpBlock_0/Dense_0/bias of shape (36,) is missing" in message


def test_a_head_of_21843_classes_and_none_are_read(tmp_path):
    arrays = arrays_of("google_vit_small_rep")
    arrays["head/kernel"] = np.random.default_rng(0).random((20, 21843), np.float32)
    arrays["head/bias"] = np.arange(21843, dtype=np.float32)
    model = vitnp.load(written(tmp_path, arrays))
    assert model.config.classes == 21843 and model.config.pre_logits == 20
    np.testing.assert_array_equal(model.params["head"]["weight"], arrays["head/kernel"])
    headless = {name: array for name, array in arrays.items() if not name.startswith("head/")}
    model = vitnp.load(written(tmp_path, headless))
    assert model.config.classes is None and "head" not in model.params
    assert model.features(np.zeros((16, 16, 3))).shape == (1, 20)


def test_float16_becomes_float32_and_other_orders_of_bytes_are_read(tmp_path):
    model = vitnp.load(DATA / "google_vit_small.npz")
    swapped = {name: array.astype(">f4") for name, array in arrays_of().items()}
    same_bits(vitnp.load(written(tmp_path, swapped)).params, model.params)
    turned = {name: np.asfortranarray(array) for name, array in arrays_of().items()}
    same_bits(vitnp.load(written(tmp_path, turned)).params, model.params)
    halved = {name: array.astype(np.float16) for name, array in arrays_of().items()}
    expected = cast(cast(model.params, np.float16), np.float32)
    same_bits(vitnp.load(written(tmp_path, halved)).params, expected)


def test_what_a_file_does_not_say_is_asked_for_by_name():
    path = DATA / "google_vit_nonsquare.npz"
    assert "15 patches of side 4, which make no square; give image_size=" in refusal(
        vitnp.load, path)
    message = refusal(vitnp.load, path, image_size=16)
    assert "16 x 16 have 16 patches" in message and "positions for 15" in message
    for size in ((12, 20, 3), (12,), 12.0, "big", (True, 20), (-12, -20)):
        assert "image size" in refusal(vitnp.load, path, image_size=size)
    assert "cannot be cut into patches of side 4" in refusal(vitnp.load, path, image_size=(13, 20))
    assert "has 4 heads, not 3" in refusal(vitnp.load, DATA / "google_vit_small.npz", heads=3)
    assert vitnp.load(DATA / "google_vit_small.npz", heads=4, image_size=16).config.heads == 4


def test_everything_that_is_wrong_is_listed_at_once_in_the_files_own_names(tmp_path):
    arrays, block = arrays_of(), "Transformer/encoderblock_1/"
    del arrays["Transformer/encoder_norm/bias"], arrays[block + "LayerNorm_0/scale"]
    arrays["embedding/bias"] = np.zeros(25, np.float32)
    arrays[block + "MlpBlock_3/Dense_0/kernel"] = np.zeros((36, 24), np.float32)
    arrays[block + "MultiHeadDotProductAttention_1/key/kernel"] = np.zeros((24, 24), np.float32)
    arrays["head/bias"] = np.arange(5)
    arrays["Transformer/dust"] = np.zeros(3)
    message = refusal(vitnp.load, written(tmp_path, arrays))
    for words in ("Transformer/encoder_norm/bias of shape (24,) is missing",
                  block + "LayerNorm_0/scale of shape (24,) is missing",
                  "embedding/bias has shape (25,), not (24,)",
                  block + "MlpBlock_3/Dense_0/kernel has shape (36, 24), not (24, 36)",
                  "key/kernel has shape (24, 24), not (24, 4, 6)",
                  "head/bias is of type int64, not of floats",
                  "Transformer/dust belongs to no part"):
        assert words in message, words
    assert message.count(";") == 6 and str(tmp_path) in message


def test_nan_and_infinite_values_are_listed(tmp_path):
    arrays = arrays_of()
    arrays["cls"][0, 0, 3], arrays["head/kernel"][2, 1] = np.nan, -np.inf
    message = refusal(vitnp.load, written(tmp_path, arrays))
    del arrays["cls"]
    assert "cls of shape (1, 1, 24) is missing" in refusal(vitnp.load, written(tmp_path, arrays))
    assert "cls holds NaN or infinite values; head/kernel holds NaN" in message


@pytest.mark.parametrize(("changes", "words"), [
    ({"gelu": "erf"}, "gelu 'erf' (possible: 'tanh')"), ({"pooling": "avg"}, "pooling 'avg'"),
    ({"image_size": (4, 16)}, "2 x 8 patches would be taken for a square"),
])
def test_what_a_file_cannot_say_is_not_written(tmp_path, changes, words):
    model = random_model(**changes)
    message = refusal(model.save, tmp_path / "a.npz", "google")
    assert words in message and "another layout" in message
    scale = Preprocess(CONFIG.image_size, (0.4,) * 3, (0.5,) * 3, "bicubic")
    message = refusal(google.save, tmp_path / "a.npz", CONFIG, random_model().params, scale)
    assert "mean (0.4, 0.4, 0.4)" in message and "resample 'bicubic'" in message
    assert list(tmp_path.iterdir()) == []


def test_layouts_and_places_that_are_none_are_refused(tmp_path):
    model = random_model()
    assert "no layout 'keras'; possible are native, google" in refusal(
        model.save, tmp_path / "a", "keras")
    for layout in ("google", "huggingface", "timm"):
        message = refusal(model.save, tmp_path / "missing" / "a", layout)
        assert str(tmp_path / "missing") in message
    for name in ("a.npz", "b.npz"):
        (tmp_path / name).touch()
    assert "holds 2 .npz files; name the one" in refusal(vitnp.load, tmp_path)


@pytest.mark.parametrize(("layout", "changes"), [
    (google, {"pre_logits": 7}), (google, {"pooling": "gap"}), (huggingface, {}),
    (huggingface, {"classes": None, "pre_logits": 7}), (timm, {}), (timm, {"pooling": "avg"})])
def test_every_row_is_a_view_of_a_tensor_and_they_cover_all(layout, changes):
    """Else a file would be read into copies, and the weights stay zeros."""
    model = random_model(**changes)
    flat = params.allocate(vit.shapes(model.config), np.float32, np)
    ours = params.flatten(params.views(flat, vit.shapes(model.config)))
    theirs = layout.from_ours(model.params, model.config)
    rows = renaming.rows_of(layout.layout(theirs), model.config)
    assert rows.keys() == theirs.keys()
    for row in rows.values():
        renaming.view(ours[row.path], row, renaming.sizes_of(model.config))[...] += 1
    assert (flat == 1).all()
    same_bits(layout.to_ours(theirs, model.config), model.params)


@pytest.mark.parametrize("layout", ["google", "huggingface", "timm"])
def test_loading_takes_little_more_memory_than_the_file(tmp_path, layout):
    changes = {"width": 192, "heads": 3, "depth": 6, "mlp_width": 768}
    changes |= {"gelu": "erf"} if layout != "google" else {}
    random_model(**changes).save(tmp_path / "a.npz", layout)
    size = max(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert size > 10e6
    tracemalloc.start()
    model = vitnp.load(tmp_path / "a.npz", image_size=CONFIG.image_size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert model.config.width == 192 and peak < 1.3 * size


def test_the_configurations_of_the_fixtures_are_those_in_their_json():
    """The reader of the tests takes them from there; here they come from the shapes."""
    settings = json.loads((DATA / "google_vit_small_rep.json").read_text())
    config = vitnp.load(DATA / "google_vit_small_rep.npz").config
    assert (config.heads, config.mlp_width) == (settings["num_heads"], settings["mlp_dim"])
