"""The studies in their small forms: what they train, write, skip and draw."""

import json
from pathlib import Path

import numpy as np
import pytest

import vitnp
from vitnp import data, networks
from vitnp.config import ViTConfig
from vitnp.networks.resnet import ResNetConfig
from vitnp.study import __main__ as study
from vitnp.study import bias, data_size, positions, scaling, settings, transfer
from vitnp.study.compute import multiplications

RECORDED = Path(__file__).parents[2] / "tutorials/runs/studies"


def test_multiplications_by_hand():
    # 4 patches of 3·3·2 numbers, and a class token
    config = ViTConfig(image_size=6, patch_size=3, channels=2, width=8, depth=2, heads=2,
                       mlp_width=12, classes=7)
    block = 5 * (8 * 24 + 8 * 8 + 2 * 8 * 12) + 2 * 5 * 5 * 8
    assert multiplications(config) == 4 * 18 * 8 + 2 * block + 8 * 7
    stem = ViTConfig(image_size=6, patch_size=1, channels=2, width=8, depth=1, heads=2,
                     mlp_width=12, classes=7, stem=(16,))
    block = 10 * (8 * 24 + 8 * 8 + 2 * 8 * 12) + 2 * 10 * 10 * 8
    assert multiplications(stem) == 9 * 9 * 2 * 16 + 9 * 16 * 8 + block + 8 * 7
    residual = ResNetConfig(image_size=4, channels=3, width=8, depths=(1, 1), classes=5)
    root, first = 16 * 27 * 8, 2 * 16 * 72 * 8
    second = 4 * 72 * 16 + 4 * 144 * 16 + 4 * 8 * 16            # and the shortcut
    assert multiplications(residual) == root + first + second + 16 * 5


def test_networks_of_data_size_have_about_as_many_multiplications():
    for name, side, channels, kinds in (("fashion-mnist", 28, 1, data_size.NETWORKS),
                                        ("cifar10", 32, 3, data_size.CIFAR)):
        images = np.zeros((2, side, side, channels), np.uint8)
        names = tuple("abcdefghij")
        labels = np.arange(2)
        dataset = data.Dataset(name, images, labels, images, labels, names)
        found = []
        for fields in kinds.values():
            config, _ = data_size.Recipe(data=name, **fields).configure(dataset)
            found.append(multiplications(config))
            assert networks.of(config)
        assert max(found) < 1.35 * min(found)


def test_steps_are_about_as_many_on_every_share():
    for images in data_size.SHARES:
        fields = settings.steps(data_size.STEPS, images)
        taken = fields["epochs"] * -(-images // 64)
        assert abs(taken - data_size.STEPS) <= 0.1 * data_size.STEPS
        assert fields["epochs"] // fields["evaluate_every"] <= 2 * settings.LOOKS


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Return the folder in which all studies were run in their small form."""
    folder = tmp_path_factory.mktemp("studies")
    for name in study.NAMES:
        assert study.main([name, "--small", "--out", str(folder / f"{name}-small")]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", study.NAMES)
def test_the_small_form_writes_a_line_a_run_and_draws(studies, name):
    folder = studies / f"{name}-small"
    records = study.read(folder)
    assert records and all(0 <= record["test_accuracy"] <= 1 for record in records)
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_what_is_done_is_not_done_again(studies, monkeypatch):
    monkeypatch.setattr(settings, "train", None)
    folder = studies / "positions-small"
    before = (folder / "results.jsonl").read_text()
    assert study.main(["positions", "--small", "--out", str(folder)]) == 0
    assert (folder / "results.jsonl").read_text() == before


def test_all_is_written_into_the_folder_of_out(tmp_path, monkeypatch):
    places = []
    monkeypatch.setattr(settings, "train", lambda setting, folder: places.append(folder) or folder)
    monkeypatch.setattr(bias, "records_of", lambda setting, place: [setting.facts])
    monkeypatch.setattr(bias, "draw", lambda records, path: None)
    monkeypatch.chdir(tmp_path)
    assert study.main(["bias", "--small", "--out", "X/mine"]) == 0
    assert set(places) == {Path("X/mine/data-size-small")}
    assert [path.name for path in (tmp_path / "X").iterdir()] == ["mine"]
    places.clear()
    assert study.main(["bias", "--small"]) == 0                 # those that data-size has trained
    assert set(places) == {Path("studies/data-size-small")}


def test_a_study_without_its_data_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(vitnp.Error, match="fashion-mnist"):
        study.main(["data-size", "--data-dir", "nowhere", "--out", "X/mine"])
    assert list(tmp_path.iterdir()) == []


def test_seconds_are_a_mean_over_the_seeds_of_the_same_training():
    records = [{"network": network, "multiplications": count, "seconds": seconds}
               for network, count, seconds in (("ViT", 1, 2.0), ("ViT", 1, 4.0), ("ViT", 2, 5.0),
                                               ("ResNet", 1, 8.0))]
    assert [record["seconds"] for record in scaling.with_mean_seconds(records)] == [3, 3, 5, 8]


def test_changes_of_the_test_pictures():
    images = np.arange(2 * 4 * 6, dtype=np.uint8).reshape(2, 4, 6, 1)
    found = bias.changed(images, 2)
    np.testing.assert_array_equal(found["as they are"], images)
    np.testing.assert_array_equal(found["mirrored"][0, 0, :, 0], [5, 4, 3, 2, 1, 0])
    np.testing.assert_array_equal(found["shifted by 2"][0, 0, :, 0], [0, 0, 0, 1, 2, 3])
    for picture, shuffled in zip(images, found["patches shuffled"], strict=True):
        assert sorted(picture.reshape(-1)) == sorted(shuffled.reshape(-1))
        assert (picture != shuffled).any()


def test_halves_share_no_class(tmp_path):
    transfer.prepare(tmp_path, transfer.source(True))
    first, second = (data.load("npz", str(tmp_path / f"{name}-0.npz"))
                     for name in ("first", "second"))
    assert sorted(first.class_names + second.class_names) == list("0123456789")
    assert len(first.train_labels) + len(second.train_labels) == 1437
    digits = data.load("digits")
    for part in (first, second):
        for k, name in enumerate(part.class_names):
            np.testing.assert_array_equal(part.test_images[part.test_labels == k],
                                          digits.test_images[digits.test_labels == int(name)])


def test_each_run_has_a_name_of_its_own_and_no_line_stands_for_two():
    for module in (data_size, scaling, positions, transfer, bias):
        settings = module.settings(False)
        names = {setting.name for setting in settings}
        assert len(names) == len(settings)
        for setting in settings:
            alike = [other for other in settings if setting.facts.items() <= other.facts.items()]
            assert alike == [setting]


def test_recorded_lines_are_runs_of_the_studies():
    for module in (data_size, scaling, positions, transfer, bias):
        name = module.__name__.split(".")[-1].replace("_", "-")
        facts = [setting.facts for setting in module.settings(False)]
        for line in (RECORDED / f"{name}.jsonl").read_text().splitlines():
            record = json.loads(line)
            assert sum(each.items() <= record.items() for each in facts) == 1, record


def test_data_of_halves_are_in_the_studys_folder():
    own = study.with_data(transfer.settings(False)[1], "/data", tmp := Path("/out"))
    assert own.recipe.data_dir == str(tmp / "second-0.npz")
    assert own.origin.recipe.data_dir == str(tmp / "first-0.npz")
    masked = study.with_data(transfer.settings(False)[2], "/data", tmp)
    assert masked.origin.recipe.data_dir == "/data/fashion-mnist" and not masked.origin.labels


@pytest.mark.parametrize(("arguments", "words"), [
    (["size"], "there is no study 'size'; possible are data-size, scaling"),
    (["data-size", "--data-dir", "nowhere"], "fashion-mnist")])
def test_mistakes_are_one_sentence(tmp_path, arguments, words):
    with pytest.raises(vitnp.Error, match=words):
        study.main([*arguments, "--out", str(tmp_path / "out")])


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / "results.jsonl").write_text(json.dumps({"a": 1}) + "\n{\"b\"")
    with pytest.raises(vitnp.Error, match="a line of it is no JSON; delete this line"):
        study.read(tmp_path)
