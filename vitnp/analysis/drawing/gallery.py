"""The paper's figures of any checkpoint: choose pictures, gather numbers, write PNG and .npz."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitnp import data, networks
from vitnp import trained as shipped
from vitnp.analysis import interpret
from vitnp.analysis.drawing import canvas, paper_figures
from vitnp.backend import to_host
from vitnp.checkpoint import locate
from vitnp.common.files import refusing, replacing
from vitnp.common.progress import say
from vitnp.errors import Error
from vitnp.runs import checkpoint_options, run_folder

MOST_PICTURES, MOST_SHOWN = 128, 8          # for the attention distance, and for the rollout
MOST_ASKED, MOST_ROWS = 4, 12               # pictures for a query, and rows of its figure


@dataclass(frozen=True)
class Pictures:
    """Pictures that figures are made of.

    inputs: (B, height, width, C), as the network takes them; names: (B,); paths: their files, or
    None where they come from a data set.
    """

    inputs: np.ndarray
    names: np.ndarray
    paths: list | None

    def shown(self, indices):
        """Return those at the indices as they are drawn, photographs in their own proportions."""
        if self.paths is None:
            return [self.inputs[i] for i in indices]
        return [canvas.shown(self.paths[i]) for i in indices]


def draw_all(options):
    """Write the figures and their numbers as parsed options say; return their paths, and out's."""
    trained = checkpoint_options.load(options)
    networks.need_transformer(trained.config, "these figures are", stem=False)
    block, heads, queries = asked_for(options, trained.config)
    pictures = choose(options, trained)
    numbers = gather(trained, pictures, block, heads, queries)
    own = locate.is_run(options.checkpoint) and not shipped.holds(options.checkpoint)
    folder = Path(options.out or (Path(options.checkpoint) / "figures" if own else "figures"))
    with refusing(f"the folder {folder} cannot be made", "choose another --out"):
        folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, arrays in numbers.items():
        paths += [folder / f"{name}.png", folder / f"{name}.npz"]
        draw(name, arrays, pictures, paths[-2], checkpoint_options.title_of(options.checkpoint))
        with replacing(paths[-1]) as aside, open(aside, "wb") as file:
            np.savez(file, **arrays)
    return [*paths, folder]


def gather(trained, pictures, block, heads, queries):
    """Return the numbers behind each figure, as name → dict of arrays.

    block, heads: counted from 0; queries: pairs (row, column) of patches, from 0.
    """
    few = spread(len(pictures.inputs), MOST_SHOWN)
    asked = spread(len(pictures.inputs), max(1, min(MOST_ASKED, MOST_ROWS // len(queries))))
    components, shares = interpret.filter_components(
        to_host(trained.params["embedding"]["projection"]["weight"]), trained.config.patch_size)
    distances = interpret.distances(trained, pictures.inputs)             # (B, depth, H)
    attention = interpret.query_attention(trained, pictures.inputs[asked], block, queries)
    numbers = {
        "filters": {"components": components, "shares": shares},
        "positions": {"similarity": interpret.similarity_of_positions(trained)},
        "attention_distance": {"distance": distances.mean(axis=0),
                               "even": interpret.even_distance(trained.config),
                               "pictures": pictures.names},
        "rollout": {"rollout": interpret.rollouts(trained, pictures.inputs[few]),
                    "pictures": pictures.names[few], "indices": few},
        "query_attention": {"attention": attention[:, :, heads], "block": block + 1,
                            "heads": np.array(heads) + 1, "queries": np.array(queries) + 1,
                            "pictures": pictures.names[asked], "indices": asked}}
    for name, arrays in numbers.items():
        if not all(np.isfinite(array).all() for key, array in arrays.items()
                   if key != "pictures" and array is not None):
            raise Error(f"the numbers behind {name}.png are infinite or not numbers; the weights "
                        "of this model are damaged")
    if trained.config.positions == "none":
        say("this model has no position embeddings, and so no positions.png")
        del numbers["positions"]
    return numbers


def draw(name, arrays, pictures, path, title):
    """Draw the figure of a name from its arrays; see gather."""
    if name == "filters":
        paper_figures.filters(arrays["components"], arrays["shares"], path, title)
    elif name == "positions":
        paper_figures.positions(arrays["similarity"], path, title)
    elif name == "attention_distance":
        paper_figures.attention_distance(arrays["distance"], arrays["even"],
                                         len(arrays["pictures"]), path, title)
    elif name == "rollout":
        paper_figures.rollout(pictures.shown(arrays["indices"]), arrays["rollout"],
                              arrays["pictures"], path, title)
    else:
        paper_figures.query_attention(
            pictures.shown(arrays["indices"]), arrays["attention"], arrays["queries"] - 1,
            arrays["pictures"], [f"head {head}" for head in arrays["heads"]], path,
            f"{title}, block {arrays['block']}")


def asked_for(options, config):
    """Return block, heads and queries, from 0, of the options; by default the last block's.

    Without a query it is the patch in the middle.
    """
    block = config.depth if options.block is None else options.block
    if not 1 <= block <= config.depth:
        raise Error(f"--block is {block}; the blocks of this model are 1 to {config.depth}")
    heads = range(1, config.heads + 1)
    if options.head != "all":
        if not options.head.isdecimal() or int(options.head) not in heads:
            raise Error(f"--head is {options.head}; it must be all, or 1 to {config.heads}")
        heads = [int(options.head)]
    rows, columns = config.grid
    queries = [(rows // 2, columns // 2)]
    if options.query:
        queries = [query_of(text, rows, columns) for text in options.query]
    if len(queries) > MOST_ROWS:
        raise Error(f"--query has {len(queries)} patches; at most {MOST_ROWS} fit into the figure")
    return block - 1, [head - 1 for head in heads], queries


def query_of(text, rows, columns):
    """Return the patch (row, column), from 0, of a text "ROW,COLUMN", counted from 1."""
    numbers = checkpoint_options.whole_numbers(text)
    if not numbers or len(numbers) != 2 or not (1 <= numbers[0] <= rows
                                                and 1 <= numbers[1] <= columns):
        raise Error(f"--query is {text}; it must be ROW,COLUMN of a patch, from 1,1 to "
                    f"{rows},{columns}")
    return numbers[0] - 1, numbers[1] - 1


def choose(options, trained):
    """Return the Pictures of the options: files, or from the test part of a data set.

    By default the data set is the run's own. Of many, 128 are taken, in equal steps.
    """
    if options.images and options.data_dir:
        raise Error("--data-dir is for a data set, but --images names the pictures; leave one out")
    if options.images:
        paths = [options.images[i] for i in spread(len(options.images), MOST_PICTURES)]
        return Pictures(trained.preprocess.batch(paths),
                        np.array([Path(path).name for path in paths]), paths)
    name, data_dir = options.data, options.data_dir
    if name is None:
        if not locate.is_run(options.checkpoint):
            raise Error(f"{options.checkpoint} is no run with pictures of its own; give some with "
                        "--images FILE …, or a data set with --data NAME")
        settings = run_folder.read_recipe(options.checkpoint)
        name, data_dir = settings.data, data_dir or settings.data_dir
    try:
        dataset = data.load(name, data_dir, trained.preprocess.size,
                            preprocess=trained.preprocess)
    except Error as error:
        raise Error(f"{error}; or give pictures with --images FILE …") from None
    indices = spread(len(dataset.test_images), MOST_PICTURES)
    inputs = trained.preprocess.check(dataset.test_images[indices])
    names = [f"{i}: {dataset.class_names[dataset.test_labels[i]]}" for i in indices]
    return Pictures(inputs, np.array(names), None)


def spread(count, most):
    """Return at most `most` of the numbers 0 … count - 1 in equal steps, as an array."""
    chosen = min(count, most)
    return np.arange(chosen) * count // chosen
