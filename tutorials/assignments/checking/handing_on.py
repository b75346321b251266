"""What a function would give if it ignored an argument, or called its layers otherwise.

These mistakes need no bank: arguments are found in the signature, and the layers that a composite
calls are seen by watching it.
"""

import inspect
from collections import Counter
from dataclasses import dataclass, fields, is_dataclass, replace
from types import SimpleNamespace

from tutorials.assignments.checking import oracles
from tutorials.assignments.checking.relations import OTHER, OVERWRITTEN
from tutorials.assignments.sandbox.wire import OPS

IGNORED = ("gelu", "eps", "dropout", "attention_dropout")       # fields of a configuration
TIMES = ("first", "second", "third", "fourth")


@dataclass(frozen=True)
class Change:
    """A way to call things otherwise: its kinds, what the student is told, and what it gives."""

    kinds: tuple[str, ...]
    sentence: str
    given: dict


def changes(answer, side):
    """Return the Changes of a question, on the side "forward" or "backward"."""
    found = []
    if any(value is OPS for value in answer.question.fixed):
        for kinds, sentence, ops in otherwise(answer.question, side):
            found += tried(kinds, sentence, answer.question, answer.dy, side, ops)
    for sentence, question in ignoring(answer.question):
        found += tried((OTHER,), sentence, question, answer.dy, side)
    return found


def tried(kinds, sentence, question, dy, side, ops=oracles.TEXTBOOK):
    """Return the Change as a list of one, or of none where it stops with an error."""
    functions = oracles.library(question)
    try:
        if side == "forward":
            return [Change(kinds, sentence, oracles.forward(question, functions, ops)[0])]
        return [Change(kinds, sentence, oracles.backward(question, functions, dy, ops))]
    except Exception:  # noqa: BLE001  what is called otherwise may raise anything
        return []


def ignoring(question):
    """Yield (sentence, question) with one argument, or field of a configuration, by default."""
    if question.called:
        return
    function = oracles.library(question)[question.call[1]]
    names = list(inspect.signature(function).parameters)[len(question.arguments):]
    for place, (name, value) in enumerate(zip(names, question.fixed, strict=False)):
        default = inspect.signature(function).parameters[name].default
        others = [(name, default)]
        if is_dataclass(value) and value is not OPS:
            defaults = {field.name: field.default for field in fields(value)}
            others = [(f"{name}.{field}", replace(value, **{field: defaults[field]}))
                      for field in IGNORED if getattr(value, field) != defaults[field]]
        for told, other in others:
            if other is not inspect.Parameter.empty and value is not OPS and not same(value, other):
                fixed = (*question.fixed[:place], other, *question.fixed[place + 1:])
                yield (f"{told} is ignored: it is an argument, and has to be used",
                       replace(question, fixed=fixed))


def same(one, other):
    """Tell whether two arguments are equal; arrays never are."""
    return type(one) is type(other) and not hasattr(one, "shape") and one == other


def otherwise(question, side):
    """Yield (kinds, sentence, ops) with one call of a layer left out, or given less."""
    seen = watch(question)
    counts = Counter(name for name, _ in seen)
    for number, (name, arguments) in enumerate(seen):
        time = sum(other == name for other, _ in seen[:number])
        which = f"the {TIMES[time]} ops.{name}" if counts[name] > 1 else f"ops.{name}"
        if name == "heads":
            continue
        parameters = inspect.signature(getattr(oracles.TEXTBOOK, name).forward).parameters
        for place, (given, parameter) in enumerate(parameters.items()):
            default = parameter.default
            if default is inspect.Parameter.empty or given not in arguments:
                continue
            if not same(arguments[given], default):
                yield ((OTHER,), f"{given} is not handed on to {which}",
                       changed(name, time, forward={given: default}))
        if side == "forward":
            yield (OTHER,), f"{which} is left out", changed(name, time, forward="skip")
            continue
        yield ((OTHER,), f"the backward of {which} is left out",
               changed(name, counts[name] - 1 - time, backward="skip"))
        for other in range(counts[name]):
            if other != time:
                told = (f"the backward of {which} is given the cache of the {TIMES[other]} one: "
                        "each call needs a cache, and a name, of its own")
                yield ((OTHER, OVERWRITTEN), told,
                       changed(name, counts[name] - 1 - time, backward=other))


def watch(question):
    """Return the calls of layers in a forward, a list of (name, dict of arguments)."""
    seen = []

    def watched(name, layer):
        def forward(*arguments, **named):
            bound = inspect.signature(layer.forward).bind(*arguments, **named)
            seen.append((name, bound.arguments))
            return layer.forward(*arguments, **named)
        return SimpleNamespace(**vars(layer) | ({"forward": forward} if name != "heads" else {}))

    layers = {name: watched(name, layer) for name, layer in vars(oracles.TEXTBOOK).items()}
    oracles.forward(question, oracles.library(question), inner(layers))
    return seen


def inner(layers):
    """Return the Ops of these layers, which call each other as the textbook does."""
    def textbook_inside(function):
        def call(*arguments, **named):
            arguments = [oracles.TEXTBOOK if isinstance(value, type(oracles.TEXTBOOK)) else value
                         for value in arguments]
            return function(*arguments, **named)
        return call

    return type(oracles.TEXTBOOK)(**{
        name: SimpleNamespace(**vars(layer) | {
            side: textbook_inside(getattr(layer, side)) for side in ("forward", "backward")
            if hasattr(layer, side)}) for name, layer in layers.items()})


def changed(name, time, forward=None, backward=None):
    """Return Ops in which one call of a layer's forward or backward, counted by `time`, differs.

    forward: "skip", or a dict of arguments to be replaced; backward: "skip", or the number of the
    forward call whose cache it gets.
    """
    layer, caches, counts = getattr(oracles.TEXTBOOK, name), [], Counter()

    def forward_otherwise(*arguments, **named):
        counts["forward"] += 1
        now = counts["forward"] - 1 == time
        if forward == "skip" and now:
            return arguments[0], None
        bound = inspect.signature(layer.forward).bind(*arguments, **named)
        if isinstance(forward, dict) and now:
            bound.arguments |= forward
        y, cache = layer.forward(*bound.args, **bound.kwargs)
        caches.append(cache)
        return y, cache

    def backward_otherwise(dy, cache):
        counts["backward"] += 1
        now = counts["backward"] - 1 == time
        if isinstance(backward, int) and now:
            cache = caches[backward]
        found = layer.backward(dy, cache)
        if backward == "skip" and now:
            return (dy, *found[1:]) if isinstance(found, tuple) else dy
        return found

    layers = dict(vars(oracles.TEXTBOOK))
    layers[name] = SimpleNamespace(**vars(layer) | {"forward": forward_otherwise,
                                                    "backward": backward_otherwise})
    return inner(layers)
