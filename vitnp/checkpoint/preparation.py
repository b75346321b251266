"""How transformers and timm say that pictures are prepared, read from their settings and written.

Settings are read by a list of what is understood; what else there is must say nothing.
"""

import math
from types import SimpleNamespace

from vitnp.checkpoint import settings
from vitnp.common.progress import say
from vitnp.data.preprocess import RESAMPLE
from vitnp.errors import Error

NUMBERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}     # Pillow's
HALF = [0.5, 0.5, 0.5]
CLIP = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# What transformers' image processors do where their file is silent
SHORTEST = {"size": {"shortest_edge": 224}, "resample": 3, "do_center_crop": True,
            "crop_size": 224, "image_mean": CLIP[0], "image_std": CLIP[1]}
SQUARE = {"size": 256, "resample": 3, "do_center_crop": True, "crop_size": 224}
PROCESSORS = {"ViT": {"size": 224}, "DeiT": SQUARE, "Beit": SQUARE, "Bit": SHORTEST,
              "CLIP": SHORTEST}
READ = {"do_resize": (True,), "do_rescale": (True,), "do_normalize": (True,),
        "rescale_factor": (1 / 255,), "resample": tuple(NUMBERS), "antialias": (True,)}
# Settings read elsewhere, or without influence on the pixels
OTHERS = {"size", "crop_size", "do_center_crop", "image_mean", "image_std", "do_convert_rgb",
          "image_processor_type", "feature_extractor_type", "processor_class", "do_reduce_labels",
          "reduce_labels", "default_to_square", "data_format", "input_data_format", "device",
          "return_tensors", "disable_grouping", "use_fast", "transformers_version",
          "_valid_processor_keys", "_processor_class", "auto_map"}
CURE = "it is not read; prepare pictures with its own library, and give arrays"


def from_huggingface(path, config, given, any_size=False):
    """Return the Preprocess that a preprocessor_config.json describes; given: settings.Given.

    any_size=True: for a network whose positions are resized to what is found or
    given. Source of the defaults: transformers 4.57, its image processors that use Pillow.
    """
    said = settings.read_json(path)
    if not said:
        return guessed(path, sized(config, given.image_size if any_size else None), given,
                       "bilinear")
    defaults = PROCESSORS[processor_of(path, said)]
    silent = {name for name, value in said.items() if value is None or value is False}
    unknown = {name: said[name] for name in said if name not in OTHERS | READ.keys() | silent}
    asked = {name: said[name] for name in READ if said.get(name) is not None}
    settings.check_possible(asked | unknown, READ | dict.fromkeys(unknown, ()),
                            f"{path} describes images with", CURE)
    said = defaults | {name: said[name] for name in said if said[name] is not None}
    resize, keep_ratio = resizing(path, said["size"], defaults)
    cut = said.get("do_center_crop")
    size = settings.pair(path, sides_of(said["crop_size"])) if cut and "crop_size" in said else (
        config.image_size if keep_ratio else resize)
    if any_size:
        config = sized(config, size)
    elif size != config.image_size:
        raise Error(f"{path} describes images of {size[0]} x {size[1]}, but the network takes "
                    f"{config.image_size[0]} x {config.image_size[1]}")
    if keep_ratio and not cut:
        say(f"{path} names the shorter side alone, which gives images of many shapes; their centre "
            f"of {size[0]} x {size[1]} is cut out")
    preprocess = settings.make_preprocess(
        path, config, given.checked(path, mean=said.get("image_mean", middle(config)),
                                    std=said.get("image_std", middle(config)),
                                    resample=NUMBERS[said.get("resample", 2)]),
        resize=resize, keep_ratio=keep_ratio)
    if any_size and given.image_size is not None:
        return preprocess.with_size(settings.pair(path, given.image_size))
    return preprocess


def sized(config, size):
    """Return what a Preprocess needs to know of a network, for images of another size or None."""
    size = config.image_size if size is None else settings.pair("the network", size)
    return SimpleNamespace(image_size=size, channels=config.channels)


def processor_of(path, said):
    """Return the family of an image processor, one of PROCESSORS, or raise Error."""
    name = said.get("image_processor_type") or said.get("feature_extractor_type") or "ViT"
    family = str(name)
    for ending in ("Fast", "Pil", "ImageProcessor", "FeatureExtractor"):
        family = family.removesuffix(ending)
    if family not in PROCESSORS:
        raise Error(f"{path} names the image processor {settings.short(name)} (possible: those of "
                    f"{', '.join(PROCESSORS)}); {CURE}")
    return family


def resizing(path, size, defaults):
    """Return (height, width) of a size in a file, and whether it is that of the shorter side."""
    by_default = isinstance(defaults["size"], dict)             # a number is the shorter side too
    if isinstance(size, dict):
        given = {name for name, value in size.items() if value is not None}
        if given == {"shortest_edge"}:
            return settings.pair(path, size["shortest_edge"]), True
        if given != {"height", "width"}:
            raise Error(f"{path} describes images of the size {settings.short(size)} (possible: "
                        f"height and width, or shortest_edge); {CURE}")
        return settings.pair(path, sides_of(size)), False
    return settings.pair(path, size), by_default and isinstance(size, int)


def sides_of(size):
    """Return a size as a number or a pair, where it is a dict of height and width."""
    is_pair = isinstance(size, dict) and {"height", "width"} <= size.keys()
    return [size["height"], size["width"]] if is_pair else size


def guessed(path, config, given, resample):
    """Return the Preprocess of a network of which nothing is said, and say so."""
    taken = given.checked(path, mean=middle(config), std=middle(config), resample=resample,
                          is_said=False)
    missing = [f"--{name}" for name in ("mean", "std", "resample") if getattr(given, name) is None]
    if missing:
        words = ", ".join(f"{name} {settings.short(value)}" for name, value in taken.items())
        say(f"there is no {path}, which would say how pictures are prepared; taken are {words}, "
            f"and the whole picture; other values are given with {', '.join(missing)}")
    return settings.make_preprocess(path, config, taken)


def middle(config):
    """Return 0.5 for each channel."""
    return [0.5] * config.channels


def to_huggingface(preprocess, cure):
    """Return what preprocessor_config.json says, or raise Error with the cure."""
    sides = dict(zip(("height", "width"), preprocess.size, strict=True))
    number = {name: number for number, name in NUMBERS.items()}[preprocess.resample]
    said = {"image_processor_type": "ViTImageProcessor", "do_resize": True, "do_rescale": True,
            "do_normalize": True, "rescale_factor": 1 / 255, "resample": number, "size": sides,
            "image_mean": list(preprocess.mean), "image_std": list(preprocess.std)}
    if preprocess.resize is None:
        return said
    check_rounding(preprocess, "floor", "transformers rounds down", cure)
    height, width = preprocess.resize
    if not preprocess.keep_ratio:
        return said | {"image_processor_type": "DeiTImageProcessor", "do_center_crop": True,
                       "size": {"height": height, "width": width}, "crop_size": sides}
    if height != width:
        raise Error(f"transformers cannot keep the proportions of pictures that are resized to "
                    f"{height} x {width}; {cure}")
    return said | {"image_processor_type": "BitImageProcessor", "do_center_crop": True,
                   "size": {"shortest_edge": height}, "crop_size": sides, "do_convert_rgb": True}


def from_timm(path, images, config, given):
    """Return the Preprocess that a dict of timm's settings describes; given: settings.Given.

    Source of the defaults and of the sizes: timm 1.0, PretrainedCfg and create_transform.
    """
    if not images:
        return guessed(path, config, given, "bicubic")
    possible = {"interpolation": RESAMPLE, "crop_mode": ("center", "squash")}
    asked = {name: images[name] for name in possible if images.get(name)}
    settings.check_possible(asked, possible, f"{path} describes images with", CURE)
    share = images.get("crop_pct") or 0.875
    if not isinstance(share, int | float) or not 0.01 < share < 100:
        raise Error(f"{path} has the crop_pct {settings.short(share)}, not the share of a side")
    size = images.get("input_size")
    if isinstance(size, list) and not images.get("fixed_input_size") and (
            given.image_size is None and settings.pair(path, size[1:]) != config.image_size):
        raise Error(f"{path} describes images of {settings.short(size[1:])}, but the network takes "
                    f"{list(config.image_size)}")
    mean, std = IMAGENET if config.channels == 3 else (middle(config),) * 2
    return settings.make_preprocess(
        path, config, given.checked(path, mean=images.get("mean") or mean,
                                    std=images.get("std") or std,
                                    resample=images.get("interpolation") or "bicubic"),
        resize=tuple(math.floor(side / share) for side in config.image_size),
        keep_ratio=asked.get("crop_mode", "center") == "center", rounding="even")


def to_timm(preprocess, cure):
    """Return timm's settings of a Preprocess, or raise Error with the cure."""
    said = {"interpolation": preprocess.resample, "crop_pct": 1.0, "crop_mode": "squash",
            "mean": list(preprocess.mean), "std": list(preprocess.std)}
    if preprocess.resize is None:
        return said
    check_rounding(preprocess, "even", "timm takes the even number", cure)
    sides = list(zip(preprocess.size, preprocess.resize, strict=True))
    share = min(cut / whole for cut, whole in sides)
    # floor(cut / share) is to be the whole side again
    share = next((each for each in (share, math.nextafter(share, 0.0), share * (1 - 1e-12))
                  if all(math.floor(cut / each) == whole for cut, whole in sides)), None)
    if share is None:
        raise Error(f"timm cuts out one share of both sides, but this network {preprocess.size} of "
                    f"{preprocess.resize}; {cure}")
    return said | {"crop_pct": share,
                   "crop_mode": "center" if preprocess.keep_ratio else "squash"}


def check_rounding(preprocess, rounding, what, cure):
    """Raise Error where an odd margin is cut otherwise than a library does it."""
    margins = [whole - cut for cut, whole in zip(preprocess.size, preprocess.resize, strict=True)]
    # Where the proportions are kept, pictures have any margin on the longer side
    same = not preprocess.keep_ratio and all(margin >= 0 and margin % 4 != 3 for margin in margins)
    if preprocess.rounding != rounding and not same:
        raise Error(f"half of an odd margin is rounded otherwise ({what}), so that some pictures "
                    f"would be cut one pixel aside; {cure}")
