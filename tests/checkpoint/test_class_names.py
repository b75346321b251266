"""Classes of a checkpoint and of a data set are the same where their names are."""

import random
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import vitnp
from vitnp import evaluate, params, vit
from vitnp.checkpoint import class_names
from vitnp.data.preprocess import Preprocess

KEYS = class_names.imagenet_keys()
SYNSETS, WORDS, SHORT = ([key[i] for key in KEYS] for i in range(3))
SHUFFLED = random.Random(0).sample(range(1000), 1000)


def model(names=None, words=None, classes=None):
    return SimpleNamespace(class_names=names and tuple(names), class_descriptions=words,
                           config=SimpleNamespace(classes=classes or len(names)))


def refusal(*arguments):
    with pytest.raises(vitnp.Error) as caught:
        class_names.match_classes(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("own", "names", "expected"), [
    (("b", "a", "c"), ("a", "b", "c"), [1, 0, 2]),
    (("Maine Coon", "T-shirt/top"), ("t_shirt_top", "maine-coon"), [1, 0]),
    (("cat, tom", "dog, hound"), ("hound", "cat"), [1, 0]),
    (("a", "A"), ("A", "a"), [1, 0]),
    (("crane", "crane, bird"), ("crane, bird", "crane"), [1, 0]),
    (("one, x", "two, x", "three, x"), ("three", "x", "one"), [2, 1, 0]),
])
def test_names_are_matched_whatever_their_order(own, names, expected):
    order, remark = class_names.match_classes(model(own), names)
    assert order.tolist() == expected and remark == "the classes are matched by name"


def test_equal_names_need_no_remark():
    order, remark = class_names.match_classes(model(("b", "a")), ("b", "a"))
    assert order.tolist() == [0, 1] and remark is None


@pytest.mark.parametrize(("own", "names", "words"), [
    (("a", "b"), ("a", "c"), "only the checkpoint has 'b', only the data have 'c'"),
    (("a", "b", "c"), ("a", "c"), "name other classes: only the checkpoint has 'b'"),
    (("a", "b"), ("a", "b", "c"), "name other classes: only the data have 'c'"),
    (tuple("0123456789"), ("Shirt", "Bag", *"abcdefgh"), "only the checkpoint has '0', '1', '2'"),
    (("A", "a"), ("a", "Ä"), "only the checkpoint has 'A', only the data have '\\xc4'"),
    (("a, b", "c, b"), ("b", "d"), "the name 'b' stands for several classes"),
    (("a, b", "c"), ("a", "b"), "the names 'a', 'b' stand for one class of the checkpoint, 'a, b'"),
    ([f"x{i}" for i in range(50)], tuple(f"y{i}" for i in range(50)), "'x9' and 40 more, only the"),
])
def test_other_names_are_refused_with_the_difference(own, names, words):
    assert words in refusal(model(own), names)


def test_without_names_classes_are_taken_by_number_and_it_is_said():
    order, remark = class_names.match_classes(model(classes=3), ("a", "b", "c"))
    assert order.tolist() == [0, 1, 2] and "does not name its classes" in remark and "'a'" in remark
    order, remark = class_names.match_classes(model(("x", "y")), None)
    assert order.tolist() == [0, 1] and "the data have no names" in remark
    names = tuple(sorted(map(str, range(11))))          # "10" comes before "2"
    order, remark = class_names.match_classes(model(classes=11), names)
    assert order.tolist() == [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9] and "numbers" in remark
    assert "has 3 classes without names, the data have 2" in refusal(model(classes=3), ("a", "b"))


@pytest.mark.parametrize("own", [(None, None), (WORDS, None), (SYNSETS, None), (SYNSETS, WORDS),
                                 (SHORT, None)])
@pytest.mark.parametrize("names", [SYNSETS, SHORT, [name.replace(" ", "_") for name in SHORT]])
def test_imagenets_classes_are_known_by_synset_and_by_word(own, names):
    order, remark = class_names.match_classes(model(*own, classes=1000),
                                              tuple(names[k] for k in SHUFFLED))
    assert order.tolist() == SHUFFLED and remark


def test_the_order_of_an_imagenet_heads_own_names_is_respected():
    own = tuple(SHORT[k] for k in SHUFFLED)
    order, _ = class_names.match_classes(model(own), tuple(SYNSETS))
    assert [SHUFFLED[k] for k in order] == list(range(1000))


def test_imagenet_without_some_classes_is_refused():
    assert "only the checkpoint has 'tench'" in refusal(model(classes=1000), tuple(SYNSETS[1:]))


def test_two_cranes_are_not_told_apart_by_chance():
    assert "'crane' stands for several" in refusal(model(SYNSETS, WORDS), tuple(WORDS))


# The command, on pictures whose colour is their class

COLOURS = {"ant": (250, 10, 10), "bee": (10, 250, 10), "cat": (10, 10, 250)}


@pytest.fixture
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for part in ("train", "test"):
        for name, colour in COLOURS.items():
            (tmp_path / "set" / part / name).mkdir(parents=True)
            for i in range(3):
                Image.new("RGB", (9, 8 + i), colour).save(f"set/{part}/{name}/{i}.png")
    return tmp_path


def perfect(names, order, words=None):
    """Return a model that knows the colours, its classes in that order of COLOURS'."""
    config = vitnp.ViTConfig.named("micro/4", image_size=4, classes=3, pooling="gap", depth=1)
    tree = params.views(vit.init(config, np.random.default_rng(0)), vit.shapes(config))
    model = vitnp.Model(config, tree, Preprocess((4, 4), (0.5,) * 3, (0.5,) * 3), names,
                        class_descriptions=words)
    features = model.features([np.full((4, 4, 3), list(COLOURS.values())[k], np.uint8)
                               for k in order])
    tree["head"]["weight"][...] = np.linalg.pinv(features)
    return model


@pytest.mark.parametrize(("layout", "names", "words", "order"), [
    ("native", ("ant", "bee", "cat"), None, (0, 1, 2)),
    ("native", ("cat", "ant", "bee"), None, (2, 0, 1)),
    ("timm", ("n3", "n1", "n2"), ("cat, tom", "Ant", "bee"), (2, 0, 1)),
    ("timm", ("Cat", "ant", "BEE"), None, (2, 0, 1)),
    ("native", None, None, (0, 1, 2)),
])
def test_a_perfect_model_is_right_whatever_the_order_of_its_names(work, capsys, layout, names,
                                                                  words, order):
    model = perfect(names, order, words)
    model.save("m" if layout == "timm" else "m.safetensors", layout)
    path = "m" if layout == "timm" else "m.safetensors"
    evaluate.main([path, "--data", "folder", "--data-dir", "set"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("test accuracy 100.00 %")
    assert [line.split()[:2] for line in lines[-3:]] == [[name, "100.0"] for name in COLOURS]
    assert ("does not name its classes" in "".join(lines)) == (names is None)


@pytest.mark.parametrize("names", [("ant", "bee", "dog"), ("0", "1", "2"), ("ant", "bee", "cats")])
def test_other_names_are_refused_by_the_command(work, names):
    perfect(names, (0, 1, 2)).save("m.safetensors")
    with pytest.raises(vitnp.Error, match="m.safetensors and folder: the checkpoint and the data "
                                          "name other classes: only the checkpoint has"):
        evaluate.main(["m.safetensors", "--data", "folder", "--data-dir", "set"])
