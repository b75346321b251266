"""How many pictures does each network need? ViT, hybrid and ResNet on shares of the data.

Three networks with about as many multiplications learn Fashion-MNIST, and CIFAR-10, from 1 to 100 %
of its training pictures, in about as many steps: once without any regularisation, as in figure 4
of the paper, and once with weight decay, dropout and label smoothing, as in figure 3.

Budget: 60 runs of half a minute to two minutes on Fashion-MNIST, with three seeds without
regularisation and one seed with it, and 9 of two to six minutes on CIFAR-10: an hour and a half.
"""

from vitnp.runs.recipe import Recipe
from vitnp.study import figures
from vitnp.study.settings import PLAIN, Setting, result_of, steps

# The rate of each is the best on validation with 10 % of Fashion-MNIST, of those tried: 1.2e-3 and
# 3e-3 for the ViT, these and 6e-3 for the hybrid, 4e-3, 1.2e-2, 3e-2 and 8e-2 for the ResNet, whose
# standardised weights hardly mind how long a step is
RATES = {"ViT": 1.2e-3, "hybrid": 3e-3, "ResNet": 3e-2}
NETWORKS = {"ViT": {"model": "mini/7"},
            "hybrid": {"model": "mini/1", "stem": "16,32,64"},
            "ResNet": {"model": "resnet-14"}}
CIFAR = NETWORKS | {"ViT": {"model": "mini/8"}}
DIGITS = {"ViT": {"model": "micro/2"}, "hybrid": {"model": "micro/1", "stem": "8,16"},
          "ResNet": {"model": "resnet-8"}}
REGULARISED = {"weight_decay": 0.1, "label_smoothing": 0.1}
SHARES = {540: 1, 1620: 3, 5400: 10, 16200: 30, 54000: 100}        # of 54,000 pictures, in percent
CIFAR_SHARES = {450: 1, 4500: 10, 45000: 100}
STEPS, CIFAR_STEPS = 800, 2000


def settings(small):
    """Return the runs, those of the first seed first."""
    if small:
        return [digits(network, images) for images in (60, 1293) for network in DIGITS]
    kinds = ((0, False), (0, True), (1, False), (2, False))
    found = [fashion(network, images, seed, regularised)
             for seed, regularised in kinds for images in SHARES for network in NETWORKS]
    return found + [cifar(network, images) for images in CIFAR_SHARES for network in CIFAR]


def fashion(network, images, seed, regularised):
    """Return the Setting of one run on Fashion-MNIST."""
    fields = PLAIN | {"learning_rate": RATES[network]} | NETWORKS[network] | steps(STEPS, images)
    if regularised:
        dropout = {} if network == "ResNet" else {"dropout": 0.1}
        fields |= REGULARISED | dropout
    facts = {"data": "fashion-mnist", "network": network, "share": SHARES[images],
             "regularised": regularised, "seed": seed}
    return Setting(facts, Recipe(data="fashion-mnist", train_images=images, seed=seed, **fields))


def cifar(network, images):
    """Return the Setting of one run on CIFAR-10."""
    fields = PLAIN | {"learning_rate": RATES[network]} | CIFAR[network]
    fields |= steps(CIFAR_STEPS, images)
    facts = {"data": "cifar10", "network": network, "share": CIFAR_SHARES[images],
             "regularised": False, "seed": 0}
    return Setting(facts, Recipe(data="cifar10", train_images=images, seed=0, **fields))


def digits(network, images):
    """Return the Setting of one run of the small form."""
    fields = PLAIN | DIGITS[network] | steps(40, images)
    facts = {"data": "digits", "network": network, "share": round(100 * images / 1293),
             "regularised": False, "seed": 0}
    return Setting(facts, Recipe(train_images=images, seed=0, **fields))


def records_of(setting, place):
    """Return the records of a finished run."""
    return [result_of(setting, place)]


def draw(records, path):
    """Draw accuracy against the share of the training pictures, a panel for each kind of run."""
    kinds = dict.fromkeys((record["data"], record["regularised"]) for record in records)
    figure, panels = figures.panels(len(kinds))
    for axes, (data, regularised) in zip(panels, kinds, strict=True):
        found = [record for record in records
                 if (record["data"], record["regularised"]) == (data, regularised)]
        for network in NETWORKS:
            figures.means(axes, [record for record in found if record["network"] == network],
                          "share", network)
        shares = sorted({record["share"] for record in found})
        axes.set(xscale="log", xlabel="% of the training pictures", ylabel="test accuracy, %",
                 title=f"{data}, {'regularised' if regularised else 'not regularised'}")
        axes.set_xticks(shares, shares)
        axes.minorticks_off()
        axes.legend(frameon=False)
    figures.save(figure, path)
