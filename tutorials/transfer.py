"""Does knowing five classes help to learn five others from few pictures? And larger pictures?

    python -m tutorials.transfer [--data-dir DIR] [--out runs/transfer] [--seeds 3]

For each seed, CIFAR-10's classes are split in two halves at random. A small ViT is trained on all
pictures of the first half. Then 1,000 pictures of the second half are learned twice: with that
network as the start (`--init-from`), and from random weights. And the network goes on with its own
pictures, enlarged to 64 x 64 pixels, which are four times as many patches, and for comparison
without that. Each run is one of vitnp.train; one that was stopped goes on, and one that is finished
is not repeated.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from vitnp import data
from vitnp.common import command
from vitnp.common.files import write_json
from vitnp.common.randomness import generator
from vitnp.parallel import lanes
from vitnp.runs.presets import SMALL, finetune
from vitnp.runs.recipe import Recipe
from vitnp.study.settings import finish
from vitnp.study.transfer import write_part as write_classes
from vitnp.training import saving

FEW = 1000                  # pictures of the second half of the classes
SHARED = SMALL | {"data": "npz", "model": "mini/8", "crop_padding": 4, "flip": 0.5}
PRETRAINED = Recipe(**SHARED | {"epochs": 20})
SCRATCH = Recipe(**SHARED | {"epochs": 200, "warmup_epochs": 10})
# SGD, half a cosine and no weight decay are the paper's (appendix B.1.1); the rate is one of those
# that it tried
TUNED = Recipe(data="npz", optimizer="sgd", learning_rate=0.03, weight_decay=0.0, epochs=100,
               label_smoothing=0.0, rotate=0.0, rescale=0.0, crop_padding=4, flip=0.5)
LARGER = Recipe(**finetune() | {"data": "npz", "image_size": 64, "crop_padding": 4, "epochs": 6})
LONGER = replace(LARGER, image_size=None)


def main(arguments):
    """Train what is not yet trained, and print and write the accuracies."""
    parser = command.Parser(prog="python -m tutorials.transfer", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", metavar="DIR", help="folder with the files of CIFAR-10")
    parser.add_argument("--out", metavar="DIR", default="runs/transfer", help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=3, help="how many splits of the classes")
    options = parser.parse_args(arguments)
    command.check_counts(options, "seeds")
    lanes.prepare_process()
    folder, cifar = Path(options.out), data.load("cifar10", options.data_dir)
    results = []
    for seed in range(options.seeds):
        results.append({"seed": seed} | compare(cifar, seed, folder / f"seed-{seed}"))
        print(json.dumps(results[-1]), flush=True)
    write_json(folder / "results.json", {"few": FEW, "results": results})
    for name in ("tuned", "scratch", "pretrained", "larger", "longer"):
        found = [100 * result[name] for result in results]
        print(f"{name}: {np.mean(found):.1f} % in the mean, from {min(found):.1f} to "
              f"{max(found):.1f}")
    return 0


def compare(cifar, seed, folder):
    """Return the test accuracies of one seed's runs, and the names of the few classes."""
    rng = generator(seed, "split")
    classes = rng.permutation(len(cifar.class_names))
    first, second = np.sort(classes[:5]), np.sort(classes[5:])
    write_part(cifar, first, None, rng, folder / "first.npz")
    write_part(cifar, second, FEW, rng, folder / "second.npz")
    result = {"classes": [cifar.class_names[each] for each in second]}
    origin = folder / "pretrained"
    result["pretrained"] = accuracy(PRETRAINED, folder / "first.npz", seed, origin)
    tuned = replace(TUNED, init_from=str(origin))
    result["tuned"] = accuracy(tuned, folder / "second.npz", seed, folder / "tuned")
    result["scratch"] = accuracy(SCRATCH, folder / "second.npz", seed, folder / "scratch")
    for name, recipe in (("larger", LARGER), ("longer", LONGER)):
        again = replace(recipe, init_from=str(origin))
        result[name] = accuracy(again, folder / "first.npz", seed, folder / name)
    return result


def write_part(cifar, classes, count, rng, path):
    """Write the pictures of some classes, for training `count` of them, equally many of each."""
    if path.exists():
        return
    if count:
        chosen = np.concatenate([
            rng.choice(np.flatnonzero(cifar.train_labels == k), count // len(classes),
                       replace=False) for k in classes])
        cifar = replace(cifar, train_images=cifar.train_images[chosen],
                        train_labels=cifar.train_labels[chosen])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_classes(cifar, classes, path)


def accuracy(recipe, path, seed, folder):
    """Return the test accuracy of a run in a folder, which is trained where it is not finished."""
    finish(replace(recipe, data_dir=str(path), seed=seed), folder)
    return saving.result_of(folder)["test_accuracy"]


if __name__ == "__main__":
    command.run(main)
