"""The page to explore attention: what it holds, and what is refused. Browsers: test_browser."""

import base64
import io
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from analysis.explorer.networks import make_model
from data.picture_files import picture_bytes
from PIL import Image

import vitnp
from vitnp import visualize
from vitnp.analysis import interpret
from vitnp.analysis.explorer import packing, page


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    """Work in a folder with a checkpoint and pictures."""
    monkeypatch.chdir(tmp_path)
    make_model().save("model.safetensors")
    (tmp_path / "a.png").write_bytes(picture_bytes("PNG", "RGB", (40, 30)))
    (tmp_path / "b.jpg").write_bytes(picture_bytes("JPEG", "RGB", (9, 70)))
    (tmp_path / "text.png").write_text("no picture")
    return tmp_path


def call(words):
    return visualize.main(["explore", *words.split()])


def script(text, name):
    """Return the content of a script element of the page."""
    return re.search(rf'<script [^>]*id="{name}">(.*?)</script>', text, re.DOTALL)[1]


def numbers(text, name, rows, tokens):
    """Return the rows that the page holds under a name, unpacked as its own scripts do."""
    content = zlib.decompress(base64.b64decode(script(text, name)))
    largest = np.frombuffer(content[:4 * rows], "<f4")
    return packing.rows_from_bytes(
        largest, np.frombuffer(content[4 * rows:], np.uint8).reshape(rows, tokens))


@pytest.mark.parametrize("seed", range(5))
def test_bytes_are_right_to_one_step_of_the_rows_largest(seed):
    rng = np.random.default_rng(seed)
    rows = rng.exponential(size=(7, 5, 40)) ** rng.uniform(0.2, 6)
    rows[0, 0], rows[0, 1, 3:] = 0, 0
    largest, found = packing.rows_to_bytes(rows)
    assert found.dtype == np.uint8 and largest.shape == (7, 5)
    wrong = abs(packing.rows_from_bytes(largest, found) - rows)
    assert (wrong <= rows.max(axis=-1, keepdims=True) * (1 / 255 + 1e-6)).all()


@pytest.mark.parametrize("options", [{}, {"pooling": "gap"}, {"pooling": "avg"}, {"channels": 1},
                                     {"positions": "none"}, {"positions": "2d"}])
def test_the_page_holds_the_models_numbers(options):
    model = make_model(1, **options)
    page.write(model, ["a.png", "b.jpg"], "page.html", "a title")
    text, T = Path("page.html").read_text(encoding="utf-8"), model.config.tokens
    facts = json.loads(script(text, "facts"))
    assert facts["grid"] == [3, 4] and facts["classToken"] == (options.get("pooling") != "gap")
    for i, path in enumerate(["a.png", "b.jpg"]):
        attention = np.concatenate(model.attention(path))               # (L, H, T, T)
        found = numbers(text, f"attention-{i}", attention[..., 0].size, T)
        np.testing.assert_allclose(found.reshape(attention.shape), attention, rtol=0, atol=1 / 255)
        rollout = interpret.rollout_matrix(model.attention(path))[0]
        np.testing.assert_allclose(numbers(text, f"rollout-{i}", T, T), rollout, rtol=0,
                                   atol=1 / 255)
        probabilities = model.probabilities(path)[0]
        assert [name for name, _ in facts["pictures"][i]["predictions"]] == [
            model.class_names[k] for k in np.argsort(-probabilities)]
        np.testing.assert_allclose([p for _, p in facts["pictures"][i]["predictions"]],
                                   sorted(probabilities, reverse=True), rtol=1e-6)
    similarity = interpret.similarity_of_positions(model)
    assert facts["positions"] == (similarity is not None) == ('id="positions"' in text)
    if similarity is not None:
        found = np.frombuffer(zlib.decompress(base64.b64decode(script(text, "positions"))),
                              np.uint8) / 127 - 1
        np.testing.assert_allclose(found, similarity.ravel(), atol=1 / 127)


def test_blocks_are_those_asked_for():
    call("model.safetensors a.png --blocks 2 --out page.html")
    text = Path("page.html").read_text(encoding="utf-8")
    assert json.loads(script(text, "facts"))["blocks"] == [2]
    expected = vitnp.load("model.safetensors").attention("a.png")[1]
    np.testing.assert_allclose(numbers(text, "attention-0", 26, 13), expected.reshape(26, 13),
                               atol=1 / 255)
    # The rollout still goes through all
    whole = interpret.rollout_matrix(vitnp.load("model.safetensors").attention("a.png"))[0]
    np.testing.assert_allclose(numbers(text, "rollout-0", 13, 13), whole, atol=1 / 255)


def test_the_picture_is_shown_as_the_network_sees_it_and_finer():
    call("model.safetensors a.png --out page.html")
    text = Path("page.html").read_text(encoding="utf-8")
    picture = json.loads(script(text, "facts"))["pictures"][0]
    sizes = []
    for key in ("seen", "fine"):
        kind, content = picture[key].split(",")
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            sizes.append(image.size)
            if key == "seen":
                model = vitnp.load("model.safetensors")
                np.testing.assert_array_equal(np.asarray(image), model.preprocess.batch("a.png")[0])
    assert sizes == [(16, 12), (32, 24)]        # patches end at whole pixels in both


def test_names_of_classes_and_files_cannot_end_a_script(work):
    (work / "<b>.png").write_bytes((work / "a.png").read_bytes())
    page.write(make_model(), ["<b>.png"], "page.html", "</script><b>")
    text = Path("page.html").read_text(encoding="utf-8")
    assert "alert(1)</script>" not in text and "</script><b>" not in text
    facts = json.loads(script(text, "facts"))
    assert facts["title"] == "</script><b>" and facts["pictures"][0]["name"] == "<b>.png"


def test_the_page_names_no_host_and_is_printed_last(capsys):
    assert call("model.safetensors a.png b.jpg --out page.html") == 0
    assert capsys.readouterr().out == "page.html\n"
    text = Path("page.html").read_text(encoding="utf-8")
    assert "http:" not in text and "https:" not in text and "src=" not in text


@pytest.mark.parametrize(("words", "said"), [
    ("model.safetensors", "required: IMAGE"),
    ("model.safetensors a.png text.png", "text.png cannot be read as a picture"),
    ("model.safetensors a.png nowhere.png", "nowhere.png cannot be read as a picture"),
    ("nowhere a.png", "there is no file nowhere"),
    ("model.safetensors a.png --out a.png", "--out is a.png, but the page is an HTML file"),
    ("model.safetensors a.png --out nowhere/a.html", "nowhere/a.html cannot be written"),
    ("model.safetensors a.png --blocks 3", "--blocks is 3; it must be numbers of blocks from 1 to"),
    ("model.safetensors a.png --blocks 0,1", "--blocks is 0,1"),
    ("model.safetensors a.png --blocks first", "--blocks is first"),
    ("damaged.safetensors a.png", "the weights of this model are damaged"),
])
def test_mistakes_are_refused_and_nothing_is_written(work, words, said):
    damaged = make_model()
    damaged.params["blocks"][0]["attention"]["qkv"]["weight"][:] = 3e38
    damaged.save("damaged.safetensors")
    before = sorted(work.rglob("*"))
    with pytest.raises(vitnp.Error) as caught:
        call(words)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert sorted(work.rglob("*")) == before


def test_a_page_that_no_browser_would_like_is_refused_before_it_is_computed():
    config = vitnp.ViTConfig.named("L/16", image_size=384)
    with pytest.raises(vitnp.Error, match="128 million attention weights.*at most 9 blocks"):
        page.check_size(config, 1, 24)
    page.check_size(config, 1, 9)
    page.check_size(vitnp.ViTConfig.named("L/16"), 3, 24)


@pytest.mark.slow
def test_a_page_of_b16_is_small(work):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 450, 3), np.uint8)).save(
        "noise.png")
    model = make_model(2, "B/16", image_size=224, classes=1000)
    assert page.write(model, ["noise.png"], "page.html", "B/16") < 8_000_000
