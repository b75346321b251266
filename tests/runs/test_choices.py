"""What is trained on a folder where nothing else is said: it must make sense, whatever is in it."""


import pytest
from PIL import Image

import vitnp
from vitnp.config import ViTConfig
from vitnp.data import folder, pack
from vitnp.data.preprocess import whole
from vitnp.runs import choices, recipe


def write_set(path, size, count=12):
    for name in ("ant", "cat"):
        (path / "train" / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", size, (i, 0, 0)).save(path / "train" / name / f"{i:03}.png")
    return path


def chosen(path, **options):
    given = dict.fromkeys(recipe.Recipe.__dataclass_fields__) | {
        "data": "folder", "data_dir": str(path)} | options
    return recipe.from_options(given, choices.defaults(None, given))


@pytest.mark.parametrize("size", [(500, 375), (4000, 3000), (100, 64), (64, 64), (50, 60), (32, 32),
                                  (28, 28), (30, 500), (8, 8), (5, 5), (1, 1)])
def test_any_size_of_pictures_gives_few_patches(tmp_path, size):
    found = chosen(write_set(tmp_path, size))
    config, _ = found.configure(folder.load(tmp_path, found.image_size, 1))
    assert config.grid == (8, 8) and found.image_size <= max(8, min(64, *size))
    assert found.flip and found.resized_crop < 1 and found.rotate == 0


@pytest.mark.parametrize("image_size", [1, 7, 17, 32, 50, 97, 160, 224])
def test_any_size_that_is_asked_for_is_cut_into_patches(tmp_path, image_size):
    found = chosen(write_set(tmp_path, (50, 40)), image_size=image_size)
    assert found.image_size == image_size
    ViTConfig.named(found.model, image_size=image_size)


@pytest.mark.parametrize(("model", "stem", "side"), [
    ("S/16", None, 224), ("B/14", None, 224), ("tiny/4", None, 32), ("mini/1", "8,16", 32)])
def test_a_model_that_is_asked_for_gets_a_size_that_it_can_cut(tmp_path, model, stem, side):
    found = chosen(write_set(tmp_path, (500, 375)), model=model, stem=stem)
    assert (found.model, found.image_size) == (model, side)


@pytest.mark.parametrize(("count", "epochs"), [(8, 150), (1600, 150), (16_000, 15), (160_000, 8)])
def test_few_pictures_are_seen_more_often(tmp_path, monkeypatch, count, epochs):
    monkeypatch.setattr(choices, "divide", lambda found: {"train": {"a": range(count)}})
    assert chosen(write_set(tmp_path, (32, 32))).epochs == epochs


def test_what_was_chosen_is_said_and_options_go_before_it(tmp_path, capsys):
    found = chosen(write_set(tmp_path, (500, 375)), epochs=3, flip=0.0)
    said = capsys.readouterr().err
    assert (found.epochs, found.flip) == (3, 0.0)
    assert "--model mini/8" in said and "--image-size 64" in said
    assert "--epochs" not in said and "--flip" not in said


def test_with_weights_to_start_from_the_papers_recipe_is_taken(tmp_path):
    found = chosen(write_set(tmp_path, (50, 50)), init_from="somewhere")
    assert (found.optimizer, found.rotate, found.model) == ("sgd", 0.0, recipe.Recipe.model)


def test_a_pack_keeps_its_size(tmp_path):
    pack.write(write_set(tmp_path / "set", (50, 50)), tmp_path / "packed", whole((20, 20)), 1)
    found = chosen(tmp_path / "packed")
    assert found.image_size == 20 and found.model.startswith("mini/")


def test_other_data_and_presets_keep_their_defaults(tmp_path):
    for options, preset in (({"data": "mnist"}, None), ({}, None), ({"data": "folder"}, "mnist")):
        given = dict.fromkeys(recipe.Recipe.__dataclass_fields__) | options
        assert choices.defaults(preset, given) == choices.presets.find(preset)


def test_a_folder_that_is_not_named_or_not_there_is_one_sentence(tmp_path):
    given = dict.fromkeys(recipe.Recipe.__dataclass_fields__) | {"data": "folder"}
    for options, words in ((given, "needs --data-dir"),
                           (given | {"data_dir": str(tmp_path / "no")}, "is not there")):
        for preset in (None, "folder"):
            with pytest.raises(vitnp.Error, match=words):
                choices.defaults(preset, options)


@pytest.mark.parametrize(("name", "without", "with_effect"), [
    ("heads", {"heads": 3}, {"heads": 3, "init_from": "a"}),
    ("magnitude", {"magnitude": 9.0}, {"magnitude": 9.0, "randaugment": 1}),
    ("position_start", {"position_start": "sincos", "model": "resnet-8"},
     {"position_start": "sincos"}),
    ("position_start", {"position_start": "normal", "positions": "2d"}, {}),
    ("layer_decay", {"layer_decay": 0.9, "tune": "head", "init_from": "a"}, {"layer_decay": 0.9}),
    ("workers", {"workers": 2}, {"workers": 2, "data": "folder"})])
def test_an_option_without_effect_is_refused(name, without, with_effect):
    with pytest.raises(vitnp.Error, match=f"--{name.replace('_', '-')} is .* it has no effect"):
        recipe.check_effect(recipe.Recipe(**without), list(without))
    recipe.check_effect(recipe.Recipe(**without), [])           # a default is no mistake
    recipe.check_effect(recipe.Recipe(**with_effect), list(with_effect))


