"""python -m vitnp.visualize figures: the numbers of the right model, pictures, block and heads."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from data.picture_files import picture_bytes
from PIL import Image
from test_predict import make_model

import vitnp
from vitnp import data, visualize
from vitnp.analysis import interpret
from vitnp.analysis.drawing import gallery
from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe

FIGURES = ["attention_distance", "filters", "positions", "query_attention", "rollout"]
DIGITS = {"image_size": (8, 8), "channels": 1, "classes": 10, "names": tuple("0123456789")}


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Work in a folder with a checkpoint, a run on the digits, and three pictures."""
    monkeypatch.chdir(tmp_path)
    make_model().save("model.safetensors")
    (tmp_path / "run").mkdir()
    run_folder.write_config("run", {}, dataclasses.asdict(Recipe(model="micro/4")), {})
    make_model(1, **DIGITS).save("run/checkpoint.safetensors")
    make_model(2, **DIGITS).save("run/best.safetensors")
    for name, size in (("a.png", (40, 30)), ("b.png", (9, 70)), ("c.png", (8, 8))):
        (tmp_path / name).write_bytes(picture_bytes("PNG", "RGB", size))
    (tmp_path / "text.png").write_text("no picture")
    return tmp_path


@pytest.fixture
def numbers_only(monkeypatch):
    """Let the figures not be drawn."""
    monkeypatch.setattr(gallery, "draw", lambda *arguments: None)


def call(words):
    """Call the action with these words as its arguments."""
    return visualize.main(["figures", *words.split()])


def numbers(folder):
    """Return name → arrays of all .npz files in a folder."""
    return {path.stem: dict(np.load(path, allow_pickle=False))
            for path in sorted(Path(folder).glob("*.npz"))}


def check_numbers(found, model, images, few, block=1, queries=((1, 1),)):
    """Compare with what interpret.py finds of a model's own attention."""
    grid, side = model.config.grid, model.config.patch_size
    embedding = model.params["embedding"]
    components, shares = interpret.filter_components(embedding["projection"]["weight"], side)
    np.testing.assert_array_equal(found["filters"]["components"], components)
    np.testing.assert_array_equal(found["filters"]["shares"], shares)
    np.testing.assert_array_equal(
        found["positions"]["similarity"].reshape(grid[0] * grid[1], -1),
        interpret.position_similarity(embedding["position"][int(model.config.class_token):]))
    attention = model.attention(images)
    distance = [interpret.attention_distance(a, grid, side).mean(axis=0) for a in attention]
    np.testing.assert_allclose(found["attention_distance"]["distance"], distance, rtol=1e-5)
    np.testing.assert_allclose(found["rollout"]["rollout"], interpret.attention_rollout(
        [a[few] for a in attention], grid), rtol=1e-5)
    asked = found["query_attention"]
    first = int(model.config.class_token)
    tokens = [first + row * grid[1] + column for row, column in queries]
    expected = attention[block][asked["indices"]][:, asked["heads"] - 1][:, :, tokens, first:]
    np.testing.assert_allclose(
        asked["attention"], expected.swapaxes(1, 2).reshape(asked["attention"].shape), rtol=1e-4)
    np.testing.assert_array_equal(asked["queries"], np.array(queries) + 1)
    assert asked["block"] == block + 1


def test_of_a_run_the_test_part_is_looked_at(work, capsys):
    assert call("run --threads 2") == 0
    files = sorted(f"run/figures/{name}.{kind}" for name in FIGURES for kind in ("npz", "png"))
    *printed, folder = capsys.readouterr().out.splitlines()
    assert sorted(printed) == files and folder == "run/figures"
    assert sorted(os.listdir(folder)) == [Path(path).name for path in files]
    for path in Path(folder).glob("*.png"):
        with Image.open(path) as image:
            image.load()
    digits, found = data.load("digits"), numbers(folder)
    chosen = np.arange(128) * 360 // 128
    few = np.arange(8) * 16
    check_numbers(found, make_model(2, **DIGITS), digits.test_images[chosen], few)
    assert found["rollout"]["pictures"].tolist() == [
        f"{i}: {digits.class_names[digits.test_labels[i]]}" for i in chosen[few]]
    assert found["attention_distance"]["even"] == pytest.approx(4 * (2 + 2**0.5) / 4)
    assert found["query_attention"]["heads"].tolist() == [1, 2]


def test_pictures_blocks_heads_and_patches_may_be_chosen(work, capsys, numbers_only):
    pictures = ["a.png", "b.png", "c.png"]
    call(f"model.safetensors --images {' '.join(pictures)} --out here/there --block 1 --head 2 "
         "--query 2,3 1,1")
    assert capsys.readouterr().out.endswith("\nhere/there\n")
    found = numbers("here/there")
    check_numbers(found, make_model(), pictures, [0, 1, 2], 0, ((1, 2), (0, 0)))
    assert found["query_attention"]["heads"].tolist() == [2]
    assert found["query_attention"]["attention"].shape == (3, 2, 1, 2, 3)
    assert found["attention_distance"]["pictures"].tolist() == pictures


def test_a_data_set_may_be_chosen_and_is_resized(work, numbers_only):
    model = make_model(image_size=(12, 12), channels=1)
    model.save("other.safetensors")
    call("other.safetensors --data digits --out out --which last")
    expected = data.load("digits", image_size=12).test_images[np.arange(128) * 360 // 128]
    check_numbers(numbers("out"), model, expected, np.arange(8) * 16)


def test_photographs_are_drawn_in_their_own_proportions(work):
    pictures = gallery.Pictures(np.zeros((2, 8, 12, 3), np.uint8), np.array(["a", "b"]),
                                ["a.png", "b.png"])
    assert [image.shape for image in pictures.shown([1, 0])] == [(70, 9, 3), (30, 40, 3)]


def test_without_positions_their_figure_is_left_out(work, capsys, numbers_only):
    make_model(positions="none").save("none.safetensors")
    call("none.safetensors --images a.png")
    out, messages = capsys.readouterr()
    assert out.splitlines()[-1] == "figures"
    assert messages == "this model has no position embeddings, and so no positions.png\n"
    assert sorted(numbers("figures")) == sorted(set(FIGURES) - {"positions"})


def test_rows_and_columns_of_positions_are_added():
    model = make_model(positions="2d")
    p = model.params["embedding"]
    expected = [[[[cosine(p["position_row"][a] + p["position_column"][b],
                          p["position_row"][c] + p["position_column"][d])
                   for d in range(3)] for c in range(2)] for b in range(3)] for a in range(2)]
    np.testing.assert_allclose(interpret.similarity_of_positions(model), expected, atol=1e-6)


def cosine(a, b):
    return a @ b / np.sqrt((a @ a) * (b @ b))


@pytest.mark.parametrize("pooling", ["token", "gap", "avg"])
def test_one_block_after_the_other_gives_the_models_attention(pooling):
    model = make_model(pooling=pooling)
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3), dtype=np.uint8)
    for found, expected in zip(interpret.attentions(model, images), model.attention(images),
                               strict=True):
        np.testing.assert_array_equal(found, expected)


def test_of_many_some_are_taken_in_equal_steps():
    assert gallery.spread(3, 8).tolist() == [0, 1, 2]
    assert gallery.spread(360, 4).tolist() == [0, 90, 180, 270]


@pytest.mark.parametrize(("arguments", "words"), [
    ("", "the following arguments are required: CHECKPOINT"),
    ("nowhere", "there is no file nowhere"),
    ("model.safetensors", "model.safetensors is no run with pictures of its own; give some with"),
    ("model.safetensors --images", "argument --images: expected at least one argument"),
    ("model.safetensors --images text.png", "text.png cannot be read as a picture"),
    ("model.safetensors --images a.png --data digits", "--data: not allowed with argument --ima"),
    ("model.safetensors --images a.png --data-dir .", "--data-dir is for a data set, but --images"),
    ("model.safetensors --data digits", "the images of digits have 1 channels, but the network"),
    ("run --data cifar", "there is no data set 'cifar'; possible are"),
    ("run --data-dir .", "leave out --data-dir (it was .); or give pictures with --images FILE"),
    ("run --data mnist", "fetch it with python -m vitnp.data fetch mnist"),
    ("run --block 3", "--block is 3; the blocks of this model are 1 to 2"),
    ("run --block 0", "--block is 0"),
    ("run --head 3", "--head is 3; it must be all, or 1 to 2"),
    ("run --head first", "--head is first"),
    ("run --query 3,1", "--query is 3,1; it must be ROW,COLUMN of a patch, from 1,1 to 2,2"),
    ("run --query 0,1", "--query is 0,1"),
    ("run --query 1", "--query is 1;"),
    ("run --query 1,x", "--query is 1,x"),
    ("run --query 1,1 " + "2,2 " * 12, "--query has 13 patches; at most 12 fit"),
    ("run --out text.png", "the folder text.png cannot be made: File exists; choose another --out"),
    ("run --out text.png/here", "the folder text.png/here cannot be made"),
    ("run --threads 0", "--threads is 0"),
    ("run --which first", "which is 'first'; possible are last, best"),
])
def test_mistakes_are_refused_and_nothing_is_written(work, capsys, arguments, words):
    before = sorted(work.rglob("*"))
    with pytest.raises(vitnp.Error) as caught:
        call(arguments)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert capsys.readouterr().out == "" and sorted(work.rglob("*")) == before
