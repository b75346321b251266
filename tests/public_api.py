"""What users call, used once with types written down: mypy reads this file, and nothing runs it."""

from pathlib import Path
from typing import assert_type

import numpy as np

import vitnp
from vitnp.analysis.evaluation import Score
from vitnp.data.preprocess import Preprocess
from vitnp.networks.resnet import ResNetConfig
from vitnp.runs.recipe import Recipe
from vitnp.training import loop


def load_and_predict(path: Path, pictures: list[str], array: np.ndarray) -> None:
    model = vitnp.load(path, which="best", heads=3, image_size=(32, 48))
    assert_type(model, vitnp.Model)
    assert_type(vitnp.load("model.npz", image_size=224), vitnp.Model)
    assert_type(model.config, vitnp.ViTConfig | ResNetConfig)
    assert_type(model.preprocess, Preprocess)
    assert_type(model.class_names, tuple[str, ...] | None)
    for images in (path, "a.png", pictures, [path], array, [array, array]):
        assert_type(model.logits(images), np.ndarray)
    assert_type(model.probabilities(pictures), np.ndarray)
    assert_type(model.features(array), np.ndarray)
    assert_type(model.attention(array), list[np.ndarray])
    loss, gradients = model.loss_and_gradients(array, [3, 1], smoothing=0.1)
    assert_type(loss, float)
    print(gradients["norm"]["gamma"])
    assert_type(model.to("gpu", ops="fused"), vitnp.Model)
    model.save(path, layout="timm")
    model.to("tpu", 3)                          # type: ignore[arg-type]
    vitnp.load(path, which=1)                   # type: ignore[arg-type]
    vitnp.lod(path)                             # type: ignore[attr-defined]


def configure(array: np.ndarray) -> vitnp.Model:
    config = vitnp.ViTConfig(image_size=32, patch_size=4, stem=(24, 48), classes=None)
    config = vitnp.ViTConfig.named("B/16", image_size=(48, 32), pooling="gap")
    rows, columns = config.grid
    assert_type(rows * columns, int)
    assert_type(config.tokens, int)
    height, width = config.image_size
    preprocess = Preprocess((height, width), (0.5,) * 3, (0.5,) * 3, resample="bicubic")
    assert_type(preprocess.shape, tuple[int, int, int])
    assert_type(preprocess.scale(preprocess.batch([array, "a.png"]), np.float64), np.ndarray)
    assert_type(vitnp.__version__, str)
    vitnp.ViTConfig(width="wide")               # type: ignore[arg-type]
    vitnp.ViTConfig(depths=3)                   # type: ignore[call-arg]
    return vitnp.Model(config, {}, preprocess, ("cat", "dog"), threads=2)


def train(folder: Path) -> Score:
    recipe = Recipe(model="tiny/4", epochs=3, learning_rate=1e-3, init_from=None, seed=1)
    found, model, score = loop.train(recipe, out=folder)
    assert_type(found, Path)
    assert_type(model, vitnp.Model)
    assert score is not None                    # only without labels
    loop.resume(str(found), {"threads": 1})
    assert_type(score.class_accuracies, np.ndarray)
    Recipe(epoch=3)                             # type: ignore[call-arg]
    loop.train({"epochs": 3})                   # type: ignore[arg-type]
    return score


def catch(path: Path) -> str:
    try:
        vitnp.load(path)
    except vitnp.Error as error:
        return str(error)
    return ""
