"""What a Vision Transformer has besides the paper's parts, or lacks.

A stem (hybrid), positions of rows and columns or none, a mean for the class token, a layer before
the head, no head. vit.py says the same of the network of the paper's equations.
"""

from vitnp.initial_values import lecun_normal
from vitnp.layers.convolutional import stem


def shapes(config, plain):
    """Return the shapes of the parameters, path → shape; plain: those of the paper's network."""
    result, D, classes = dict(plain), config.width, config.classes
    if config.stem:
        result["embedding/projection/weight"] = (config.patch_size**2 * config.stem[-1], D)
        result |= {f"embedding/stem/{path}": shape
                   for path, shape in stem.shapes(config.channels, config.stem).items()}
    if not config.class_token:
        del result["embedding/class_token"]
    if config.positions != "learned":
        del result["embedding/position"]
    if config.positions == "2d":
        rows, columns = config.grid
        result |= {"embedding/position_row": (rows, D), "embedding/position_column": (columns, D)}
    if config.pre_logits:
        features = config.pre_logits
        del result["head/weight"]       # to come again behind the layer before it
        result |= {"pre_logits/weight": (D, features), "pre_logits/bias": (features,),
                   "head/weight": (features, classes)}
    if not classes:
        del result["head/weight"], result["head/bias"]
    return result


def init(tree, rng):
    """Write the initial values of these parts, drawn from rng, to a tree of NumPy arrays.

    Stem: see there. Rows and columns: normal, deviation 0.02. Pre-logits: LeCun normal.
    """
    embedding = tree["embedding"]
    stem.init(embedding.get("stem", {}), rng)
    for name in ("position_row", "position_column"):
        if name in embedding:
            embedding[name][:] = 0.02 * rng.standard_normal(embedding[name].shape)
    if "pre_logits" in tree:
        weight = tree["pre_logits"]["weight"]
        weight[:] = lecun_normal(weight.shape, rng)
