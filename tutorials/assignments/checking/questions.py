"""What is asked of each function: calls with random values and sizes that all differ.

The first question of a list is the plainest; a mistake is described by its numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from vitnp import params, vit
from vitnp.config import ViTConfig

# B images, H heads of Dh numbers, a grid of patches, MLP width F, K classes, patches P x P x C.
# The first sizes are the public ones; grading takes others too.
SIZES = (
    {"B": 3, "H": 2, "Dh": 5, "rows": 4, "columns": 2, "F": 11, "K": 7, "P": 3, "C": 5},
    {"B": 2, "H": 3, "Dh": 4, "rows": 3, "columns": 2, "F": 10, "K": 5, "P": 2, "C": 3},
    {"B": 5, "H": 2, "Dh": 4, "rows": 2, "columns": 3, "F": 9, "K": 11, "P": 4, "C": 2},
)
FORMS = ("plain", "strided", "read-only", "float32")


@dataclass(frozen=True)
class Question:
    """One call of a function, and of its backward where it has one.

    judged: whose function is asked, a module such as "layers.linear" and the function's name;
    arguments: a dict name → array, or tree of arrays, or None, in the function's order, by which
    backward differentiates; fixed: what follows them; returns: the names of what is returned, but
    for the cache; called: the module and function to be called, where that is another one;
    entry: a path of names to an array that the cache must hold; forms: in which of the FORMS it is
    asked; listed: True where a list is returned, even with one entry; told: what a wrong answer
    means where those to all questions before it were right; tolerance: the largest error in
    float64, of the largest entry; variant: True where no backward is known, and finite
    differences take its place; others_right: True where questions before were about the same
    function.
    """

    title: str
    judged: tuple[str, str]
    arguments: dict
    fixed: tuple = ()
    returns: tuple[str, ...] = ("y",)
    backward: str | None = "backward"
    called: tuple[str, str] | None = None
    entry: tuple[str, ...] = ()
    forms: tuple[str, ...] = ("plain",)
    listed: bool = False
    told: str = ""
    tolerance: float = 1e-9
    variant: bool = False
    others_right: bool = False
    sizes: dict = field(default_factory=dict)

    @property
    def call(self):
        """The module and the function to be called."""
        return self.called or self.judged

    @property
    def positional(self):
        """All arguments in order."""
        return [*self.arguments.values(), *self.fixed]


@dataclass(frozen=True)
class Source:
    """Where questions take their sizes and random values from."""

    draw: Callable
    sizes: dict

    def shaped(self, *letters):
        """Return a random array whose shape is given by letters or numbers."""
        return self.draw(tuple(self.sizes.get(letter, letter) for letter in letters))


def source(seed, **changes):
    """Return the Source of a seed, with some sizes changed."""
    sizes = SIZES[seed % len(SIZES)] | changes
    sizes["D"], sizes["N"] = sizes["H"] * sizes["Dh"], sizes["rows"] * sizes["columns"]
    sizes["T"] = sizes["N"] + 1
    rng = np.random.default_rng([seed, 14])
    return Source(lambda shape: 0.8 * rng.standard_normal(shape), sizes)


def config_of(sizes, **changes):
    """Return the configuration of a network with these sizes and one block."""
    side = sizes["P"]
    return ViTConfig(image_size=(sizes["rows"] * side, sizes["columns"] * side), patch_size=side,
                     channels=sizes["C"], width=sizes["D"], depth=1, heads=sizes["H"],
                     mlp_width=sizes["F"], classes=sizes["K"], **changes)


def block_parameters(given):
    """Return random parameters of one block, biases and gammas too."""
    shapes = vit.shapes(config_of(given.sizes))
    tree = params.nest({path: given.draw(shape) for path, shape in shapes.items()
                        if path.startswith("blocks")})
    return tree["blocks"][0]
