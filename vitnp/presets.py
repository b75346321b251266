"""Recipes by name: what `--preset` sets. What is not named here has the defaults of Recipe."""

from vitnp.errors import Error


def mnist():
    """Train on MNIST: python -m vitnp.train --preset mnist."""
    return {"data": "mnist", "model": "tiny/4", "epochs": 10, "batch_size": 128,
            "learning_rate": 3e-3, "warmup_epochs": 1, "crop_padding": 2, "ema": 0.99}


def fashion_mnist():
    """Train on Fashion-MNIST: python -m vitnp.train --preset fashion-mnist."""
    return {"data": "fashion-mnist", "model": "mini/4", "epochs": 20, "batch_size": 64,
            "learning_rate": 2e-3, "warmup_epochs": 1, "crop_padding": 1, "rotate": 0.0,
            "rescale": 0.0, "flip": 0.5, "ema": 0.998}


def cifar10_small():
    """Train on CIFAR-10: python -m vitnp.train --preset cifar10-small."""
    return {"data": "cifar10", "model": "midi/4", "epochs": 40, "batch_size": 64,
            "learning_rate": 1.5e-3, "warmup_epochs": 2, "crop_padding": 4, "rotate": 0.0,
            "rescale": 0.0, "flip": 0.5, "randaugment": 1, "magnitude": 5.0, "ema": 0.998}


PRESETS = {"mnist": mnist, "fashion-mnist": fashion_mnist, "cifar10-small": cifar10_small}


def find(name):
    """Return the fields of Recipe that a preset sets; none where name is None."""
    if name is None:
        return {}
    if name not in PRESETS:
        raise Error(f"there is no preset {name!r}; possible are {', '.join(PRESETS)}")
    return PRESETS[name]()


def described():
    """Return the names of the presets, for the help."""
    return ", ".join(PRESETS)
