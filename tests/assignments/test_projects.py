"""The scaling study measures what it says it varies."""

import csv

import pytest

from tutorials.assignments.projects import scaling
from vitnp import Error, ViTConfig


@pytest.mark.parametrize(("arguments", "told"), [
    (["heads", "5"], "width 64 cannot be divided among 5 heads"),
    (["share", "2"], "the share is 2; it must be above 0"),
    (["depth", "2.5"], "depth is 2.5; it must be a whole number"),
    (["colour", "1"], "invalid choice: 'colour'"),
    (["width", "16", "--seeds", "0"], "--seeds is 0"),
])
def test_impossible_studies_are_refused_before_they_begin(arguments, told, tmp_path):
    with pytest.raises(Error, match=told):
        scaling.main([*arguments, "--out", str(tmp_path / "study")])
    assert not (tmp_path / "study").exists()


@pytest.mark.slow
def test_a_study_of_the_width_and_one_of_the_share(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling.lanes, "prepare_process", lambda: None)
    common = ["--epochs", "1", "--model", "micro/4", "--threads", "1"]
    wide, share = tmp_path / "wide", tmp_path / "share"
    assert scaling.main(["width", "16", "32", "--seeds", "2", "--out", str(wide), *common]) == 0
    assert scaling.main(["share", "0.5", "1", "--out", str(share), *common]) == 0
    with open(wide / "scaling.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["value"], row["seed"]) for row in rows] == [
        ("16.0", "0"), ("16.0", "1"), ("32.0", "0"), ("32.0", "1")]
    parameters = [int(row["parameters"]) for row in rows]
    assert parameters[0] == parameters[1] < parameters[2] == parameters[3]
    config = ViTConfig.named("micro/4", image_size=8, channels=1, classes=10, pooling="gap")
    tokens, width, depth = config.tokens, config.width, config.depth
    by_hand = 2 * (tokens * 16 * width + width * 10 + depth * (
        4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * config.mlp_width))
    assert int(rows[2]["operations"]) == by_hand
    with open(share / "scaling.csv", newline="") as file:
        half, all_of_it = csv.DictReader(file)
    assert int(half["training_images"]) == round(0.5 * int(all_of_it["training_images"]))
    assert 0.0 <= float(half["validation"]) <= 1.0
