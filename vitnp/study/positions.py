"""What are position embeddings worth? None, learned and two-dimensional ones, three seeds.

The paper's table 8 (appendix D.4) in small: a ViT with patches of 4 pixels on Fashion-MNIST.

Budget: 9 runs of a minute.
"""

from vitnp.runs.recipe import Recipe
from vitnp.study import figures
from vitnp.study.settings import PLAIN, Setting, result_of, steps

KINDS = ("none", "learned", "2d")
STEPS, IMAGES = 800, 54_000


def settings(small):
    """Return the runs, those of the first seed first."""
    data, model = ("digits", "micro/2") if small else ("fashion-mnist", "tiny/4")
    fields = PLAIN | (steps(40, 1293) if small else steps(STEPS, IMAGES))
    return [Setting({"data": data, "positions": kind, "seed": seed},
                    Recipe(data=data, model=model, positions=kind, seed=seed, **fields))
            for seed in (range(1) if small else range(3)) for kind in KINDS]


def records_of(setting, place):
    """Return the records of a finished run."""
    return [result_of(setting, place)]


def draw(records, path):
    """Draw a dot for each run, and the mean of each kind."""
    figure, (axes,) = figures.panels(1)
    for place, kind in enumerate(KINDS):
        found = [100 * record["test_accuracy"] for record in records
                 if record["positions"] == kind]
        axes.plot([place] * len(found), found, "o", color="#0072B2")
        axes.hlines(sum(found) / len(found), place - 0.2, place + 0.2, color="black")
    axes.set(xticks=range(len(KINDS)), xticklabels=KINDS, xlabel="position embeddings",
             ylabel="test accuracy, %", xlim=(-0.5, len(KINDS) - 0.5))
    axes.grid(alpha=0.3)
    figures.save(figure, path)
