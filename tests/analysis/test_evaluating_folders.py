"""Evaluating pictures in folders: which of them are counted, and what is said about them."""

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import vitnp
from vitnp import evaluate
from vitnp.analysis import real_labels
from vitnp.data import fingerprint, folder
from vitnp.runs.recipe import Recipe
from vitnp.training import loop


def write_class(path, names, seed):
    path.mkdir(parents=True)
    for i, name in enumerate(names):
        rng = np.random.default_rng([seed, i])
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(path / name)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return the folder of a run on a folder without test part."""
    path = tmp_path_factory.mktemp("evaluated")
    for k, name in enumerate(("ant", "cat")):
        write_class(path / "set" / "train" / name, [f"{i:02}.png" for i in range(40)], k)
    recipe = Recipe(data="folder", data_dir=str(path / "set"), image_size=8, model="micro/4",
                    epochs=1, threads=1, workers=1)
    loop.train(recipe, path / "run")
    return path


@pytest.fixture
def run(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "copy")
    config = tmp_path / "copy" / "run" / "config.json"
    config.write_text(config.read_text().replace(str(trained), str(tmp_path / "copy")))
    path = tmp_path / "copy" / "run" / fingerprint.NAME
    kept = fingerprint.read(tmp_path / "copy" / "run")
    fingerprint.write(path.parent, kept | {"root": os.path.realpath(tmp_path / "copy" / "set")})
    return tmp_path / "copy" / "run"


def evaluated(capsys, *arguments):
    assert evaluate.main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr()


def images_in(printed):
    return int(printed.out.splitlines()[0].rsplit(", ", 1)[1].split()[0].replace(",", ""))


def test_added_pictures_move_no_trained_one_into_the_test(run, capsys):
    """A picture that sorted early once put 15 of 20 trained pictures into the test part."""
    kept, set_folder = fingerprint.read(run), run.parent / "set"
    before = images_in(evaluated(capsys, run))
    assert before == len(fingerprint.listed(kept, ("test",)))
    for name in ("ant", "cat"):
        for i in range(20):
            shutil.copy(set_folder / "train" / name / "00.png",
                        set_folder / "train" / name / f".{i}".replace(".", "!"))
            os.rename(set_folder / "train" / name / f"!{i}",
                      set_folder / "train" / name / f"!{i:02}.png")
    printed = evaluated(capsys, run)
    assert "40 pictures added since the run began: train/ant/!00.png" in printed.err
    data = folder.load(set_folder, 8, 1, kept=kept, evaluating=True)
    tested = set(fingerprint.listed(data.fingerprint, ("test",)))
    assert images_in(printed) == len(tested)
    assert not tested & set(fingerprint.listed(kept, ("train", "validation")))
    assert set(fingerprint.listed(kept, ("test",))) <= tested


def test_pictures_that_were_trained_on_are_not_counted_without_a_word(run, capsys):
    kept, set_folder = fingerprint.read(run), run.parent / "set"
    trained = len(fingerprint.listed(kept, ("train",)))
    elsewhere = run.parent / "elsewhere"
    shutil.copytree(set_folder / "train", elsewhere)
    for place in (set_folder / "train", elsewhere):
        printed = evaluated(capsys, run, "--data", "folder", "--data-dir", place)
        assert images_in(printed) == 80             # a folder of classes is all tested
        assert f"{trained} of the 80 pictures of the test part have the name and size" in (
            printed.err)
    assert "was trained on" not in evaluated(capsys, run).err


def test_a_folder_with_only_a_test_part_is_evaluated(run, capsys):
    shutil.move(run.parent / "set" / "train", run.parent / "only" / "test")
    for arguments in (("--data", "folder", "--data-dir", run.parent / "only"),
                      ("--data-dir", run.parent / "only")):
        assert images_in(evaluated(capsys, run, *arguments)) == 80
    with pytest.raises(vitnp.Error, match="these pictures have no validation part"):
        evaluate.main([str(run), "--data", "folder", "--data-dir", str(run.parent / "only"),
                       "--part", "validation"])


def test_an_old_run_is_evaluated_on_the_part_that_it_had(run, capsys):
    (run / fingerprint.NAME).unlink()
    assert images_in(evaluated(capsys, run)) == 8           # a tenth of each class by position


def test_pixels_are_those_that_predict_sees(run, trained):
    data = folder.load(run.parent / "set", 8, 1, evaluating=True, kept=fingerprint.read(run))
    assert data.train_images.drafted is None and data.test_images.drafted is None


def real(tmp_path, lists):
    path = tmp_path / "real.json"
    path.write_text(json.dumps(lists))
    return path


def test_a_prediction_is_right_when_it_is_among_the_labels(tmp_path):
    lists = real_labels.read(real(tmp_path, [[1], [2, 3], [], [5]]))
    names = [f"val/n0/ILSVRC2012_val_{i:08}.JPEG" for i in (4, 2, 3, 1)]
    assert real_labels.accuracy(lists, names, [5, 3, 9, 7], 1000) == (2 / 3, 3)


@pytest.mark.parametrize(("names", "classes", "words"), [
    (["ILSVRC2012_val_00000001.JPEG"], 10, "for the 1,000 classes of ImageNet"),
    (["cat.JPEG"], 1000, "cat.JPEG is no picture of ImageNet's validation part"),
    (["ILSVRC2012_val_00000009.JPEG"], 1000, "is no picture of ImageNet's validation part"),
    (["ILSVRC2012_val_00000003.JPEG"], 1000, "none of these pictures has a label"),
    ([], 1000, "for pictures in folders"),
])
def test_what_has_no_such_labels_is_one_sentence(tmp_path, names, classes, words):
    with pytest.raises(vitnp.Error, match=words):
        real_labels.accuracy([[1], [2], [], [3]], names, [1], classes)


@pytest.mark.parametrize("content", ["", "[]", "{}", "[1]", "[[1000]]", "[[-1]]", "[[1.5]]",
                                     "[" * 9999])
def test_another_file_is_no_real_json(tmp_path, content):
    (tmp_path / "real.json").write_text(content)
    with pytest.raises(vitnp.Error, match="is no real.json"):
        real_labels.read(tmp_path / "real.json")
    with pytest.raises(vitnp.Error, match="cannot be read"):
        real_labels.read(tmp_path)


def test_the_command_prints_the_real_accuracy(tmp_path, capsys, monkeypatch):
    """1,000 folders named by synset, as ImageNet's validation part lies on disks."""
    rng = np.random.default_rng(0)
    for k in range(1000):
        place = tmp_path / "imagenet" / "val" / f"n{k:08}"
        place.mkdir(parents=True)
        if k < 3:
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(
                place / f"ILSVRC2012_val_{k + 1:08}.JPEG")
        else:
            os.link(tmp_path / "imagenet/val/n00000000/ILSVRC2012_val_00000001.JPEG",
                    place / f"ILSVRC2012_val_{k + 1:08}.JPEG")
    from vitnp.networks import of

    config = vitnp.ViTConfig.named("micro/4", image_size=8, classes=1000)
    network = of(config)
    from vitnp import params
    from vitnp.data.preprocess import whole

    flat = network.init(config, np.random.default_rng(0))
    model = vitnp.Model(config, params.views(flat, network.shapes(config)), whole((8, 8)),
                        tuple(f"n{k:08}" for k in range(1000)))
    model.save(tmp_path / "model.safetensors")
    logits = model.logits([tmp_path / f"imagenet/val/n{k:08}/ILSVRC2012_val_{k + 1:08}.JPEG"
                           for k in range(1000)])
    best = logits.argmax(axis=1)
    lists = [[int(best[k]), 7] if k % 2 else [] if k % 3 else [int(best[k] + 1) % 1000]
             for k in range(1000)]
    arguments = [tmp_path / "model.safetensors", "--data", "folder", "--data-dir",
                 tmp_path / "imagenet", "--real", real(tmp_path, lists)]
    printed = evaluated(capsys, *arguments)
    counted = [k for k in range(1000) if lists[k]]
    share = np.mean([best[k] in lists[k] for k in counted])
    assert f"ReaL accuracy {100 * share:.2f} %, {len(counted):,} images that have labels" in (
        printed.out)
