"""A photograph's file gives the logits that transformers and timm give for it."""

import numpy as np
import pytest
from foreign import DATA
from PIL import Image

import vitnp
from vitnp import data, evaluate
from vitnp.checkpoint import preparation
from vitnp.data.preprocess import Preprocess
from vitnp.runs.recipe import Recipe
from vitnp.training import loop, run_data

PHOTO = DATA / "photo"
PHOTOGRAPHS = ("rocket.jpg", "chelsea.png")
EXPECTED = {key: logits for library in ("hf", "timm")
            for key, logits in np.load(PHOTO / f"photo_{library}_ref.npz").items()
            if key.endswith(PHOTOGRAPHS)}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.mark.parametrize("key", EXPECTED)
def test_logits_are_those_of_the_librarys_own_way_from_the_file(key):
    checkpoint, name = key.split("/")
    model = vitnp.load(PHOTO / checkpoint)
    with Image.open(PHOTO / name) as photograph:
        for given in (PHOTO / name, photograph, np.asarray(photograph)):
            np.testing.assert_allclose(model.logits(given), EXPECTED[key], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("checkpoint", "expected"), [
    ("hf_plain", {}), ("hf_bicubic", {"resample": "bicubic"}),
    ("hf_shortest_crop", {"resample": "bicubic", "resize": (36, 36), "keep_ratio": True}),
    ("hf_deit_crop", {"resample": "bicubic", "resize": (36, 36)}),
    ("timm_squash", {"resample": "bicubic"}),
    ("timm_center", {"resample": "bicubic", "resize": (36, 36), "keep_ratio": True,
                     "rounding": "even"}),
])
def test_the_way_is_read_and_comes_back_in_each_layout_that_can_say_it(tmp_path, checkpoint,
                                                                       expected):
    model = vitnp.load(PHOTO / checkpoint)
    assert model.preprocess == Preprocess((32, 32), **IMAGENET, **expected)
    for layout in ("native", checkpoint.split("_")[0].replace("hf", "huggingface")):
        model.save(tmp_path / layout, layout)
        again = vitnp.load(tmp_path / layout)
        assert again.preprocess == model.preprocess
        np.testing.assert_array_equal(again.logits(PHOTO / "rocket.jpg"),
                                      model.logits(PHOTO / "rocket.jpg"))


@pytest.mark.parametrize(("size", "resize"), [
    ((32, 32), (36, 36)), ((224, 224), (248, 248)), ((224, 224), (256, 256)), ((7, 7), (8, 8)),
    ((16, 24), (18, 27)), ((224, 196), (256, 224)), ((32, 32), (20, 20)), ((1, 1), (90, 90)),
])
@pytest.mark.parametrize("keep_ratio", [True, False])
def test_timms_share_gives_the_same_sides_again(size, resize, keep_ratio):
    preprocess = Preprocess(size, **IMAGENET, resize=resize, keep_ratio=keep_ratio,
                            rounding="even")
    share = preparation.to_timm(preprocess, "")["crop_pct"]
    assert tuple(int(side / share) for side in size) == resize


@pytest.mark.parametrize(("write", "changes", "words"), [
    (preparation.to_timm, {"keep_ratio": True}, "half of an odd margin is rounded otherwise (timm"),
    (preparation.to_timm, {"resize": (35, 35)}, "half of an odd margin"),
    (preparation.to_timm, {"resize": (40, 36)}, "timm cuts out one share of both sides"),
    (preparation.to_huggingface, {"keep_ratio": True, "rounding": "even"}, "(transformers rounds"),
    (preparation.to_huggingface, {"resize": (40, 36), "keep_ratio": True}, "keep the proportions"),
])
def test_what_would_cut_another_part_out_is_not_written(write, changes, words):
    preprocess = Preprocess((32, 32), **IMAGENET, **{"resize": (36, 36)} | changes)
    with pytest.raises(vitnp.Error) as caught:
        write(preprocess, "save the network in another layout")
    assert words in str(caught.value) and "another layout" in str(caught.value)


def test_where_rounding_makes_no_difference_both_libraries_are_written():
    for rounding in ("floor", "even"):
        preprocess = Preprocess((32, 32), **IMAGENET, resize=(36, 37), rounding=rounding)
        assert preparation.to_huggingface(preprocess, "")["size"] == {"height": 36, "width": 37}
    preprocess = Preprocess((32, 32), **IMAGENET, resize=(36, 36))
    assert preparation.to_timm(preprocess, "")["crop_mode"] == "squash"


@pytest.mark.parametrize("checkpoint", ["timm_center", "hf_shortest_crop"])
def test_a_run_trains_evaluates_and_predicts_on_the_same_pixels(tmp_path, monkeypatch, checkpoint):
    """Fine-tuned at another size: the same share is cut out, with the same filter."""
    monkeypatch.chdir(tmp_path)
    with Image.open(PHOTO / "chelsea.png") as whole:
        for part in ("train", "test"):
            for k, name in enumerate(("left", "right")):
                folder = tmp_path / "set" / part / name
                folder.mkdir(parents=True)
                for i in range(3):
                    whole.crop((200 * k + 9 * i, 0, 200 * k + 9 * i + 190, 300)).save(
                        folder / f"{i}.png")
    recipe = Recipe(init_from=str(PHOTO / checkpoint), data="folder", data_dir="set", image_size=40,
                    epochs=1, workers=1, batch_size=4)
    folder, trained, _ = loop.train(recipe, tmp_path / "run")
    way = vitnp.load(PHOTO / checkpoint).preprocess.with_size((40, 40))
    assert trained.preprocess == vitnp.load(folder).preprocess == way and way.resize == (45, 45)
    dataset = run_data.load(recipe, way)
    paths = list(dataset.test_images.paths)
    np.testing.assert_array_equal(dataset.test_images[:], way.batch(paths))
    np.testing.assert_allclose(trained.logits(paths), trained.logits(dataset.test_images[:]),
                               rtol=0, atol=1e-6)
    asked, read = [], data.load
    monkeypatch.setattr(data, "load", lambda *given, **named: asked.append(
        read(*given, **named)) or asked[-1])
    evaluate.main([str(folder)])
    assert asked[0].test_images.preprocess == way
    loop.resume(folder)
    assert asked[1].train_images.preprocess == way
