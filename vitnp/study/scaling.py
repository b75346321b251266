"""What does more computing bring? ViT, hybrid and ResNet of several sizes on Fashion-MNIST.

All learn from all training pictures for one epoch, and the smaller ones for four epochs too,
without augmentation. The picture is the paper's figure 5 in small: accuracy against the
multiplications of the whole training.

Budget: 40 runs of some seconds to five minutes, for one epoch with three seeds, for four with one:
an hour.
"""

from vitnp.model import load
from vitnp.runs.recipe import Recipe
from vitnp.study import figures
from vitnp.study.compute import multiplications
from vitnp.study.settings import PLAIN, Setting, result_of, steps

STEM = {"stem": "16,32,64"}
# The rate of each ViT and hybrid is the best on validation after one epoch with seed 0, of three to
# five. Of the ResNets two were tried with 1.2e-2, and one with 8e-2
SIZES = {"ViT": [{"model": "micro/7", "learning_rate": 1.2e-2},
                 {"model": "tiny/7", "learning_rate": 3e-3},
                 {"model": "mini/7", "learning_rate": 1.2e-3},
                 {"model": "midi/7", "learning_rate": 1.2e-3}],
         "hybrid": [{"model": "micro/1", "stem": "8,16,32", "learning_rate": 6e-3},
                    {"model": "tiny/1", "learning_rate": 6e-3} | STEM,
                    {"model": "mini/1", "learning_rate": 1.2e-3} | STEM,
                    {"model": "midi/1", "learning_rate": 1.2e-3} | STEM],
         "ResNet": [{"model": f"resnet-{layers}", "learning_rate": 3e-2} for layers in (14, 8, 12)]}
DIGITS = {"ViT": [{"model": "micro/4"}, {"model": "micro/2"}],
          "hybrid": [{"model": "micro/1", "stem": "8,16"}], "ResNet": [{"model": "resnet-8"}]}
LONGER = {"ViT": SIZES["ViT"][:3], "hybrid": SIZES["hybrid"][:3], "ResNet": SIZES["ResNet"][:1]}
STEPS, IMAGES, SMALL_STEPS, SMALL_IMAGES = 800, 54_000, 40, 1293
TRAINING = 3        # times the multiplications of the forward pass, which a step takes


def settings(small):
    """Return the runs, those of the first seed first."""
    if small:
        return runs("digits", DIGITS, steps(SMALL_STEPS, SMALL_IMAGES), 0)
    once, longer = steps(STEPS, IMAGES), steps(4 * STEPS, IMAGES)
    return [*runs("fashion-mnist", SIZES, once, 0), *runs("fashion-mnist", LONGER, longer, 0),
            *runs("fashion-mnist", SIZES, once, 1), *runs("fashion-mnist", SIZES, once, 2)]


def runs(data, sizes, length, seed):
    """Return a Setting for each size of each network, trained as long as the fields length say."""
    return [Setting({"data": data, "network": network, **size, "epochs": length["epochs"],
                     "seed": seed},
                    Recipe(data=data, seed=seed, **PLAIN | size | length))
            for network, found in sizes.items() for size in found]


def records_of(setting, place):
    """Return the records of a finished run."""
    result, config = result_of(setting, place), load(place).config
    images = result["steps"] * setting.recipe.batch_size
    return [result | {"multiplications": TRAINING * multiplications(config) * images}]


def draw(records, path):
    """Draw accuracy against multiplications, and against the seconds that they took here."""
    records = with_mean_seconds(records)
    figure, panels = figures.panels(2)
    lengths = sorted({record["epochs"] for record in records})
    for axes, key, words in zip(panels, ("multiplications", "seconds"),
                                ("multiplications of the training", "seconds of training"),
                                strict=True):
        for epochs, line in zip(lengths, ("-", "--"), strict=False):
            for network, style in figures.STYLES.items():
                found = [record for record in records
                         if (record["network"], record["epochs"]) == (network, epochs)]
                figures.means(axes, found, key, f"{network}, epochs: {epochs}", style, line)
        axes.set(xscale="log", xlabel=words, ylabel="test accuracy, %")
    panels[0].legend(frameon=False, fontsize=8)
    figures.save(figure, path)


def with_mean_seconds(records):
    """Return the records with the mean of the seconds that the same training took with all seeds.

    Trainings are the same where network and multiplications are.
    """
    seconds = {}
    for record in records:
        seconds.setdefault((record["network"], record["multiplications"]), []).append(
            record["seconds"])
    means = {training: sum(each) / len(each) for training, each in seconds.items()}
    return [record | {"seconds": means[record["network"], record["multiplications"]]}
            for record in records]
