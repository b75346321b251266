"""A trained network in one object: configuration, weights, preprocessing."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from vitnp import kernels, networks, params, vit
from vitnp.backend import get_xp, pick_device, to_device, to_host
from vitnp.checkpoint import google, hub, huggingface, locate, native, timm
from vitnp.checkpoint.renaming import MOST
from vitnp.checkpoint.settings import Given
from vitnp.data.preprocess import Images, Preprocess
from vitnp.errors import Error
from vitnp.layers import Ops, textbook
from vitnp.parallel import lanes

LAYOUTS = {"google": google, "huggingface": huggingface, "timm": timm}


@dataclass(frozen=True)
class Model:
    """A Vision Transformer, or a residual network to compare it with, and its weights.

    config: a ViTConfig or ResNetConfig; params: the tree of its network's `shapes`; class_names:
    one a class, or None where they are not known; ops: the layers that it is run with; threads: how
    many lanes, on a CPU (see lanes.py); class_descriptions: words for the names, such as those of
    synsets, or None; multi_label: whether a picture may have several classes, or none.
    Images are one or many, of any size: paths of files, Pillow's pictures, or arrays (height,
    width, C) or (B, height, width, C), uint8 or floats from 0 to 1; see Preprocess.batch.
    Results are NumPy arrays on any device; one image gives B = 1.
    """

    config: networks.ViTConfig | networks.ResNetConfig
    params: dict[str, Any]
    preprocess: Preprocess
    class_names: tuple[str, ...] | None = None
    ops: Ops = textbook
    threads: int = 1
    class_descriptions: tuple[str, ...] | None = None
    multi_label: bool = False

    def __post_init__(self) -> None:
        shape, names = (*self.config.image_size, self.config.channels), self.class_names
        if self.preprocess.shape != shape:
            raise Error(f"the preprocessing gives images of the shape {self.preprocess.shape}, but "
                        f"the network takes {shape}; give both the same size and channels")
        if names is not None and self.config.classes not in (None, len(names)):
            raise Error(f"there are {len(names)} class names, but {self.config.classes} classes; "
                        "give one name for each class, or class_names=None")

    def logits(self, images: Images) -> np.ndarray:
        """Return the scores (B, K) of the classes. Raises Error for a network without a head."""
        self._need_head()
        return self._features_and_logits(images)[1]

    def probabilities(self, images: Images) -> np.ndarray:
        """Return the probabilities (B, K) of the classes: each row has the sum 1.

        With multi_label, each class has its own, between 0 and 1.
        """
        return self.probabilities_of(self.logits(images))

    def probabilities_of(self, logits: np.ndarray) -> np.ndarray:
        """Return the probabilities (B, K) for logits (B, K); see probabilities."""
        if self.multi_label:
            return 0.5 * (1.0 + np.tanh(0.5 * logits))          # the sigmoid, without overflow
        return self.ops.softmax.forward(logits)[0]

    def features(self, images: Images) -> np.ndarray:
        """Return the input (B, D) of the last linear layer."""
        return self._features_and_logits(images)[0]

    def attention(self, images: Images) -> list[np.ndarray]:
        """Return the attention weights of each block, a list of (B, H, T, T), rows of sum 1."""
        networks.need_transformer(self.config, "attention weights are")
        images = self._prepare(self.preprocess.batch(images))
        x, _ = vit.embed(images, self.params, self.config, self.ops)
        blocks = vit.encode(x, self.params, self.config, self.ops)
        return [to_host(cache["attention"]["weights"]) for _, cache in blocks]

    def loss_and_gradients(self, images: Images, labels: ArrayLike,
                           smoothing: float = 0.0) -> tuple[float, dict[str, Any]]:
        """Return the mean cross-entropy and its gradients, a tree like params, on its device.

        labels: one class number an image. Raises Error for other labels.
        """
        self._need_head()
        if self.multi_label:
            raise Error("this network's classes do not exclude each other, but the loss is for "
                        "one label a picture; fine-tune it with --init-from")
        images = self.preprocess.batch(images)
        labels = check_labels(labels, len(images), self.config.classes)
        images, xp = self._prepare(images), self._xp
        shapes = networks.of(self.config).shapes(self.config)
        gradients = params.views(params.allocate(shapes, images.dtype, xp), shapes)
        losses, _ = lanes.loss_and_gradients(
            images, to_device(labels, xp), self.params, gradients, self.config, self.ops,
            smoothing, threads=self.threads)
        return float(losses.mean()), gradients

    def to(self, device: str, ops: str | None = None) -> Self:
        """Return this model with its parameters on "cpu", "gpu" or "auto".

        ops: "textbook" or "fused" layers, by default those for the device; a caller's own stay.
        """
        xp = pick_device(device)
        name, layers = kernels.choose(ops, xp), self.ops
        if any(layers is networks.layers_of(self.config, each) for each in kernels.NAMES):
            layers = networks.layers_of(self.config, name)
        move = to_host if xp is np else (lambda array: to_device(array, xp))
        tensors = {path: move(array) for path, array in params.flatten(self.params).items()}
        return dataclasses.replace(self, params=params.nest(tensors), ops=layers)

    def save(self, path: str | os.PathLike[str], layout: str = "native") -> None:
        """Write a checkpoint that `vitnp.load` reads.

        layout: "native", a file; "google", an .npz file; "huggingface" or "timm", a folder.
        Raises Error where the layout cannot say what this model is (see checkpoint/), and where it
        cannot be written.
        """
        if layout == "native":
            native.save(path, host_tensors(self.params), self.facts())
        elif layout in LAYOUTS:
            networks.need_transformer(self.config, f"the layout {layout} is", stem=False)
            tree = self.to("cpu").params
            LAYOUTS[layout].save(path, self.config, tree, self.preprocess, self.class_names,
                                 multi_label=self.multi_label,
                                 class_descriptions=self.class_descriptions)
        else:
            raise Error(f"there is no layout {layout!r}; possible are native, {', '.join(LAYOUTS)}")

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint says besides the tensors."""
        facts = {"config": dataclasses.asdict(self.config),
                 "preprocess": dataclasses.asdict(self.preprocess),
                 "class_names": self.class_names and list(self.class_names)}
        # Left out where there are none, for the sake of versions that do not know them
        if self.class_descriptions:
            facts["class_descriptions"] = list(self.class_descriptions)
        return facts | ({"multi_label": True} if self.multi_label else {})

    @property
    def _xp(self):
        return get_xp(self.params["norm"]["gamma"])

    def _prepare(self, images: np.ndarray) -> np.ndarray:
        """Return checked images on the parameters' device, scaled, in their dtype."""
        dtype = self.params["norm"]["gamma"].dtype
        return self.preprocess.scale(to_device(images, self._xp), dtype)

    def _features_and_logits(self, images):
        return lanes.features_and_logits(self.preprocess.batch(images), self.params, self.config,
                                         self.ops, self._prepare, threads=self.threads)

    def _need_head(self):
        if self.config.classes is None:
            raise Error("this model has no head, and so no logits; ask for features(images)")


def host_tensors(tree, prefix="params"):
    """Return a tree as a dict "prefix/path" → NumPy array, as checkpoints name them."""
    return {f"{prefix}/{path}": to_host(array) for path, array in params.flatten(tree).items()}


def check_labels(labels, count, classes):
    """Return labels as an integer array (count,), or raise Error."""
    labels = np.asarray(labels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise Error(f"labels have the shape {labels.shape} and type {labels.dtype}, but {count} "
                    f"images need {count} whole numbers")
    if count and (labels.min() < 0 or labels.max() >= classes):
        raise Error(f"labels go from {labels.min()} to {labels.max()}, but the model's classes are "
                    f"0 to {classes - 1}")
    return labels


def load(path: str | os.PathLike[str], which: str = "last", heads: int | None = None,
         image_size: int | tuple[int, int] | None = None, mean: Sequence[float] | None = None,
         std: Sequence[float] | None = None, resample: str | None = None) -> Model:
    """Return the Model of a checkpoint: a file or folder of vitnp, Google, Hugging Face or timm.

    path: a path, the name of a network that comes along, such as "digits", where no file or folder
    has that name, or the name of a model on the Hugging Face hub, such as
    "google/vit-base-patch16-224"; see vitnp.checkpoint.hub.

    which: "last" or "best" checkpoint of a run's folder; where the run kept a moving average of its
    weights, the model has the average. The others are what a file does not say: attention heads;
    image_size, one number, or height and width; mean and std of the images from 0 to 1, one number
    a channel; resample, the filter for resizing.
    Raises Error where there is no checkpoint, or it is damaged, incomplete or something else.
    """
    path = Path(hub.local(path))
    file, layout = locate.find(path, which)
    if layout == "native":
        model = load_native(file, path, which)
    else:
        given = Given(heads, image_size, mean, std, resample)
        model = Model(**LAYOUTS[layout].load(file, given))
    check_given(file, model, heads, image_size, mean, std, resample)
    return model


def load_native(file, path, which):
    """Return the Model of vitnp's own file; path: what the user named, for the message."""
    try:
        return from_checkpoint(*native.load(file), path)
    except Error as error:
        if file != path and which == "last" and os.path.isfile(path / locate.PREVIOUS):
            raise Error(f"{error}; the one before it is {path / locate.PREVIOUS}, and --resume "
                        f"{path} continues from it") from None
        raise


def check_given(path, model, heads, image_size, mean, std, resample):
    """Raise Error where a file says otherwise than what was given for it."""
    config, preprocess = model.config, model.preprocess
    size = image_size if isinstance(image_size, tuple | list) else (image_size, image_size)
    found = getattr(config, "heads", 0)     # a residual network has none
    if heads not in (None, found):
        raise Error(f"{path} has {found} heads, not {heads}")
    if image_size is not None and tuple(size) != config.image_size:
        height, width = config.image_size
        raise Error(f"{path} is for images of {height} x {width}, not {tuple(size)}")
    Given(mean=mean, std=std, resample=resample).checked(
        path, mean=preprocess.mean, std=preprocess.std, resample=preprocess.resample)


def from_checkpoint(tensors, facts, path):
    """Return the Model of what native.load returned; `path` is for the message."""
    try:
        config = networks.config_of(facts["config"])
        names = facts["class_names"] and tuple(facts["class_names"])
        words = facts.get("class_descriptions")
    except (KeyError, TypeError) as error:
        raise Error(f"{path} is no checkpoint of this version of vitnp: {error}") from None
    preprocess = preprocess_of(facts, path)
    averaged = any(name.startswith("ema/") for name in tensors)
    tree = take(tensors, "ema" if averaged else "params", config, path)
    return Model(config, tree, preprocess, names, networks.layers_of(config),
                 class_descriptions=words and tuple(words),
                 multi_label=bool(facts.get("multi_label")))


def preprocess_of(facts, path):
    """Return the Preprocess in what native.load returned; `path` is for the message."""
    try:
        return Preprocess(**facts["preprocess"])
    except (KeyError, TypeError) as error:
        raise Error(f"{path} is no checkpoint of this version of vitnp: {error}") from None


def take(tensors, prefix, config, path):
    """Return the tree of the tensors "prefix/…", or raise Error listing all that do not fit."""
    wrong, found = [], {}
    for name, shape in networks.of(config).shapes(config).items():
        tensor = tensors.get(f"{prefix}/{name}")
        if tensor is None:
            wrong.append(f"{prefix}/{name} is missing")
        elif tensor.shape != shape:
            wrong.append(f"{prefix}/{name} has shape {tensor.shape}, not {shape}")
        elif tensor.dtype.kind != "f":
            wrong.append(f"{prefix}/{name} is of type {tensor.dtype}, not of floats")
        elif not np.isfinite(tensor).all():
            wrong.append(f"{prefix}/{name} holds NaN or infinite values")
        elif tensor.dtype == np.float16:
            tensor = tensor.astype(np.float32)      # NumPy's arithmetic with 16 bits is slow
        found[name] = tensor
    extra = [name for name in tensors if name.startswith(f"{prefix}/")
             and name.removeprefix(f"{prefix}/") not in found]
    wrong += [f"{name} belongs to no part of this model" for name in extra]
    if wrong:
        more = f"; and {len(wrong) - MOST} more" if len(wrong) > MOST else ""
        raise Error(f"{path} does not hold the model that it describes: "
                    f"{'; '.join(wrong[:MOST])}{more}")
    return params.nest(found)
