"""What the likely mistake is, told from the numbers that a student's function returned.

First the bank of known mistakes is asked: one that gives the same numbers has been found. Then come
relations that hold for every layer: another sign, a factor, a transpose, a missing sum, only the
first image right, a parameter that is not used. Last, what LayerNorm and softmax promise.
"""

import inspect
import math
import re
from dataclasses import replace

import numpy as np

from tutorials.assignments.checking import bank, handing_on, oracles
from tutorials.assignments.checking.relations import (
    AXIS,
    BIAS,
    EQUAL,
    FACTOR,
    FIRST,
    GAMMA,
    MISSING_SUM,
    OTHER,
    PROJECTION,
    SIGN,
    TRANSPOSE,
    Likely,
    equal,
    places,
    relation,
    word,
)
from tutorials.assignments.sandbox.wire import OPS
from vitnp import params

EQUAL_FLOAT32 = 1e-4        # of the largest entry
MOST_DOUBLES = 1000         # pairs of mistakes that are tried
# What errors tell of layers within a layer: a pattern of the error, and the sentence
CALLS_OF_LAYERS = (
    (r"'module' object is not callable", ("a layer such as ops.softmax has two functions: "
     "y, cache = ops.softmax.forward(x) and dx = ops.softmax.backward(dy, cache)")),
    (r"inhomogeneous|'tuple'|can't multiply sequence", ("the forward of a layer returns two "
     "values, its result and its cache: y, cache = ops.softmax.forward(x)")),
)
BACKWARD_OF_LAYER = ("the backward of a layer needs the cache that its own forward returned: dx = "
                     "ops.softmax.backward(dy, cache)")


def of_values(answer, form, side, found, wrong):
    """Return the Likely mistakes behind wrong arrays, at most three.

    found: a dict name → array, what the function returned; wrong: the names of the wrong ones.
    """
    if answer.question.told:
        return [Likely((OTHER,), answer.question.told)]
    tolerance = EQUAL_FLOAT32 if form == "float32" else EQUAL
    right = answer.outputs if side == "forward" else answer.gradients
    moved = other_order(found, right, wrong, tolerance)
    if moved:
        return moved
    known, unexplained = known_mistakes(answer, form, side, found, wrong, tolerance)
    likely = list(known)
    sizes = {} if answer.question.judged[0] == "optim" else answer.question.sizes
    for name in unexplained:
        for part, mine, true in parts_of(name, found[name], right[name]):
            dy = answer.dy if side == "backward" else None
            likely += relation(part, mine, true, sizes) + places(part, mine, true, sizes, dy)
    known = not answer.question.variant
    if not likely and known:
        likely = double_mistakes(answer, form, side, found, wrong, tolerance)
    if not likely and known and form == "plain":
        for name in unexplained:
            likely += changed_arguments(answer, side, name, found[name], tolerance)
            likely += part_of_dy(answer, side, name, found[name], tolerance)
            likely += promises(answer, side, found[name])
    if not likely and answer.question.others_right:
        likely = [Likely((OTHER,), "all is right in the cases before; look at what is new in this "
                         f"one: {answer.question.title}")]
    return list(dict.fromkeys(likely))[:3]


def other_order(found, right, wrong, tolerance):
    """Return the mistake that all is right and stands in other places of what is returned."""
    places_of = {name: [other for other in wrong if equal(found[name], right[other], tolerance)]
                 for name in wrong}
    if len(wrong) < 2 or not all(places_of.values()):
        return []
    there = ", ".join(f"{others[0]} in the place of {name}" for name, others in places_of.items())
    return [Likely((OTHER, TRANSPOSE), f"the arrays are right, in another order: {there}; the "
                   f"order is {', '.join(right)}")]


def of_crash(answer, form, side, message):
    """Return the Likely mistakes behind an error, among them those that raise the same one.

    Where several do, those are taken that speak of what the student's line assigns.
    """
    _, raised, code = split_message(message)
    if any(value is OPS for value in answer.question.fixed):
        for pattern, sentence in CALLS_OF_LAYERS:
            if re.search(pattern, raised):
                return [Likely((OTHER,), sentence)]
        if called := re.search(r"ops\.(\w+)\.(\w+)\(", code):
            return [Likely((OTHER,), call_of_layer(*called.groups(), raised))]
    likely = []
    for mistake in bank.known(answer.question.judged[0]):
        given = bank.consequences(mistake, answer, form, side)
        if given == raised:
            likely.append(Likely(mistake.kinds, mistake.sentence))
    if not likely and re.search(r"matmul|broadcast|not aligned|reshape|concatenation", raised):
        likely = [Likely((TRANSPOSE, AXIS), "two shapes do not fit together; write down the shape "
                         "of every line: a transpose, a sum or keepdims=True may be missing")]
    assigned = set(re.findall(r"\w+", code.partition(" = ")[0])) if " = " in code else set()
    about = [one for one in likely if assigned & set(re.findall(r"\w+", one.sentence))]
    return (about or likely)[:2]


def call_of_layer(name, function, raised):
    """Return what is told of an error in a line that calls a layer: its arguments, in order."""
    if function == "backward" and "values to unpack" in raised:
        return BACKWARD_OF_LAYER
    layer = getattr(oracles.TEXTBOOK, name, None)
    if not hasattr(layer, function):
        return f"ops has no {name}.{function}"
    parameters = inspect.signature(getattr(layer, function))
    returned = {"forward": "it returns its result and its cache", "merge": "it returns one array",
                "split": "it returns a list of `parts` arrays"}.get(function, "")
    return (f"look at what is given to ops.{name}.{function}: its arguments are {parameters}, in "
            f"this order{'; ' * bool(returned)}{returned}")


def split_message(message):
    """Return kind, text and line of code of "ValueError: text (linear.py, line 3: y = x @ w)"."""
    found = re.fullmatch(r"(\w+): (.*?)(?: \(\w+\.py, line \d+(?:: (.*))?\))?", message, re.DOTALL)
    return (found[1], found[2], found[3] or "") if found else ("", message, "")


def known_mistakes(answer, form, side, found, wrong, tolerance):
    """Return the mistakes of the bank that explain wrong arrays, and the names left over.

    Of two that explain as many, that one is taken which gives what is right as it was found.
    """
    right = answer.outputs if side == "forward" else answer.gradients
    candidates = [(mistake, bank.consequences(mistake, answer, form, side))
                  for mistake in bank.known(answer.question.judged[0])]
    if form == "plain":
        candidates += [(change, change.given) for change in handing_on.changes(answer, side)]
    explained = []
    for mistake, given in candidates:
        if isinstance(given, dict):
            names = [name for name in wrong
                     if equal(found[name], given.get(name), tolerance)
                     and not equal(given[name], right[name], tolerance)]
            spoilt = [name for name, value in right.items() if name not in wrong
                      and value is not None and not equal(given.get(name), value, tolerance)]
            explained.append((names, len(spoilt), mistake))
    likely, left = [], list(wrong)
    while explained:
        names, _, mistake = max(explained, key=lambda one: (len(set(one[0]) & set(left)), -one[1]))
        gained = [name for name in names if name in left]
        if not gained:
            break
        left = [name for name in left if name not in gained]
        likely.append(Likely(mistake.kinds, mistake.sentence))
    return likely, left


def double_mistakes(answer, form, side, found, wrong, tolerance):
    """Return two known mistakes that together give one of the wrong arrays, or one and a factor."""
    module, right = answer.question.judged[0], answer.outputs if side == "forward" else (
        answer.gradients)
    for mistake in bank.known(module):
        given = bank.consequences(mistake, answer, form, side)
        for name in wrong if isinstance(given, dict) else ():
            if isinstance(given.get(name), np.ndarray) and not equal(given[name], right[name]):
                factor = relation(name, found[name], given[name], answer.question.sizes)
                if factor and found[name].shape == given[name].shape and found[name].any():
                    return [Likely(mistake.kinds, mistake.sentence),
                            Likely(factor[0].kinds, f"besides, {factor[0].sentence}")]
    for one, other, both in bank.doubles(module)[:MOST_DOUBLES]:
        given = bank.consequences(both, answer, form, side)
        if isinstance(given, dict) and any(equal(found[name], given.get(name), tolerance)
                                           for name in wrong):
            return [Likely(each.kinds, each.sentence) for each in (one, other)]
    return []


def parts_of(name, mine, true):
    """Return (name, found, right) of an array; of packed queries, keys and values, each third."""
    if not re.search(r"qkv/(weight|bias)$", name) or mine.shape != true.shape:
        return [(name, mine, true)]
    thirds = zip(np.split(mine, 3, axis=-1), np.split(true, 3, axis=-1), strict=True)
    return [(f"{name} ({part})", *pair)
            for part, pair in zip(("queries", "keys", "values"), thirds, strict=True)
            if part != "keys" or mine.ndim > 1]


def changed_arguments(answer, side, name, mine, tolerance):
    """Return the arguments that seem to be used otherwise: with another value all is equal."""
    question, likely = answer.question, []
    if not question.backward:
        return []
    for path, array in params.flatten(question.arguments).items():
        for kind, told, change in changes(path, question.sizes) if array is not None else ():
            arguments = oracles.copied(question.arguments)
            value = params.find(arguments, path)
            value[...] = change(value)
            changed = replace(question, arguments=arguments)
            if equal(mine, library_values(changed, side, answer.dy).get(name), tolerance):
                likely.append(Likely((kind,), f"{name} would be right if {path} were {told}"))
    return likely


def changes(path, sizes):
    """Return ways to change an argument, as (kind, what is told, function of the array)."""
    last = path.rpartition("/")[2]
    found = [(SIGN, "subtracted or negated: look at its sign", lambda x: -x)]
    if last in ("bias", "beta", "position", "class_token"):
        found.append((BIAS, "0: it is forgotten somewhere", lambda x: 0.0 * x))
    if last == "gamma":
        found.append((GAMMA, "1: it is forgotten somewhere", lambda x: 0.0 * x + 1.0))
    for letter in ("D", "Dh", "T"):
        root = math.sqrt(sizes[letter])
        for told, factor in ((f"√{letter}", root), (f"1/√{letter}", 1 / root),
                             (letter, root**2), (f"1/{letter}", root**-2)):
            found.append((FACTOR, f"multiplied by {told}",
                          lambda x, factor=factor: x * factor))
    return found


def part_of_dy(answer, side, name, mine, tolerance):
    """Return whether a gradient is that of the first, or of all but the first, image or token."""
    if side == "forward":
        return []
    dy, sizes = answer.dy, answer.question.sizes
    words = [word(size, sizes, f"entry of axis {axis}") for axis, size in enumerate(dy.shape)]
    parts = [(f"{told} {words[axis]}", (slice(None),) * axis + (part,))
             for axis in range(dy.ndim)
             for told, part in (("only the first", slice(0, 1)),
                                ("all but the first", slice(1, None)))]
    if dy.ndim > 2:
        parts.append((f"only the first {words[1]} of the first {words[0]}",
                      (slice(0, 1), slice(0, 1))))
    for told, place in parts:
        part = np.zeros_like(dy)
        part[place] = dy[place]
        if equal(mine, library_values(answer.question, side, part).get(name), tolerance):
            return [Likely((FIRST, MISSING_SUM), f"{name} is made of {told}: it is a sum over all "
                           "of them")]
    return []


def library_values(question, side, dy):
    """Return what the library's functions give for a question, a dict name → array."""
    functions = oracles.library(question)
    if side == "forward":
        return oracles.forward(question, functions)[0]
    return oracles.backward(question, functions, dy)


def promises(answer, side, mine):
    """Return which promise of LayerNorm or softmax is broken, whatever else is wrong."""
    layer, likely = answer.question.judged[0], []
    if mine.ndim < 2:
        return []
    rows = mine.sum(axis=-1)
    if layer == "layers.softmax" and side == "forward" and not np.allclose(rows, 1.0):
        likely.append(Likely((AXIS,), "the weights of each row should have the sum 1"))
    if layer in ("layers.softmax", "layers.layernorm") and side == "backward" and (
            np.abs(rows).max() > EQUAL * np.abs(mine).max()):
        likely.append(Likely((PROJECTION,), "the numbers of each row of dx should have the sum 0, "
                             "since a constant added to a row of x changes nothing: a path is "
                             "missing, or a sum or mean is taken over another axis"))
    return likely
