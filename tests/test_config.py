"""ViTConfig: impossible combinations refused in a sentence, and the sizes that have a name."""

import dataclasses
import math

import pytest

import vitnp
from vitnp import ViTConfig, vit

# Dosovitskiy et al. 2021, table 1, and Touvron et al. 2021 for Ti and S: with 1000 classes at 224
PAPER = {
    "Ti/16": (12, 192, 768, 3, 5_717_416),
    "S/16": (12, 384, 1536, 6, 22_050_664),
    "S/32": (12, 384, 1536, 6, 22_878_952),
    "B/16": (12, 768, 3072, 12, 86_567_656),
    "B/32": (12, 768, 3072, 12, 88_224_232),
    "L/16": (24, 1024, 4096, 16, 304_326_632),
    "L/32": (24, 1024, 4096, 16, 306_535_400),
    "H/14": (32, 1280, 5120, 16, 632_045_800),
}


def refusal(call, *arguments, **named):
    with pytest.raises(vitnp.Error) as caught:
        call(*arguments, **named)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("name", "sizes"), PAPER.items())
def test_named_sizes_are_those_of_the_paper(name, sizes):
    config = ViTConfig.named(name)
    assert (config.depth, config.width, config.mlp_width, config.heads) == sizes[:4]
    assert (config.image_size, config.classes) == ((224, 224), 1000)
    assert config.patch_size == int(name.split("/")[1])
    assert sum(math.prod(shape) for shape in vit.shapes(config).values()) == sizes[4]


def test_every_variant_can_be_built_and_changed():
    for variant in ("micro", "tiny", "small", "Ti", "S", "B", "L", "H"):
        config = ViTConfig.named(f"{variant}/4", image_size=(8, 12), channels=1, classes=None,
                                 width=96, heads=4)
        assert (config.patch_size, config.channels, config.classes) == (4, 1, None)
        assert (config.width, config.heads) == (96, 4)


@pytest.mark.parametrize("name", ["B", "B/", "/16", "", "B/x", "XL/16", "b/16", "B/-1", "B/1.5",
                                  "B/16/2", "B 16", "B/²"])
def test_unknown_names_are_refused_with_what_is_possible(name):
    message = refusal(ViTConfig.named, name)
    assert repr(name) in message
    assert all(word in message for word in ("VARIANT/PATCH", "B/16", "micro", "tiny", "H"))


def test_a_patch_side_of_zero_is_refused():
    assert "patch_size is 0" in refusal(ViTConfig.named, "B/0")


@pytest.mark.parametrize("value", [0, -1, 1.0, 16.0, True, "16", None, float("nan"), [16], 1j])
@pytest.mark.parametrize("name", ["patch_size", "channels", "width", "depth", "heads", "mlp_width",
                                  "classes", "pre_logits"])
def test_sizes_are_whole_numbers_of_at_least_one(name, value):
    if value is None and name in ("classes", "pre_logits"):
        assert getattr(ViTConfig(**{name: None}), name) is None
    else:
        message = refusal(ViTConfig, **{name: value})
        assert message == f"{name} is {value!r}; it must be a whole number of at least 1"


@pytest.mark.parametrize(("value", "words"), [
    (0, "image height is 0"), (-16, "image height is -16"), (16.0, "image height is 16.0"),
    (True, "image height is True"), ("224", "image height is '224'"), ((32, 0), "width is 0"),
    ((16, "16"), "image width is '16'"), ((16, 16, 3), "has 3 numbers; give height and width"),
    ((16,), "has 1 numbers"), ([], "has 0 numbers"), (None, "image height is None"),
])
def test_image_sizes_that_are_none(value, words):
    assert words in refusal(ViTConfig, image_size=value)


@pytest.mark.parametrize("value", [1.0, 1, -0.1, 2.0, float("nan"), float("inf"), "0.1", None,
                                   True, False])
@pytest.mark.parametrize("name", ["dropout", "attention_dropout", "stochastic_depth"])
def test_rates_are_from_zero_to_below_one(name, value):
    message = refusal(ViTConfig, **{name: value})
    assert message == f"{name} is {value!r}; it must be a number from 0 to below 1"


@pytest.mark.parametrize("value", [0, 0.0, -1e-6, float("inf"), float("nan"), "1e-6", None, True])
def test_eps_is_above_zero_and_finite(value):
    assert refusal(ViTConfig, eps=value) == f"eps is {value!r}; it must be a number above 0"


@pytest.mark.parametrize("value", ["max", "", None, "Token", 1, ["token"]])
@pytest.mark.parametrize(("name", "possible"), [
    ("pooling", "token, gap, avg"), ("positions", "learned, none, 2d"), ("gelu", "tanh, erf")])
def test_choices_are_refused_with_the_possible_ones(name, possible, value):
    assert refusal(ViTConfig, **{name: value}) == f"{name} is {value!r}; possible are {possible}"


@pytest.mark.parametrize(("size", "patch"), [((30, 32), 16), ((32, 30), 16), ((8, 8), 3),
                                             ((8, 8), 16), ((1, 1), 2)])
def test_patches_must_divide_both_sides(size, patch):
    message = refusal(ViTConfig, image_size=size, patch_size=patch)
    assert f"images of {size[0]} x {size[1]} cannot be cut into patches of side {patch}" in message
    assert "divides both sides" in message


def test_heads_must_divide_the_width():
    message = refusal(ViTConfig, width=100, heads=3)
    assert "width 100 cannot be divided among 3 heads" in message and "multiple" in message
    assert "4 heads" in refusal(ViTConfig, width=2, heads=4)


@pytest.mark.parametrize(("pooling", "tokens"), [("token", 7), ("gap", 6), ("avg", 7)])
def test_grid_and_tokens_of_images_that_are_not_square(pooling, tokens):
    config = ViTConfig(image_size=(48, 32), patch_size=16, pooling=pooling)
    assert config.grid == (3, 2)
    assert config.tokens == tokens
    assert config.class_token is (pooling != "gap")


def test_one_number_is_both_sides_and_a_list_becomes_a_pair():
    """JSON gives lists; a config read back must equal the one written."""
    config = ViTConfig(image_size=32)
    assert config.image_size == (32, 32) and config.tokens == 5
    assert ViTConfig(image_size=[32, 32]) == config and hash(config) == hash(ViTConfig(32))
    assert ViTConfig(**dataclasses.asdict(config)) == config


def test_a_config_cannot_be_changed_past_its_checks():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ViTConfig().width = -1
    refusal(dataclasses.replace, ViTConfig(), width=-1)
