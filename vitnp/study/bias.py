"""What does each network take for granted? Changed test pictures, shown to trained networks.

The networks are those that data-size trained on all of Fashion-MNIST; where its runs are missing,
they are made, with --out in that folder. Nothing was augmented in training, so what a network does
with shifted, mirrored or shuffled pictures comes from its own assumptions and from what the
pictures taught it.

Budget: five minutes, after data-size.
"""

from dataclasses import replace

import numpy as np

from vitnp.analysis import evaluation
from vitnp.common.randomness import generator
from vitnp.data import load
from vitnp.layers import textbook
from vitnp.model import load as load_model
from vitnp.study import data_size, figures

PATCH = 7           # pixels; for the digits 2


def settings(small):
    """Return the runs of data-size with all pictures."""
    if small:
        return [replace(data_size.digits(network, 1293), study="data-size-small")
                for network in data_size.DIGITS]
    return [replace(data_size.fashion(network, 54_000, seed, False), study="data-size")
            for seed in (0, 1, 2) for network in data_size.NETWORKS]


def records_of(setting, place):
    """Return a record for each change of the test pictures."""
    recipe, trained = setting.recipe, load_model(place, "best")
    dataset = load(recipe.data, recipe.data_dir)
    side = 2 if recipe.data == "digits" else PATCH
    records = []
    for change, images in changed(dataset.test_images, side).items():
        score = evaluation.score(trained, images, dataset.test_labels)
        records.append(setting.facts | {"change": change, "test_accuracy": score.accuracy})
    return records


def changed(images, side):
    """Return the kinds of changed pictures, a dict name → uint8 (B, height, width, C)."""
    black = images.min()
    shifted = {f"shifted by {pixels}": np.pad(
        images, ((0, 0), (0, 0), (pixels, 0), (0, 0)), constant_values=black)[:, :, :-pixels]
        for pixels in (1, 2, 4)}
    patches, cache = textbook.patches.forward(images, side)                     # (B, N, P·P·C)
    order = generator(0, "split").permutation(patches.shape[1])
    shuffled = textbook.patches.backward(np.ascontiguousarray(patches[:, order]), cache)
    return {"as they are": images} | shifted | {"mirrored": images[:, :, ::-1],
                                                "patches shuffled": shuffled}


def draw(records, path):
    """Draw the accuracies, a group of bars for each change."""
    figure, (axes,) = figures.panels(1, width=9.0)
    changes = list(dict.fromkeys(record["change"] for record in records))
    for number, (network, (colour, _)) in enumerate(figures.STYLES.items()):
        found = [[100 * record["test_accuracy"] for record in records
                  if (record["change"], record["network"]) == (change, network)]
                 for change in changes]
        middle = [sum(values) / len(values) for values in found]
        spread = [[mean - min(values) for mean, values in zip(middle, found, strict=True)],
                  [max(values) - mean for mean, values in zip(middle, found, strict=True)]]
        places = np.arange(len(changes)) + 0.27 * (number - 1)
        axes.bar(places, middle, 0.25, yerr=spread, color=colour, label=network, capsize=3)
    axes.set(xticks=range(len(changes)), xticklabels=changes, ylabel="test accuracy, %",
             ylim=(0, 100))
    axes.legend(frameon=False, ncols=3, loc="upper right")
    figures.save(figure, path)
