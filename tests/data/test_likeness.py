"""Pictures far from those that a network was trained on: said, and inverted where asked."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import vitnp
from vitnp import data, params, predict, visualize, vit
from vitnp.data import likeness
from vitnp.data.preprocess import Preprocess
from vitnp.runs.recipe import Recipe

rng = np.random.default_rng(0)


def drawn(ink, paper, size=(24, 24)):
    """Return a picture of a thing in the middle of its paper, uint8 (height, width)."""
    picture = np.full(size, paper, np.uint8)
    picture[8:16, 6:18] = ink
    return picture


@pytest.mark.parametrize(("ink", "paper", "ground"), [(255, 0, 0.0), (0, 255, 1.0), (60, 230, 0.9)])
def test_the_ground_is_what_surrounds_the_things(ink, paper, ground):
    images = np.stack([drawn(ink, paper)] * 1200)[..., None]
    some = rng.random(1200) < 0.3                               # that touch the border
    images[some] = rng.integers(0, 256, images[some].shape)
    assert likeness.ground_of(images) == pytest.approx(ground, abs=0.01)


def test_where_it_varies_or_there_are_colours_there_is_no_ground():
    images = np.stack([drawn(128, paper) for paper in rng.integers(0, 256, 300)])[..., None]
    assert likeness.ground_of(images) is None
    assert likeness.ground_of(np.zeros((20, 8, 8, 3), np.uint8)) is None
    assert likeness.ground_of(np.zeros((1, 1, 1, 1), np.uint8)) == 0


def test_the_digits_are_light_on_dark_and_a_run_says_so():
    digits = data.load("digits")
    _, preprocess = Recipe().configure(digits)
    assert preprocess.ground == 0 == likeness.ground_of(digits.train_images)


@pytest.mark.parametrize(("ground", "ink", "paper", "opposite"), [
    (0.0, 0, 255, True), (0.0, 255, 0, False), (0.0, 90, 200, True), (0.0, 0, 120, False),
    (1.0, 255, 0, True), (1.0, 0, 255, False), (0.5, 0, 255, False), (None, 0, 255, False)])
def test_what_is_dark_where_it_should_be_light_is_inverted(tmp_path, ground, ink, paper, opposite):
    picture = drawn(ink, paper)
    Image.fromarray(picture).save(tmp_path / "a.png")
    plain = Preprocess((12, 12), (0.5,), (0.5,))
    before = plain.batch(tmp_path / "a.png")
    found = dataclasses.replace(plain, ground=ground).batch(tmp_path / "a.png")
    np.testing.assert_array_equal(found, 255 - before if opposite else before)
    # Arrays are data: they stay as they are
    arrays = dataclasses.replace(plain, ground=ground).batch(before)
    np.testing.assert_array_equal(arrays, before)


def test_noise_and_things_at_the_border_are_not_inverted():
    for _ in range(200):
        noise = rng.integers(0, 256, (8, 8, 1), np.uint8)
        assert not likeness.is_opposite(noise, 0.0) and not likeness.is_opposite(noise, 1.0)
    half = drawn(0, 255)[..., None]
    half[:, :12] = 0
    assert not likeness.is_opposite(half, 0.0)
    touching = drawn(0, 255)[..., None]
    touching[8:16] = 0
    assert likeness.is_opposite(touching, 0.0)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Work in a folder with networks for greys and for colours, and pictures of all kinds."""
    monkeypatch.chdir(tmp_path)
    for name, channels, ground in (("grey", 1, 0.0), ("unknown", 1, None), ("colour", 3, None)):
        config = vitnp.ViTConfig.named("micro/4", image_size=8, channels=channels, classes=3)
        tree = params.views(vit.init(config, rng), vit.shapes(config))
        half = (0.5,) * channels
        vitnp.Model(config, tree, Preprocess((8, 8), half, half, ground=ground)).save(name)
    Image.fromarray(drawn(255, 0)).save("light.png")
    Image.fromarray(drawn(0, 255)).save("dark.png")
    red = np.stack([drawn(255, 0), drawn(0, 0), drawn(0, 0)], axis=2)
    Image.fromarray(red).save("red.png")
    Image.fromarray(255 - red).save("cyan.png")
    Image.fromarray(drawn(0, 255)).convert("RGB").save("dark_rgb.png")
    return tmp_path


GREY = "as the network was trained on grey pictures"
KNOWN = {
    "grey": {
        "dark.png": f"is dark on light; it was inverted, {GREY}, light on dark",
        "dark_rgb.png": f"is dark on light; it was inverted, {GREY}, light on dark",
        "red.png": f"is in colour; it was made grey, {GREY}, light on dark",
        "cyan.png": f"is in colour and dark on light; it was made grey and inverted, {GREY}, "
                    "light on dark"},
    "unknown": {"red.png": f"is in colour; it was made grey, {GREY}",
                "cyan.png": f"is in colour; it was made grey, {GREY}"},
    "colour": dict.fromkeys(("light.png", "dark.png", "dark_rgb.png"),
                            "is in grey, but the network takes colours")}


@pytest.mark.parametrize("network", KNOWN)
@pytest.mark.parametrize("command", ["predict", "explore"])
def test_each_is_said_in_one_line(work, capsys, network, command):
    names = ["light.png", "dark.png", "red.png", "cyan.png", "dark_rgb.png"]
    if command == "predict":
        predict.main([network, *names])
    else:
        visualize.main(["explore", network, *names])
    said = capsys.readouterr().err.splitlines()
    known = KNOWN[network]
    assert said == [f"{name} {known[name]}" for name in names if name in known]


def test_an_inverted_picture_is_what_the_network_would_say_of_the_other(work):
    model = vitnp.load("grey")
    assert model.preprocess.ground == 0
    np.testing.assert_array_equal(model.logits("dark.png"), model.logits("light.png"))
    other = vitnp.load("unknown")
    assert abs(other.logits("dark.png") - other.logits("light.png")).max() > 0 or not (
        other.params["head"]["weight"].any())
