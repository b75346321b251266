"""Everything that a training run is told, checked before anything starts."""

import dataclasses
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vitnp.config import ViTConfig, is_number, plain_numbers
from vitnp.data import FOLDERS, NAMES
from vitnp.data.dataset import Dataset, statistics
from vitnp.data.likeness import ground_of
from vitnp.data.preprocess import Preprocess
from vitnp.errors import Error
from vitnp.networks.resnet import ResNetConfig

LARGEST = {"weight_decay": 1_000_000, "warmup_epochs": 1_000_000, "clip_norm": 1_000_000,
           "rotate": 180, "flip": 1, "magnitude": 10, "erase": 1, "mixup": 100, "cutmix": 100}
OF_TRANSFORMERS = ("stem", "dropout", "stochastic_depth", "pooling", "positions", "gelu")
MAY_CHANGE = ("data_dir", "device", "threads", "workers")     # without influence on the result
CHOICES = {"optimizer": ("adamw", "sgd"), "best": ("accuracy", "class-mean"),
           "tune": ("all", "head"), "position_start": ("normal", "sincos"),
           "scale": ("half", "data"), "precision": ("float32", "bfloat16")}


def option(default: Any, text: str) -> Any:
    """Return a field of Recipe: its default and the help of its option."""
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Recipe:
    """The options of a run, `--batch-size` for `batch_size`; impossible values raise Error.

    The defaults were chosen for the digits: mean pooling, and images turned, scaled and moved a
    little (README.md has the results). The paper's pooling is "token".
    """

    model: str = option("tiny/4", "variant and patch side, such as tiny/4, small/4 or S/16; or a "
                        "residual network, resnet-8, -12, -16 or -20")
    data: str = option("digits", ", ".join(NAMES))
    data_dir: str | None = option(None, "folder that holds the files, by default data/NAME")
    image_size: int | None = option(None, "side to which images are resized; by default 224 for a "
                                    "folder's pictures, and their own for all others")
    train_images: int | None = option(None, "how many training images, by default all: the first "
                                      "of the shuffled ones, so that fewer are among more")
    init_from: str | None = option(None, "run or checkpoint whose weights are fine-tuned, of "
                                   "vitnp, Google, Hugging Face or timm")
    heads: int | None = option(None, "attention heads of --init-from, where its file does not say")
    tune: str = option("all", "all, or head for a linear probe: the rest stays as it is")
    epochs: int = option(120, "passes over the training images")
    batch_size: int = option(64, "images a step")
    learning_rate: float = option(2e-3, "highest learning rate")
    weight_decay: float = option(0.05, "decay of the matrices, times the learning rate")
    warmup_epochs: float = option(5, "epochs in which the rate rises from 0, at most half of all")
    layer_decay: float = option(1.0, "factor of the rate from each block to the one below it")
    optimizer: str = option("adamw", "adamw, or sgd with a momentum of 0.9")
    clip_norm: float = option(1.0, "longest gradient, as a global norm; 0 for no clipping")
    ema: float = option(0.0, "weight of the old in a moving average of the weights; 0 for none")
    crop_padding: int = option(1, "pixels by which training images are moved at random")
    rotate: float = option(15.0, "degrees by which they are turned at random, at most")
    rescale: float = option(0.15, "share by which each side is stretched at random, at most")
    flip: float = option(0.0, "share of them that is mirrored, left to right")
    resized_crop: float = option(1.0, "least share of the area that a random part of them has")
    randaugment: int = option(0, "random operations on each (RandAugment)")
    magnitude: float = option(5.0, "their strength, from 0 to 10")
    erase: float = option(0.0, "share of images in which a rectangle is erased")
    mixup: float = option(0.0, "alpha of mixing pairs of images by weight; 0 for none")
    cutmix: float = option(0.0, "alpha of mixing pairs of images by a rectangle; 0 for none")
    label_smoothing: float = option(0.1, "share of the target spread over all classes")
    balance: bool = option(False, "let all classes count alike in the loss, however many images "
                           "they have")
    best: str = option("accuracy", "what the validation chooses the best weights by: accuracy, or "
                       "class-mean, the mean of the classes' accuracies")
    dropout: float = option(0.0, "share of numbers dropped after each part")
    stochastic_depth: float = option(0.0, "share of images that skip the last block's branches")
    stem: str | None = option(None, "channels of a convolutional stem's layers, such as 24,48, of "
                              "which each halves the sides: a hybrid, with --model such as mini/1")
    pooling: str = option("gap", "token, gap or avg")
    positions: str = option("learned", "learned, none or 2d")
    position_start: str = option("normal", "first values of learned positions: normal, small and "
                                 "random (the paper), or sincos, waves along rows and columns")
    scale: str = option("half", "how pixels are scaled: half, from -1 to 1 (the paper), or data, "
                        "each channel to mean 0 and deviation 1 over the training part")
    gelu: str = option("tanh", "tanh or erf")
    seed: int = option(0, "whole number that weights, order and masks are drawn from")
    device: str = option("cpu", "cpu, gpu or auto")
    ops: str | None = option(None, "textbook or fused: the layers as they are taught, or a GPU's "
                             "kernels for them; by default fused on a GPU")
    tf32: bool = option(False, "shorten the factors of a GPU's products, which is faster")
    precision: str = option("float32", "of the products' factors: float32 or bfloat16, of 16 bits, "
                            "far faster on a GPU; sums and weights stay float32")
    threads: int | None = option(None, "threads on a CPU, by default one a core")
    workers: int | None = option(None, "processes that decode a folder's pictures, one a core")
    micro_batch: int | None = option(None, "images at a time, whose gradients are added up to the "
                                     "batch's; by the model's sizes, on a GPU all")
    evaluate_every: int = option(1, "epochs between two looks at the validation part")
    patience: int = option(0, "looks without a new best after which a run ends; 0 for all epochs")

    def __post_init__(self) -> None:
        plain_numbers(self)
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.type in (str, str | None):
                self._check(item.name, (isinstance(value, str) and "\0" not in value)
                            or (value is None and item.type != str), "text")
        for name in ("dropout", "stochastic_depth"):
            value = getattr(self, name)
            self._check(name, isinstance(value, int | float) and value is not True, "a number")
        for name in ("epochs", "batch_size", "evaluate_every"):
            self._check(name, is_whole(getattr(self, name), 1), "a whole number of at least 1")
        for name in ("threads", "workers", "micro_batch", "image_size", "heads",
                     "train_images"):
            value = getattr(self, name)
            self._check(name, value is None or is_whole(value, 1), "a whole number of at least 1")
        for name in ("seed", "crop_padding", "randaugment", "patience"):
            self._check(name, is_whole(getattr(self, name), 0), "a whole number of at least 0")
        self._check("learning_rate", is_number(self.learning_rate)
                    and 0 < self.learning_rate < math.inf, "a number above 0")
        self._check("resized_crop", is_number(self.resized_crop) and 0 < self.resized_crop <= 1,
                    "a number above 0, at most 1")
        for name in ("label_smoothing", "rescale", "ema"):
            value = getattr(self, name)
            self._check(name, is_number(value) and 0 <= value < 1, "a number from 0 to below 1")
        self._check("layer_decay", is_number(self.layer_decay) and 0 < self.layer_decay <= 1,
                    "a number above 0, at most 1")
        self._check("ops", self.ops in (None, "textbook", "fused"), "textbook or fused")
        for name in ("tf32", "balance"):
            self._check(name, isinstance(getattr(self, name), bool), "true or false")
        self._check("tf32", not self.tf32 or self.precision == "float32",
                    "left out with --precision bfloat16, whose factors are shorter still")
        for name, choices in CHOICES.items():
            self._check(name, getattr(self, name) in choices, " or ".join(choices))
        self._check("tune", self.tune == "all" or self.init_from is not None,
                    "all where there is no --init-from: a head on random weights learns little")
        for name, largest in LARGEST.items():
            value = getattr(self, name)
            self._check(name, is_number(value) and 0 <= value <= largest,
                        f"a number from 0 to {largest}")

    def _check(self, name, passed, possible):
        if not passed:
            raise Error(f"--{name.replace('_', '-')} is {getattr(self, name)!r}; "
                        f"it must be {possible}")

    @property
    def network(self) -> str:
        """What tables call the network: the model, or the weights that it started from."""
        if self.init_from is None:
            return self.model
        return f"{Path(self.init_from).resolve().name} fine-tuned"

    @property
    def title(self) -> str:
        """What figures call the run."""
        return f"{self.network} on {self.data}"

    def configure(self, dataset: Dataset) -> tuple[ViTConfig | ResNetConfig, Preprocess]:
        """Return the ViTConfig or ResNetConfig, and the Preprocess, for a data set."""
        height, width, channels = dataset.train_images.shape[1:]
        self._check("crop_padding", self.crop_padding < min(height, width),
                    f"below the sides of the images, {height} x {width}")
        sizes = {"image_size": (height, width), "channels": channels,
                 "classes": len(dataset.class_names)}
        if self.model.startswith("resnet"):
            config = self._residual(sizes)
        else:
            config = ViTConfig.named(
                self.model, **sizes, stem=self._stem(), pooling=self.pooling,
                positions=self.positions, gelu=self.gelu, dropout=self.dropout,
                stochastic_depth=self.stochastic_depth)
        mean, std = (0.5,) * channels, (0.5,) * channels
        if self.scale == "data":
            mean, std = statistics(dataset.train_images, dataset.train_labels,
                                   dataset.parts()[0])
        ground = ground_of(dataset.train_images)
        return config, Preprocess((height, width), mean, std, ground=ground)

    def _stem(self):
        """Return the stem's channels as numbers."""
        given = self.stem or ""
        self._check("stem", re.fullmatch(r"(\d+(,\d+)*)?", given),
                    "numbers of channels with commas between them, such as 24,48")
        return tuple(map(int, given.split(","))) if given else ()

    def _residual(self, sizes):
        """Return the ResNetConfig; images of 64 pixels and more get the large root."""
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            self._check(item.name, item.name not in OF_TRANSFORMERS or value == item.default,
                        f"left out with {self.model}: it is for Vision Transformers")
        root = "large" if min(sizes["image_size"]) >= 64 else "small"
        return ResNetConfig.named(self.model, **sizes, root=root)


def is_whole(value, least):
    """Tell whether value is an int of at least `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def add_options(parser, without=(), defaults=None):
    """Add an option to a parser for each field of Recipe; only those given are in the result.

    without: names of fields that get none; defaults: field → a default that differs from Recipe's.
    """
    for item in dataclasses.fields(Recipe):
        if item.name in without:
            continue
        if item.type is bool:
            parser.add_argument(f"--{item.name}", action="store_true", default=None,
                                help=item.metadata["help"])
            continue
        kind = {int: int, int | None: int, float: float}.get(item.type, str)
        value = (defaults or {}).get(item.name, item.default)
        default = "" if value is None else f" (default: {value})"
        parser.add_argument(
            f"--{item.name.replace('_', '-')}", dest=item.name, type=kind, metavar=kind.__name__,
            default=None, help=item.metadata["help"] + default)


def from_options(options, preset=None):
    """Return the Recipe of parsed options, a dict in which None means not given.

    preset: fields of Recipe, which the options override.
    """
    names = {item.name for item in dataclasses.fields(Recipe)}
    given = {name: value for name, value in options.items() if name in names and value is not None}
    return Recipe(**(preset or {}) | given)


def check_effect(recipe, given):
    """Raise Error where an option that was given can have no effect, with the others as they are.

    given: names of fields.
    """
    learned = recipe.positions == "learned" and not recipe.model.startswith("resnet")
    needs = {"heads": (recipe.init_from, "without --init-from"),
             "magnitude": (recipe.randaugment, "without --randaugment"),
             "position_start": (learned, "where no positions are learned"),
             "layer_decay": (recipe.tune == "all", "with --tune head"),
             "workers": (recipe.data in FOLDERS, "with data that are no picture files")}
    for name, (has_effect, where) in needs.items():
        recipe._check(name, has_effect or name not in given, f"left out {where}: it has no effect")


def changes(options, preset=None):
    """Return the options that were given with --resume, a dict.

    Raises Error for those that have an influence on the result, as a preset has.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if preset or set(given) - set(MAY_CHANGE):
        raise Error("a run goes on with its own recipe: with --resume only "
                    f"{names_of_options(MAY_CHANGE)} can be given, not "
                    f"{names_of_options(sorted(set(given) - set(MAY_CHANGE))) or '--preset'}")
    return given


def names_of_options(names):
    """Return the names of fields as options, in words."""
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)
