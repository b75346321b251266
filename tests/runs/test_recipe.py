"""The options of a run, checked before anything starts, and what commands make of an Error."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import vitnp
from vitnp.common.command import Parser, run
from vitnp.runs import presets
from vitnp.runs.recipe import Recipe, add_options, from_options

NAN, INF = float("nan"), float("inf")
BAD = {
    "epochs": [0, -1, 1.0, 2.5, True, "3", None, NAN],
    "batch_size": [0, -64, 64.0, True, "64", None],
    "seed": [-1, 0.0, True, "0", None],
    "crop_padding": [-1, 1.0, True, None],
    "learning_rate": [0, 0.0, -1e-3, NAN, INF, -INF, "1e-3", True, None],
    "weight_decay": [-0.1, NAN, INF, "0", True, None, 1e308],
    "warmup_epochs": [-1, NAN, INF, "5", True, None, 1e308],
    "clip_norm": [-1.0, NAN, INF, True, None],
    "label_smoothing": [1, 1.0, -0.1, NAN, INF, "0.1", True, None],
    "rescale": [1.0, -0.1, NAN, "0.1", True, None],
    "rotate": [-1, 181, NAN, INF, "5", True, None],
    "flip": [-0.1, 1.1, NAN, "1", True, None], "erase": [-0.1, 1.1, NAN, True],
    "resized_crop": [0, 0.0, 1.1, -1, NAN, True, None], "ema": [1, 1.0, -0.1, NAN, True, None],
    "randaugment": [-1, 1.0, True, None], "magnitude": [-1, 10.1, NAN, True, None],
    "mixup": [-0.1, INF, NAN, True, None], "cutmix": [-0.1, INF, NAN, True, None],
    "evaluate_every": [0, 1.0, True, None], "patience": [-1, 1.0, True, None],
    "image_size": [0, 32.0, True, "32"], "train_images": [0, 5.0, True, "5"],
    "workers": [0, 1.5, True],
    "layer_decay": [0, 1.1, NAN, True, None], "optimizer": ["adam", None, 1],
    "tune": ["last", None, "head"], "position_start": ["zero", None], "scale": ["whole", None],
}


def parse(*arguments):
    parser = Parser()
    add_options(parser)
    return vars(parser.parse_args(arguments))


def refusal(call, *arguments, **named):
    with pytest.raises(vitnp.Error) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def dataset(shape=(8, 12, 1), classes=3):
    return SimpleNamespace(train_images=np.zeros((2, *shape), np.uint8),
                           class_names=tuple("abcdefgh"[:classes]))


@pytest.mark.parametrize(("name", "value"),
                         [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_is_one_sentence_that_names_its_option(name, value):
    message = refusal(Recipe, **{name: value})
    assert message.startswith(f"--{name.replace('_', '-')} is {value!r}; it must be ")


@pytest.mark.parametrize(("change", "words"), [
    ({"model": "micro/3"}, "8 x 12 cannot be cut into patches of side 3"),
    ({"model": "giant/2"}, "unknown model 'giant/2'"),
    ({"model": ""}, "unknown model ''"),
    ({"pooling": "max"}, "pooling is 'max'; possible are token, gap, avg"),
    ({"positions": "sine"}, "positions is 'sine'; possible are learned, none, 2d"),
    ({"gelu": "relu"}, "gelu is 'relu'; possible are tanh, erf"),
    ({"dropout": 1.0}, "dropout is 1.0"),
    ({"stochastic_depth": NAN}, "stochastic_depth is nan"),
    ({"crop_padding": 8}, "--crop-padding is 8; it must be below the sides of the images, 8 x 12"),
])
def test_what_does_not_fit_the_data_or_the_network_is_refused(change, words):
    assert words in refusal(Recipe(**({"model": "micro/2"} | change)).configure, dataset())


def test_every_field_has_an_option_with_help_and_default(capsys):
    with pytest.raises(SystemExit) as stopped:
        parse("--help")
    assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(Recipe):
        assert f"--{field.name.replace('_', '-')} " in text
        assert field.metadata["help"] in text
        if field.default not in (None, False):
            assert f"(default: {field.default})" in text


def test_without_options_the_defaults_hold():
    options = parse()
    assert set(options.values()) == {None}
    assert from_options(options) == Recipe()


def test_options_override_defaults_with_the_type_of_their_field():
    given = {"model": "small/4", "data": "mnist", "data_dir": "there", "epochs": 3,
             "batch_size": 7, "learning_rate": 0.5, "weight_decay": 0.0, "warmup_epochs": 0.0,
             "clip_norm": 0.0, "crop_padding": 0, "rotate": 5.0, "rescale": 0.5,
             "label_smoothing": 0.0, "dropout": 0.25,
             "stochastic_depth": 0.0, "pooling": "gap", "positions": "2d", "gelu": "erf",
             "seed": 0, "device": "auto", "threads": 3, "micro_batch": 5, "image_size": 64,
             "ema": 0.5, "flip": 1.0, "resized_crop": 0.5, "randaugment": 2, "magnitude": 9.0,
             "erase": 0.5, "mixup": 0.5, "cutmix": 1.0, "workers": 2, "evaluate_every": 4,
             "patience": 5, "init_from": "somewhere", "heads": 3, "tune": "head",
             "layer_decay": 0.5, "optimizer": "sgd", "position_start": "sincos", "scale": "data",
             "ops": "fused", "tf32": True, "precision": "float32", "stem": "8,16",
             "train_images": 50, "balance": True, "best": "class-mean"}
    assert set(given) == {field.name for field in dataclasses.fields(Recipe)}
    arguments = [text for name, value in given.items()
                 if name not in ("tf32", "balance")
                 for text in (f"--{name.replace('_', '-')}", str(value))]
    recipe = from_options(parse(*arguments, "--tf32", "--balance"))
    for name, value in given.items():
        assert getattr(recipe, name) == value and type(getattr(recipe, name)) is type(value)


def test_zero_is_given_and_is_not_taken_for_none():
    assert from_options(parse("--clip-norm", "0", "--crop-padding", "0")) == Recipe(
        clip_norm=0.0, crop_padding=0)


def test_options_go_before_the_preset_and_the_preset_before_the_defaults():
    recipe = from_options(parse("--epochs", "2"), {"epochs": 50, "batch_size": 7})
    assert recipe == Recipe(epochs=2, batch_size=7)


@pytest.mark.parametrize("name", presets.PRESETS)
def test_every_preset_is_a_possible_recipe_and_is_described(name):
    assert from_options(parse(), presets.find(name)).data
    assert isinstance(from_options(parse(), presets.find(name)), Recipe)
    assert f"--preset {name}" in presets.PRESETS[name].__doc__


def test_what_is_no_field_is_left_to_the_command():
    assert from_options(parse() | {"out": "somewhere", "epochs": 2}) == Recipe(epochs=2)


@pytest.mark.parametrize(("arguments", "words"), [
    (("--epochs", "two"), "argument --epochs: invalid int value: 'two'"),
    (("--epochs", "1.5"), "argument --epochs: invalid int value: '1.5'"),
    (("--learning-rate", "fast"), "argument --learning-rate: invalid float value: 'fast'"),
    (("--learning-rate",), "argument --learning-rate: expected one argument"),
    (("--colour", "red"), "unrecognized arguments: --colour red"),
    (("digits",), "unrecognized arguments: digits"),
])
def test_what_argparse_refuses_is_an_error_in_one_sentence(arguments, words):
    message = refusal(parse, *arguments)
    assert words in message and message.endswith("--help lists the options")


def test_the_network_fits_the_recipe_and_the_data():
    recipe = Recipe(model="micro/4", pooling="avg", positions="2d", gelu="erf", dropout=0.1,
                    stochastic_depth=0.2)
    config, preprocess = recipe.configure(dataset((8, 12, 3), classes=5))
    assert (config.image_size, config.channels, config.classes) == ((8, 12), 3, 5)
    assert (config.pooling, config.positions, config.gelu) == ("avg", "2d", "erf")
    assert (config.dropout, config.stochastic_depth, config.patch_size) == (0.1, 0.2, 4)
    assert preprocess.shape == (8, 12, 3)
    images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1) * np.ones((1, 8, 12, 3), np.uint8)
    scaled = preprocess.scale(images)
    assert (scaled[0] == -1).all() and (scaled[1] == 1).all()


def test_exit_codes(capsys):
    def stop(error):
        raise error

    for main, code, message in (
            (lambda arguments: 0, 0, ""),
            (lambda arguments: stop(vitnp.Error("no")), 2, "error: no\n"),
            (lambda arguments: stop(KeyboardInterrupt()), 130, "stopped\n")):
        with pytest.raises(SystemExit) as stopped:
            run(main)
        assert stopped.value.code == code and capsys.readouterr() == ("", message)
    with pytest.raises(KeyError):           # a mistake of ours keeps its traceback
        run(lambda arguments: stop(KeyError("ours")))
