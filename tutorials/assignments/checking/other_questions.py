"""The questions about the checker, AdamW and the interpolation of positions."""

import numpy as np

from tutorials.assignments.checking.questions import Question


def gradcheck(given):
    """Return the questions about finite differences."""
    array, shift = given.shaped("B", "K"), 0.5 * given.shaped("B", "K")
    large = array + 100.0 * np.sign(array)
    lowest = tuple(map(int, np.unravel_index(large.argmin(), large.shape)))

    def ask(title, name, arguments, *fixed, returns, **others):
        return Question(title, ("gradcheck", name), arguments, fixed, returns, None,
                        ("exam_checker", name), tolerance=1e-6, **others)

    left = "the numbers of array afterwards"
    return [ask("a large displacement", "central_difference",
                {"array": array, "displacement": shift}, returns=("difference", left)),
            ask("a small displacement", "central_difference",
                {"array": array, "displacement": 1e-4 * shift}, returns=("difference", left)),
            ask("an entry below 1", "entry_slope", {"array": array / 9}, (1, 2),
                returns=("slope", left, "step")),
            ask("an entry far below zero", "entry_slope", {"array": large}, lowest,
                returns=("slope", left, "step")),
            ask("a matrix", "numeric_gradient", {"array": array}, returns=("gradient", left),
                forms=("plain", "strided")),
            ask("large entries, three axes", "numeric_gradient",
                {"array": 30.0 * given.shaped("rows", "H", "B")}, returns=("gradient", left))]


def optim(given):
    """Return the questions about AdamW: first step, later steps, groups."""
    size = given.sizes["D"] * given.sizes["K"]
    w = given.draw((size,))
    fresh = {"params": w, "gradients": given.draw((1, size)), "moment1": np.zeros(size),
             "moment2": np.zeros(size)}
    later = fresh | {"gradients": given.draw((3, size)), "moment1": 0.1 * given.draw((size,)),
                     "moment2": 0.1 * given.draw((size,)) ** 2}
    one, half = [(0, size, 1.0, 0.0)], size // 2
    decayed, two = [(0, size, 1.0, 0.3)], [(0, half, 1.0, 0.3), (half, size, 0.25, 0.1)]
    names = ("params", "moment1", "moment2", "the gradients afterwards")

    def ask(title, arguments, *fixed, **others):
        return Question(title, ("optim", "adamw"), arguments, fixed, names, None,
                        ("exam_adamw", "adamw"), **others)

    tiny = later | {"gradients": 1e-8 * given.draw((3, size)), "moment1": np.zeros(size),
                    "moment2": np.zeros(size)}
    return [ask("the first step, no decay", fresh, 1, 0.1, one),
            ask("steps 4 to 6, no decay", later, 4, 0.1, one, forms=("plain", "strided",
                                                                     "float32")),
            ask("steps 4 to 6, decay", later, 4, 0.1, decayed),
            ask("two groups", later, 4, 0.1, two),
            ask("gradients of the size of eps", tiny, 1, 0.1, one),
            ask("other β and eps", later, 4, 0.1, decayed, 0.7, 0.95, 0.03, told=(
                "β₁, β₂ and eps are arguments: use beta1, beta2 and eps, not the usual numbers"))]


def positions(given):
    """Return the questions about the interpolation of position embeddings."""
    sizes = given.sizes
    old, new = (sizes["rows"], sizes["columns"]), (sizes["rows"] + 2, sizes["columns"] + 3)
    smaller, one = (sizes["rows"] - 1, sizes["columns"] - 1), (1, 1)
    tokens, patches = given.shaped("T", "D"), given.shaped("N", "D")

    def matrix(before, after):
        return Question(f"from {before} to {after}", ("positions", "linear"), {},
                        (before, after), ("matrix",), None)

    def grid(title, position, *fixed, forms=("plain",)):
        return Question(title, ("positions", "resize"), {"position": position}, fixed,
                        ("position",), None, forms=forms)

    asked = [matrix(4, 6), matrix(8, 4), matrix(3, 3), matrix(4, 1), matrix(1, 3),
             grid("a larger grid", tokens, old, new,
                  forms=("plain", "strided", "read-only", "float32")),
             grid("no class token", patches, old, new, False),
             grid("the same grid", tokens, old, old),
             grid("a smaller grid", tokens, old, smaller),
             grid("one patch", tokens, old, one)]
    asked += [grid(f"the way of {method}, {title}", tokens, old, other, True, method)
              for method in ("huggingface", "timm")
              for title, other in (("larger", new), ("smaller", smaller))]
    return asked
