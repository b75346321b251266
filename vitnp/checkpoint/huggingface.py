"""The folders of Hugging Face's transformers: config.json, model.safetensors, and preprocessing.

A ViTForImageClassification has "vit." before all names but those of the classifier; a ViTModel has
no classifier, and mostly a pooler: our pre-logits layer, as wide as the network.
"""

from pathlib import Path

from vitnp.checkpoint import renaming, settings, tensors
from vitnp.checkpoint.renaming import Layout, Row
from vitnp.common.files import write_json
from vitnp.errors import Error

STEM = {
    "embeddings.patch_embeddings.projection.weight": Row("embedding/projection/weight", "DCPQ",
                                                         ours="PQCD"),
    "embeddings.patch_embeddings.projection.bias": Row("embedding/projection/bias", "D"),
    "embeddings.cls_token": Row("embedding/class_token", "11D"),
    "embeddings.position_embeddings": Row("embedding/position", "1TD"),
    "layernorm.weight": Row("norm/gamma", "D"),
    "layernorm.bias": Row("norm/beta", "D"),
    "pooler.dense.weight": Row("pre_logits/weight", "RD", ours="DR"),
    "pooler.dense.bias": Row("pre_logits/bias", "R"),
}
CLASSIFIER = {
    "classifier.weight": Row("head/weight", "KR", ours="RK"),
    "classifier.bias": Row("head/bias", "K"),
}
BLOCK = {
    "layernorm_before.weight": Row("norm1/gamma", "D"),
    "layernorm_before.bias": Row("norm1/beta", "D"),
    "attention.attention.query.weight": Row("attention/qkv/weight", "OD", ours="DO", third=0),
    "attention.attention.key.weight": Row("attention/qkv/weight", "OD", ours="DO", third=1),
    "attention.attention.value.weight": Row("attention/qkv/weight", "OD", ours="DO", third=2),
    "attention.attention.query.bias": Row("attention/qkv/bias", "O", third=0),
    "attention.attention.key.bias": Row("attention/qkv/bias", "O", third=1),
    "attention.attention.value.bias": Row("attention/qkv/bias", "O", third=2),
    "attention.output.dense.weight": Row("attention/out/weight", "OD", ours="DO"),
    "attention.output.dense.bias": Row("attention/out/bias", "D"),
    "layernorm_after.weight": Row("norm2/gamma", "D"),
    "layernorm_after.bias": Row("norm2/beta", "D"),
    "intermediate.dense.weight": Row("mlp/in/weight", "MD", ours="DM"),
    "intermediate.dense.bias": Row("mlp/in/bias", "M"),
    "output.dense.weight": Row("mlp/out/weight", "DM", ours="MD"),
    "output.dense.bias": Row("mlp/out/bias", "D"),
}
PREFIX = "encoder.layer.{}."
GELU = {"gelu": "erf", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}
RESAMPLE = {0: "nearest", 2: "bilinear", 3: "bicubic"}      # Pillow's numbers
WRITTEN = {"pooling": ("token",), "positions": ("learned",)}
READ = {"model_type": ("vit",), "hidden_act": tuple(GELU), "pooler_act": ("tanh",),
        "qkv_bias": (True,)}
READ_IMAGES = {"do_normalize": (True,), "do_rescale": (True,), "resample": tuple(RESAMPLE),
               "rescale_factor": (1 / 255,)}


def layout(names=("vit.",)):
    """Return the table for a file with these names: with or without "vit." before them."""
    vit = "vit." if any(name.startswith("vit.") for name in names) else ""
    stem = {vit + name: row for name, row in STEM.items()}
    return Layout(stem | CLASSIFIER, BLOCK, vit + PREFIX)


def to_ours(tensors, config):
    """Return parameters or gradients, a dict name → array as in a file, as a tree."""
    return renaming.to_ours(tensors, layout(tensors), config)


def from_ours(tree, config):
    """Return a tree of parameters or gradients as a dict name → array, as in a file."""
    return renaming.from_ours(tree, layout(["vit."] if config.classes else []), config)


def load(path, heads=None, image_size=None):
    """Return (config, tree, preprocess, class names or None) of a model.safetensors file.

    config.json and preprocessor_config.json are read where they lie beside it; heads: needed where
    they do not. Raises Error for what is damaged, or no Vision Transformer.
    """
    place = Path(path).with_name("config.json")
    said = settings.read_json(place)
    said = said if "model_type" in said else {}
    settings.check_possible(said, READ, f"{place} describes a network with", "it is not read")
    with tensors.of_safetensors(path) as source:
        table = layout(source.shapes)
        config = configure(source, table, said, heads, image_size)
        settings.check_agreement(place, said, {
            "hidden_size": config.width, "num_hidden_layers": config.depth,
            "intermediate_size": config.mlp_width, "patch_size": config.patch_size,
            "num_channels": config.channels})
        preprocess = preprocessing(path, config)
        names = class_names(place, said, config.classes)
        tree = renaming.read(source, table, config)
    return config, tree, preprocess, names


def save(folder, config, tree, preprocess, class_names=None):
    """Write a network as a folder that transformers reads: ViTForImageClassification or ViTModel.

    Raises Error for what such folders cannot say, and where it cannot be written.
    """
    cure = "save the network in another layout"
    settings.check_possible(config, WRITTEN, "transformers' ViT cannot have", cure)
    if config.classes and config.pre_logits:
        raise Error("transformers' ViT has either a classifier or a pooler, but this network has "
                    f"both a head and a pre-logits layer; {cure}")
    settings.make_folder(folder)
    folder = Path(folder)
    tensors.write_safetensors(folder / "model.safetensors", from_ours(tree, config),
                              {"format": "pt"})
    write_json(folder / "preprocessor_config.json", describe_images(preprocess))
    write_json(folder / "config.json", describe(config, tree, class_names))


def configure(source, table, said, heads, image_size):
    """Return the ViTConfig of a Source and of the settings in config.json."""
    sizes = renaming.sizes_in(source, table, needed="PCDMT")
    return settings.make_config(
        source.path, patch_size=sizes["P"], channels=sizes["C"], width=sizes["D"],
        image_size=settings.image_size(source.path, image_size or said.get("image_size"),
                                       sizes["T"] - 1, sizes["P"]),
        depth=sizes["depth"], mlp_width=sizes["M"], classes=sizes.get("K"),
        heads=settings.heads(source.path, heads, said.get("num_attention_heads"), sizes["D"]),
        pre_logits=sizes["R"] if any("pooler." in name for name in source.shapes) else None,
        gelu=GELU[said.get("hidden_act", "gelu")], eps=said.get("layer_norm_eps", 1e-12))


def preprocessing(path, config):
    """Return the Preprocess that preprocessor_config.json beside a file describes."""
    place = Path(path).with_name("preprocessor_config.json")
    said = settings.read_json(place)
    settings.check_possible(said, READ_IMAGES, f"{place} describes images with", "it is not read")
    size = said.get("size")
    if isinstance(size, dict):      # else, of the shorter side: pictures are then cut out of it
        size = [size["height"], size["width"]] if {"height", "width"} <= size.keys() else None
    if size is not None and settings.pair(place, size) != config.image_size:
        raise Error(f"{place} describes images of {settings.short(size)}, but the network takes "
                    f"{list(config.image_size)}")
    middle = [0.5] * config.channels
    return settings.make_preprocess(
        place, config, said.get("image_mean", middle), said.get("image_std", middle),
        RESAMPLE[said.get("resample", 2)])


def class_names(place, said, classes):
    """Return the names in config.json as a tuple, or None where they are numbered "LABEL_0", …"""
    if not classes or "id2label" not in said:
        return None
    labels = said["id2label"]
    names = [labels.get(str(i)) for i in range(classes)] if isinstance(labels, dict) else []
    if not names or len(labels) != classes or not all(isinstance(name, str) for name in names):
        raise Error(f"id2label in {place} does not name the classes 0 to {classes - 1}")
    return None if names == numbered(classes) else tuple(names)


def numbered(classes):
    """Return the names that transformers gives to classes without any."""
    return [f"LABEL_{i}" for i in range(classes)]


def describe(config, tree, class_names):
    """Return what config.json says of a network."""
    height, width = config.image_size
    said = {
        "architectures": ["ViTForImageClassification" if config.classes else "ViTModel"],
        "model_type": "vit", "dtype": str(tree["norm"]["gamma"].dtype),
        "image_size": height if height == width else [height, width],
        "patch_size": config.patch_size, "num_channels": config.channels,
        "hidden_size": config.width, "num_hidden_layers": config.depth,
        "num_attention_heads": config.heads, "intermediate_size": config.mlp_width,
        "hidden_act": "gelu" if config.gelu == "erf" else "gelu_pytorch_tanh",
        "layer_norm_eps": config.eps, "qkv_bias": True, "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0}
    if config.pre_logits:
        said |= {"pooler_output_size": config.pre_logits, "pooler_act": "tanh"}
    if config.classes:
        names = class_names or numbered(config.classes)
        said |= {"id2label": {str(i): name for i, name in enumerate(names)},
                 "label2id": {name: i for i, name in enumerate(names)}}
    return said


def describe_images(preprocess):
    """Return what preprocessor_config.json says."""
    height, width = preprocess.size
    number = {name: number for number, name in RESAMPLE.items()}[preprocess.resample]
    return {"image_processor_type": "ViTImageProcessor", "do_resize": True, "do_rescale": True,
            "do_normalize": True, "rescale_factor": 1 / 255, "resample": number,
            "size": {"height": height, "width": width},
            "image_mean": list(preprocess.mean), "image_std": list(preprocess.std)}
