"""Starting from trained weights: what is kept, and what is replaced."""

from dataclasses import replace

import numpy as np
import pytest

import vitnp
from vitnp import ViTConfig, data, params, positions, vit
from vitnp.data.preprocess import Preprocess
from vitnp.model import Model
from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe
from vitnp.training import initial_weights, loop

OLD = ViTConfig(image_size=8, patch_size=4, channels=1, width=12, depth=2, heads=3, mlp_width=10,
                classes=5, pooling="token", pre_logits=7, gelu="erf", eps=1e-12)
SCALE = Preprocess((8, 8), (0.3,), (0.4,), "bicubic")


def model(config=OLD):
    flat = vit.init(config, np.random.default_rng(0))
    flat += np.random.default_rng(1).standard_normal(len(flat)).astype(np.float32)
    return Model(config, params.views(flat, vit.shapes(config)),
                 replace(SCALE, size=config.image_size))


def begun(old, method="google", **changes):
    """Return (config, preprocess, tree) for 16 x 16 images of 3 classes from a model."""
    new = replace(OLD, **{"image_size": 16, "classes": 3, "dropout": 0.2} | changes)
    preprocess = Preprocess(new.image_size, (0.5,) * new.channels, (0.5,) * new.channels)
    config, preprocess, flat = initial_weights.start_from(old, new, preprocess, method)
    return config, preprocess, params.flatten(params.views(flat, vit.shapes(config)))


@pytest.mark.parametrize("method", ["google", "huggingface", "timm"])
def test_all_is_kept_but_the_head_the_pre_logits_and_the_grid_of_positions(method):
    old = model()
    config, preprocess, tree = begun(old, method)
    assert config == replace(OLD, image_size=(16, 16), classes=3, pre_logits=None, dropout=0.2)
    assert preprocess == Preprocess((16, 16), (0.3,), (0.4,), "bicubic")
    before = params.flatten(old.params)
    assert set(before) - set(tree) == {"pre_logits/weight", "pre_logits/bias"}
    for path, tensor in tree.items():
        if path.startswith("head/"):
            assert (tensor == 0).all()
        elif path == "embedding/position":
            expected = positions.resize(before[path], (2, 2), (4, 4), True, method)
            np.testing.assert_array_equal(tensor, expected)
            np.testing.assert_array_equal(tensor[0], before[path][0])
        else:
            np.testing.assert_array_equal(tensor, before[path])


def test_without_a_new_size_the_features_are_the_same():
    old = model(replace(OLD, pre_logits=None))
    config, preprocess, tree = begun(old, image_size=8)
    new = Model(config, params.nest(tree), preprocess)
    images = np.random.default_rng(2).integers(0, 256, (3, 8, 8, 1), np.uint8)
    np.testing.assert_allclose(new.features(images), old.features(images), rtol=1e-6)


def test_positions_by_row_and_column_are_resized_along_their_axis():
    config = replace(OLD, positions="2d", image_size=(8, 12), pre_logits=None)
    old = model(config)
    new = replace(config, image_size=(16, 24), classes=3)
    _, _, flat = initial_weights.start_from(old, new, replace(SCALE, size=(16, 24)))
    tree = params.views(flat, vit.shapes(new))["embedding"]
    row, column = (old.params["embedding"][f"position_{axis}"] for axis in ("row", "column"))
    np.testing.assert_allclose(tree["position_row"][[0, 3]], row[[0, 1]], rtol=1e-6)
    np.testing.assert_allclose(tree["position_column"][[0, 5]], column[[0, 2]], rtol=1e-6)


@pytest.mark.parametrize(("layout", "method"), [
    ("native", "google"), ("google", "google"), ("huggingface", "huggingface"), ("timm", "timm")])
def test_positions_are_resized_as_the_library_of_the_file_does_it(tmp_path, layout, method):
    pre_logits = OLD.width if layout == "huggingface" else None
    old = model(replace(OLD, pre_logits=pre_logits, image_size=8, classes=None
                        if layout == "huggingface" else 5, gelu="tanh" if layout == "google"
                        else "erf", eps=1e-6))
    old = replace(old, preprocess=Preprocess((8, 8), (0.5,), (0.5,)))
    old.save(tmp_path / "weights", layout=layout)
    path = next(tmp_path.glob("weights*"))
    found, way = initial_weights.load(path)
    assert way == method and found.config == old.config


def test_other_channels_are_refused():
    with pytest.raises(vitnp.Error, match="images of 1 channels, but these have 3; choose others"):
        begun(model(), channels=3)


def test_waves_are_written_to_the_positions_of_the_patches_alone():
    config = replace(OLD, pre_logits=None)
    flat = vit.init(config, np.random.default_rng(0))
    before = flat.copy()
    initial_weights.start_with_waves(flat, config)
    tree, old = (params.flatten(params.views(f, vit.shapes(config))) for f in (flat, before))
    changed = {path for path in tree if (tree[path] != old[path]).any()}
    assert changed == {"embedding/position"}
    position = tree["embedding/position"]
    np.testing.assert_array_equal(position[0], old["embedding/position"][0])    # the class token's
    np.testing.assert_allclose(position[1:], positions.sincos((2, 2), 12), rtol=1e-6)


def test_waves_by_hand():
    """Patch (row 1, column 2) of 3 columns; three frequencies 1, 1/100, 1/10000."""
    found = positions.sincos((2, 3), 12)[5]
    frequencies = np.array([1, 0.01, 0.0001])
    expected = [f(place * frequencies) for place in (2, 1) for f in (np.sin, np.cos)]
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-12)


@pytest.mark.parametrize(("change", "words"), [
    ({"positions": "none"}, "only learned ones can start as sincos"),
    ({"width": 6}, "a multiple of 4, at least 8, not 6"),
])
def test_waves_that_do_not_fit_are_refused(change, words):
    config = replace(OLD, pre_logits=None, **change)
    with pytest.raises(vitnp.Error, match=words):
        initial_weights.start_with_waves(vit.init(config, np.random.default_rng(0)), config)


@pytest.fixture
def few_images(monkeypatch):
    """Let data.load return 130 digits, of the side that is asked for."""
    load = data.load

    def few(name, data_dir=None, image_size=None, workers=1, preprocess=None):
        digits = load(name, data_dir, image_size, workers, preprocess)
        indices = np.arange(130)
        return replace(digits, train_images=digits.train_images[indices],
                       train_labels=digits.train_labels[indices])

    monkeypatch.setattr(data, "load", few)


QUICK = Recipe(model="micro/4", epochs=2, batch_size=40, warmup_epochs=0, ema=0.9)


@pytest.mark.parametrize("change", [
    {"optimizer": "sgd", "learning_rate": 0.01}, {"tune": "head"}, {"layer_decay": 0.7},
], ids=lambda change: next(iter(change)))
def test_a_run_is_fine_tuned_at_a_larger_size_and_goes_on_when_its_origin_is_gone(
        tmp_path, few_images, change):
    first, _, _ = loop.train(QUICK, tmp_path / "first")
    recipe = replace(QUICK, init_from=str(first), image_size=16, **change)
    folder, tuned, _ = loop.train(recipe, tmp_path / "second")
    assert tuned.config.image_size == (16, 16) and tuned.config.width == 32
    assert run_folder.read_recipe(folder).title == "first fine-tuned on digits"
    if "tune" in change:
        before, after = vitnp.load(first).params, tuned.params
        np.testing.assert_array_equal(after["blocks"][0]["mlp"]["in"]["weight"],
                                      before["blocks"][0]["mlp"]["in"]["weight"])
    first.rename(tmp_path / "gone")                             # and the end of the run is lost
    (folder / "checkpoint.safetensors").write_bytes((folder / "previous.safetensors").read_bytes())
    _, again, _ = loop.resume(folder)
    np.testing.assert_array_equal(again.params["head"]["weight"], tuned.params["head"]["weight"])
