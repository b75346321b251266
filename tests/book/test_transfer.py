"""The transfer study on a small made-up CIFAR-10: its splits, and that nothing is trained twice."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np

from tutorials import transfer
from vitnp.data import Dataset, arrays
from vitnp.training import loop

NAMES = tuple("abcdefghij")


def small_cifar():
    """Pictures whose first pixel is the number of their class."""
    train, test = np.repeat(np.arange(10), 30), np.repeat(np.arange(10), 4)
    images = [np.zeros((len(labels), 32, 32, 3), np.uint8) for labels in (train, test)]
    for pictures, labels in zip(images, (train, test), strict=True):
        pictures[:, 0, 0, 0] = labels
    return Dataset("cifar10", images[0], train, images[1], test, NAMES)


def test_a_part_holds_its_classes_alone_under_new_numbers(tmp_path):
    rng = np.random.default_rng(0)
    transfer.write_part(small_cifar(), np.array([2, 5, 9]), 12, rng, tmp_path / "a" / "part.npz")
    part = arrays.load(tmp_path / "a" / "part.npz")
    assert part.class_names == ("c", "f", "j")
    assert np.bincount(part.train_labels).tolist() == [4, 4, 4]
    assert np.bincount(part.test_labels).tolist() == [4, 4, 4]
    for images, labels in ((part.train_images, part.train_labels),
                           (part.test_images, part.test_labels)):
        assert (images[:, 0, 0, 0] == np.array([2, 5, 9])[labels]).all()


def test_five_runs_and_none_twice(tmp_path, monkeypatch):
    quick = {"epochs": 1, "warmup_epochs": 0, "batch_size": 50, "threads": 1}
    for name in ("PRETRAINED", "TUNED", "SCRATCH", "LARGER", "LONGER"):
        monkeypatch.setattr(transfer, name, replace(getattr(transfer, name), **quick))
    monkeypatch.setattr(transfer, "FEW", 50)
    monkeypatch.setattr(transfer, "data", SimpleNamespace(load=lambda *given: small_cifar()))
    monkeypatch.setattr(transfer.lanes, "prepare_process", lambda: None)
    assert transfer.main(["--out", str(tmp_path), "--seeds", "1"]) == 0
    found = json.loads((tmp_path / "results.json").read_text())["results"]
    assert found[0]["seed"] == 0 and len(set(found[0]["classes"])) == 5
    monkeypatch.setattr(loop, "train", None)                # a second time would fail
    assert transfer.main(["--out", str(tmp_path), "--seeds", "1"]) == 0
    assert json.loads((tmp_path / "results.json").read_text())["results"] == found
