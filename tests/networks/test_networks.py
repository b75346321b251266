"""Residual networks and hybrids go through all that trains, saves, resumes and predicts."""

from dataclasses import replace

import numpy as np
import pytest

import vitnp
from vitnp import data, networks, params, train, visualize, vit
from vitnp.layers.convolutional import textbook
from vitnp.networks import resnet
from vitnp.networks.resnet import ResNetConfig
from vitnp.runs.recipe import Recipe
from vitnp.training import loop, steps
from vitnp.training.signals import Stopped

RESNET = Recipe(model="resnet-8", epochs=2, batch_size=30, warmup_epochs=1, ema=0.9, threads=1)
HYBRID = replace(RESNET, model="micro/1", stem="8,16", pooling="token", dropout=0.1)


@pytest.fixture(autouse=True)
def few_images(monkeypatch):
    """Let every run in this process train on 130 digits and test on 20: 4 steps an epoch."""
    digits = data.load("digits")
    few = replace(digits, train_images=digits.train_images[:130],
                  train_labels=digits.train_labels[:130], test_images=digits.test_images[:20],
                  test_labels=digits.test_labels[:20])
    monkeypatch.setattr(data, "load", lambda *arguments: few)
    return few


@pytest.fixture(params=[RESNET, HYBRID], ids=["resnet", "hybrid"])
def recipe(request):
    """Return the recipe of a residual network, then of a hybrid."""
    return request.param


@pytest.fixture
def run(recipe, tmp_path):
    """Return the folder of a finished run."""
    return loop.train(recipe, tmp_path / "run")[0]


def test_a_run_is_loaded_as_the_network_that_it_is(run, recipe, few_images):
    model = vitnp.load(run)
    config, _ = recipe.configure(few_images)
    assert model.config == config and model.ops is textbook
    network, images = networks.of(config), few_images.test_images[:3]
    expected, _ = network.forward(model.preprocess.scale(images, np.float32), model.params, config,
                                  textbook)
    np.testing.assert_allclose(model.logits(images), expected, rtol=1e-5, atol=1e-6)
    assert len(model.features(images)) == 3
    loss, gradients = model.loss_and_gradients(images, few_images.test_labels[:3])
    assert np.isfinite(loss) and set(params.flatten(gradients)) == set(network.shapes(config))


def test_a_stopped_run_goes_on_to_the_bit(run, recipe, tmp_path, monkeypatch):
    step = steps.train_step

    def stop_at_five(state, *arguments):
        if state.step == 5:
            raise Stopped("enough", 15)
        return step(state, *arguments)

    monkeypatch.setattr(steps, "train_step", stop_at_five)
    with pytest.raises(Stopped):
        loop.train(recipe, tmp_path / "stopped")
    monkeypatch.setattr(steps, "train_step", step)
    loop.resume(tmp_path / "stopped")
    for which in ("last", "best"):
        one, other = (params.flatten(vitnp.load(folder, which).params)
                      for folder in (run, tmp_path / "stopped"))
        assert all((one[path] == other[path]).all() for path in one)


def test_threads_change_no_bit(run, recipe, tmp_path):
    other = loop.train(replace(recipe, threads=2), tmp_path / "lanes")[0]
    one, two = (params.flatten(vitnp.load(folder).params) for folder in (run, other))
    assert all((one[path] == two[path]).all() for path in one)


def test_its_weights_can_be_fine_tuned_and_probed(run, tmp_path):
    tuned = Recipe(init_from=str(run), epochs=1, batch_size=30, threads=1, tune="head")
    _, model, _ = loop.train(tuned, tmp_path / "probe")
    before, after = (params.flatten(each.params) for each in (vitnp.load(run, "best"), model))
    changed = {path for path in before if (before[path] != after[path]).any()}
    assert changed == {"head/weight", "head/bias"}


def test_rates_fall_from_block_to_block_down_to_the_root():
    config = ResNetConfig.named("resnet-8", image_size=8, channels=1)
    rates = {multiplier for _, multiplier, _ in steps.groups(config, 0.1, layer_decay=0.5)}
    assert rates == {1.0, 0.5, 0.25, 0.125, 0.0625}


@pytest.mark.parametrize("changes", [{"stem": "8"}, {"dropout": 0.1}, {"stochastic_depth": 0.1},
                                     {"pooling": "token"}, {"positions": "2d"}, {"gelu": "erf"}])
def test_what_a_residual_network_has_not_is_refused(changes, few_images):
    (name,) = changes
    with pytest.raises(vitnp.Error, match=f"--{name.replace('_', '-')} is .* left out with resnet"):
        replace(RESNET, **changes).configure(few_images)


def test_what_is_for_transformers_alone_is_one_sentence(tmp_path, few_images):
    run = loop.train(RESNET, tmp_path / "run")[0]
    model = vitnp.load(run)
    with pytest.raises(vitnp.Error, match="attention weights are for Vision Transformers; this is"):
        model.attention(np.zeros((8, 8, 1), np.uint8))
    with pytest.raises(vitnp.Error, match="the layout timm is for Vision Transformers"):
        model.save(tmp_path / "timm", "timm")
    with pytest.raises(vitnp.Error, match="has 0 heads, not 3"):
        vitnp.load(run, heads=3)
    with pytest.raises(vitnp.Error, match="these figures are for Vision Transformers"):
        visualize.main(["figures", str(run), "--data", "digits"])
    with pytest.raises(vitnp.Error, match="unknown model 'resnet-9'; possible are resnet-8"):
        train.main(["--model", "resnet-9"])


def test_what_a_hybrid_has_and_has_not(tmp_path, few_images):
    run = loop.train(HYBRID, tmp_path / "run")[0]
    model = vitnp.load(run)
    attention = model.attention(few_images.test_images[:3])
    assert [weights.shape for weights in attention] == [(3, 2, 5, 5)] * 2
    with pytest.raises(vitnp.Error, match="this one has a convolutional stem"):
        model.save(tmp_path / "timm", "timm")
    with pytest.raises(vitnp.Error, match="this one has a convolutional stem"):
        visualize.main(["figures", str(run), "--data", "digits"])


@pytest.mark.parametrize(("stem", "told"), [
    ("8;16", "--stem is '8;16'; it must be numbers of channels with commas"),
    ("12", r"stem is \(12,\); give the channels of each layer, multiples of 8"),
    ("8,8,8,8", "maps of 1 x 1 cannot be cut into patches of side 2")])
def test_impossible_stems(stem, told, few_images):
    with pytest.raises(vitnp.Error, match=told):
        replace(HYBRID, model="micro/2", stem=stem).configure(few_images)


def test_a_configuration_finds_its_network():
    transformer = vitnp.ViTConfig(classes=3)
    assert networks.of(transformer) is vit and networks.of(ResNetConfig()) is resnet
    assert ResNetConfig(depths=(1, 2)).depth == 3 and transformer.depth == 12
