"""The folders of Hugging Face's transformers: config.json, model.safetensors, and preprocessing.

A ViTForImageClassification has "vit." before all names but those of the classifier; a ViTModel has
no classifier, and mostly a pooler: our pre-logits layer, as wide as the network. A Dinov2Model is
the same network under other names, with a scale after each layer that is added to the tokens.
"""

from dataclasses import replace
from pathlib import Path

from vitnp import positions
from vitnp.checkpoint import families, preparation, renaming, rewriting, settings, tensors
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
GELU = {"gelu": "erf", "gelu_python": "erf", "gelu_new": "tanh", "gelu_fast": "tanh",
        "gelu_accurate": "tanh", "gelu_pytorch_tanh": "tanh"}
WRITTEN = {"pooling": ("token",)}
READ = {"model_type": families.READ, "hidden_act": tuple(GELU), "pooler_act": ("tanh",),
        "qkv_bias": (True, False), "use_swiglu_ffn": (False,)}
# Settings read elsewhere, shown by the tensors, or without influence on what is computed
OTHERS = {"architectures", "attention_probs_dropout_prob", "hidden_dropout_prob", "dtype",
          "torch_dtype", "encoder_stride", "id2label", "label2id", "initializer_range",
          "transformers_version", "problem_type", "num_labels", "finetuning_task", "return_dict",
          "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
          "image_size", "patch_size", "num_channels", "layer_norm_eps", "pooler_output_size",
          "mlp_ratio", "layerscale_value", "drop_path_rate", "use_mask_token", "apply_layernorm",
          "reshape_hidden_states", "out_features", "out_indices", "stage_names",
          "gradient_checkpointing", "chunk_size_feed_forward", "max_length", "tokenizer_class",
          "tie_word_embeddings", "attn_implementation", "model_name", "license", "is_decoder",
          "output_attentions", "output_hidden_states", "use_cache", "ignore_mismatched_sizes",
          # of text, in files of older versions
          "num_beams", "num_beam_groups", "temperature", "top_k", "top_p", "typical_p",
          "repetition_penalty", "length_penalty", "num_return_sequences"}
PROBLEMS = {None: False, "single_label_classification": False, "multi_label_classification": True}
# DINOv2's names for what ViT calls otherwise, and its scales with the layers that they follow
DINOV2 = {".norm1.": ".layernorm_before.", ".norm2.": ".layernorm_after.",
          ".mlp.fc1.": ".intermediate.dense.", ".mlp.fc2.": ".output.dense."}
SCALES = {"layer_scale1.lambda1": "attention.output.dense", "layer_scale2.lambda1": "output.dense"}


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


def load(path, given=settings.NOTHING):
    """Return the fields of the Model in a model.safetensors file, or in those of an index.

    config.json and preprocessor_config.json are read where they lie beside it; given: what they do
    not say. Raises Error for what is damaged, or no Vision Transformer.
    """
    place, pictures = (Path(path).with_name(name)
                       for name in ("config.json", "preprocessor_config.json"))
    said = settings.read_json(place)
    said = said if "model_type" in said else {}
    settings.check_known(place, said, READ, OTHERS)
    with tensors.of_safetensors(path) as source:
        dinov2 = any(name.endswith(tuple(SCALES)) for name in source.shapes)
        source = rewritten(source, said)
        table = layout(source.shapes)
        own = given._replace(image_size=None) if dinov2 else given      # it is resized afterwards
        config = configure(source, table, said, own, 1e-6 if dinov2 else 1e-12)
        settings.check_agreement(place, said, {
            "hidden_size": config.width, "num_hidden_layers": config.depth,
            "intermediate_size": config.mlp_width, "patch_size": config.patch_size,
            "num_channels": config.channels})
        multi_label = problem_of(place, said, config.classes)
        preprocess = preparation.from_huggingface(pictures, config, given, any_size=dinov2)
        names = class_names(place, said, config.classes)
        tree = renaming.read(source, table, config)
    if preprocess.size != config.image_size:
        config, tree = with_size(config, tree, preprocess.size)
    return {"config": config, "params": tree, "preprocess": preprocess, "class_names": names,
            "multi_label": multi_label}


def rewritten(source, said):
    """Return a Source under ViT's names, whose biases are all there, without a mask token."""
    source = rewriting.without(source, {name for name in source.shapes
                                        if name.endswith("embeddings.mask_token")})
    scales = {}
    for name in source.shapes:
        for scale, layer in SCALES.items():
            if name.endswith(scale):
                scales |= {f"{name.removesuffix(scale)}{layer}.{part}": name
                           for part in ("weight", "bias")}
    if scales:
        source = rewriting.renamed(source, {as_vit(name): name for name in source.shapes})
        source = rewriting.scaled(source, scales)
    if said.get("qkv_bias") is False:
        source = rewriting.with_zeros(source, {
            f"{name.removesuffix('weight')}bias": shape[:1] for name, shape in source.shapes.items()
            if name.endswith(("query.weight", "key.weight", "value.weight"))})
    return source


def as_vit(name):
    """Return ViT's name for a tensor of DINOv2."""
    for theirs, vits in DINOV2.items():
        name = name.replace(theirs, vits)
    return name


def with_size(config, tree, size):
    """Return a network for images of another size, its positions resized as DINOv2 does it."""
    try:
        new = replace(config, image_size=size)
    except Error as error:
        raise Error(f"{error}; give such an image_size") from None
    embedding = tree["embedding"]
    position = positions.resize(embedding["position"], config.grid, new.grid,
                                method="huggingface")
    return new, tree | {"embedding": embedding | {"position": position}}


def problem_of(place, said, classes):
    """Return whether a head's classes exclude each other not; refuse one that gives numbers."""
    problem = said.get("problem_type")
    if classes and (problem == "regression" or (problem is None and classes == 1)):
        raise Error(f"{place} describes a regression: the head gives numbers, not classes; "
                    "fine-tune it with python -m vitnp.train --init-from, which replaces the head")
    if not isinstance(problem, str | None) or problem not in PROBLEMS:
        raise Error(f"{place} has the problem_type {settings.short(problem)} (possible: "
                    f"{', '.join(map(repr, PROBLEMS))}); it is not read")
    return bool(classes) and PROBLEMS[problem]


def save(folder, config, tree, preprocess, class_names=None, multi_label=False, **_):
    """Write a network as a folder that transformers reads: ViTForImageClassification or ViTModel.

    Raises Error for what such folders cannot say, and where it cannot be written.
    """
    cure = "save the network in another layout"
    settings.check_possible(config, WRITTEN, "transformers' ViT cannot have", cure)
    if config.classes and config.pre_logits:
        raise Error("transformers' ViT has either a classifier or a pooler, but this network has "
                    f"both a head and a pre-logits layer; {cure}")
    images = preparation.to_huggingface(preprocess, cure)
    tree, config = rewriting.as_written(tree, config)
    settings.make_folder(folder)
    folder = Path(folder)
    tensors.write_safetensors(folder / "model.safetensors", from_ours(tree, config),
                              {"format": "pt"})
    write_json(folder / "preprocessor_config.json", images)
    said = describe(config, tree, class_names)
    if multi_label:
        said["problem_type"] = "multi_label_classification"
    write_json(folder / "config.json", said)


def configure(source, table, said, given, eps):
    """Return the ViTConfig of a Source and of the settings in config.json."""
    sizes = renaming.sizes_in(source, table, needed="PCDMT")
    return settings.make_config(
        source.path, patch_size=sizes["P"], channels=sizes["C"], width=sizes["D"],
        image_size=settings.image_size(source.path, given.image_size or said.get("image_size"),
                                       sizes["T"] - 1, sizes["P"]),
        depth=sizes["depth"], mlp_width=sizes["M"], classes=sizes.get("K"),
        heads=settings.heads(source.path, given.heads, said.get("num_attention_heads"), sizes["D"]),
        pre_logits=sizes["R"] if any("pooler." in name for name in source.shapes) else None,
        gelu=GELU[said.get("hidden_act", "gelu")], eps=said.get("layer_norm_eps", eps))


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

