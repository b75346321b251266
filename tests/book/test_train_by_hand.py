"""The training loop on one page: it is short, learns the digits, and takes the library's steps."""

from pathlib import Path

import numpy as np

from tutorials import train_by_hand
from vitnp import data, params, vit
from vitnp.data.preprocess import Preprocess
from vitnp.model import Model
from vitnp.runs.recipe import Recipe
from vitnp.training import steps


def test_the_page_is_one_page():
    lines = Path(train_by_hand.__file__).read_text().splitlines()
    first = lines.index("def train(weights, config, images, labels, batches, peak, "
                        "weight_decay=0.05, ops=textbook):")
    assert len(lines) < 75 and lines.index("    return np.array(curve)") - first < 40


def test_it_reads_digits(capsys):
    train_by_hand.main()
    line = capsys.readouterr().out
    assert float(line.split("; ")[1].split()[0]) > 90, line


def test_its_steps_are_those_of_the_library():
    digits, config = data.load("digits"), vit.ViTConfig.named("micro/4", image_size=8, channels=1,
                                                              classes=10)
    weights = vit.init(config, np.random.default_rng(0))
    state = steps.start_from(weights.copy())
    batches = train_by_hand.in_batches(192, 64, 1, np.random.default_rng(1))
    images = digits.train_images.astype(np.float32) / 127.5 - 1.0
    train_by_hand.train(weights, config, images, digits.train_labels, batches, peak=1e-3)
    recipe = Recipe(learning_rate=1e-3, warmup_epochs=0, epochs=1, label_smoothing=0.0,
                    weight_decay=0.05, ops="textbook")
    model = Model(config, params.views(state.params, vit.shapes(config)),
                  Preprocess((8, 8), (0.5,), (0.5,)))
    for batch in batches:
        steps.train_step(state, model, digits.train_images[batch], digits.train_labels[batch],
                         recipe, len(batches))
    np.testing.assert_allclose(weights, state.params, atol=2e-5)
