"""The right answers, which the parent process alone knows.

They are the library's own, forward and backward, with a random upstream gradient in float64; tests
hold them against independent code and finite differences. A variant, which is in no chapter, has
no backward anywhere: its gradients are finite differences of its forward.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np

from tutorials.assignments import tasks
from tutorials.assignments.checking import (
    fixed_dropout,
    layer_questions,
    other_questions,
    variant_questions,
)
from tutorials.assignments.checking.questions import FORMS, Question, source
from tutorials.assignments.sandbox.wire import OPS
from vitnp import params
from vitnp.gradcheck import numeric_gradient
from vitnp.layers import textbook

TEXTBOOK = replace(textbook, dropout=fixed_dropout)
HERE = Path(__file__).parent


class Unfit(Exception):
    """What a function returned is not of the kind that it has to return; says so in a sentence."""


@dataclass(frozen=True)
class Answer:
    """The right answer to a question.

    outputs: a dict name → array; dy: the upstream gradient; gradients: a dict such as "dx" or
    "dp/out/weight" → array, None for an absent part; entry: the array that the cache must hold;
    other: of the first question about a function, the answer for other values in the same shapes.
    """

    question: Question
    outputs: dict
    dy: np.ndarray | None = None
    gradients: dict | None = None
    entry: np.ndarray | None = None
    other: "Answer | None" = None


def questions(module, seed=0):
    """Return the questions about the functions of a module, such as "layers.linear"."""
    maker = module.rpartition(".")[2]
    if module == "network" or module.startswith("drawn."):
        given = source(seed)
        return [replace(question, sizes=given.sizes, others_right=not first, forms=FORMS)
                for question, first in firsts(variant_questions.questions(maker, given))]
    if not module.startswith("layers."):
        given = source(seed)
        return [replace(question, sizes=given.sizes, others_right=not first)
                for question, first in firsts(getattr(other_questions, maker)(given))]
    make, given, single = getattr(layer_questions, maker), source(seed), source(seed, B=1)
    asked, alone = firsts(make(given)), firsts(make(single))
    return [replace(question, sizes=given.sizes, forms=FORMS if first else question.forms,
                    others_right=not first) for question, first in asked] + [
        replace(question, sizes=single.sizes, title="a batch of one", others_right=True)
        for question, first in alone if first]


def firsts(asked):
    """Return pairs (question, whether it is the first about its function)."""
    seen = set()
    return [(question, not (question.judged in seen or seen.add(question.judged)))
            for question in asked]


@lru_cache(maxsize=64)
def answers(module, seed=0):
    """Return the right Answers to all questions about a module."""
    rng = np.random.default_rng([seed, 15])
    found = [(answer(question, rng), first) for question, first in firsts(questions(module, seed))]
    return tuple(replace(one, other=other_answer(one)) if first and not one.question.called else one
                 for one, first in found)


def other_answer(answer):
    """Return the Answer for other values in the same shapes, as `answer` makes it."""
    arguments = scaled(answer.question.arguments, -0.7)
    question = replace(answer.question, arguments=arguments)
    functions = library(question)
    outputs, _ = forward(question, functions)
    found = gradients(question, functions, answer.dy) if question.backward else None
    return Answer(question, outputs, answer.dy, found)


def scaled(value, factor):
    """Return a tree with its arrays multiplied by a number."""
    if isinstance(value, dict):
        return {name: scaled(part, factor) for name, part in value.items()}
    if isinstance(value, list):
        return [scaled(part, factor) for part in value]
    return value if value is None else value * factor


def answer(question, rng):
    """Return the right Answer to a question."""
    functions = library(question)
    outputs, cache = forward(question, functions)
    if question.backward is None:
        return Answer(question, outputs)
    (y,) = outputs.values()
    dy = rng.standard_normal(y.shape)
    entry = cache
    for name in question.entry:
        entry = entry[name]
    return Answer(question, outputs, dy, gradients(question, functions, dy),
                  entry if question.entry else None)


def gradients(question, functions, dy):
    """Return the right gradients: the backward's, or finite differences where there is none."""
    if not question.variant:
        return backward(question, functions, dy)
    moved = replace(question, arguments=copied(question.arguments))

    def loss():
        return float((next(iter(forward(moved, functions)[0].values())) * dy).sum())

    return {f"d{path}": array if array is None else numeric_gradient(loss, array)
            for path, array in params.flatten(moved.arguments).items()}


def forward(question, functions, ops=TEXTBOOK):
    """Return what a forward gives, as a dict name → array, and its cache."""
    fixed = [ops if value is OPS else copied(value) for value in question.fixed]
    returned = functions[question.call[1]](*copied(question.arguments).values(), *fixed)
    cache = returned[1] if question.backward else None
    outputs = outputs_of(question, returned)
    return {name: np.asarray(value) for name, value in outputs.items()}, cache


def backward(question, functions, dy, ops=TEXTBOOK):
    """Return what a backward gives after its forward, as a dict such as "dx" → array."""
    _, cache = forward(question, functions, ops)
    return gradients_of(question, functions[question.backward](dy.copy(), cache))


def library(question, text=None):
    """Return the names of the module to be called, the library's or one with another text."""
    module, called = question.judged[0], question.call[0]
    text = text or tasks.source_of(module)
    names = namespace(f"vitnp.{module}", text)
    if called == module:
        return names
    around = namespace(called, (HERE / f"{called}.py").read_text(encoding="utf-8"))
    around[module] = ModuleType(module)
    vars(around[module]).update(names)
    return around


def namespace(name, text):
    """Return the names that a module's text defines."""
    module = ModuleType(name)
    exec(compile(text, name, "exec"), vars(module))  # noqa: S102  never a student's
    return vars(module)


def read(question, side, returned):
    """Return the arrays that one side of a function returned: the one reading for all checks."""
    return (outputs_of if side == "forward" else gradients_of)(question, returned)


def outputs_of(question, returned):
    """Return the arrays that a function returned, as a dict name → array, without the cache.

    Raises Unfit where it returned another number of values.
    """
    name, names = question.judged[1], question.returns
    if question.backward:
        if not isinstance(returned, tuple | list) or len(returned) != 2:
            raise Unfit(f"{name} must return two values, {names[0]} and the cache; "
                        f"yours returns {described(returned)}")
        return {names[0]: returned[0]}
    if len(names) == 1 and not question.listed:
        return {names[0]: returned}
    if np.ndim(returned) == 0 if isinstance(returned, np.ndarray) else not isinstance(
            returned, tuple | list):
        raise Unfit(f"{name} must return {len(names)} arrays; yours returns {described(returned)}")
    if len(returned) != len(names):
        raise Unfit(f"{name} must return {len(names)} arrays; yours returns {len(returned)}")
    return dict(zip(names, returned, strict=True))


def gradients_of(question, returned):
    """Return the gradients that a backward returned, as a dict such as "dp/in/weight" → array.

    Raises Unfit where it returned another number of values.
    """
    names = [f"d{name}" for name in question.arguments]
    wanted = ", ".join(names)
    if len(names) == 1:
        if isinstance(returned, tuple | list | dict):
            raise Unfit(f"backward must return {wanted} alone, an array; "
                        f"yours returns {described(returned)}")
        return {names[0]: returned}
    if not isinstance(returned, tuple | list):
        raise Unfit(f"backward must return {len(names)} values, {wanted}; "
                    f"yours returns {described(returned)}")
    if len(returned) != len(names):
        raise Unfit(f"backward must return {len(names)} values, {wanted}; "
                    f"yours returns {len(returned)}")
    return params.flatten(dict(zip(names, returned, strict=True)))


def described(value):
    """Return what a value is, in a few words."""
    if isinstance(value, np.ndarray):
        return f"one array of the shape {value.shape}"
    if isinstance(value, tuple | list | dict):
        return f"a {type(value).__name__} of {len(value)} values"
    return str(value)


def copied(value):
    """Return a tree with copies of its arrays."""
    if isinstance(value, dict):
        return {name: copied(part) for name, part in value.items()}
    if isinstance(value, list):
        return [copied(part) for part in value]
    return value.copy() if isinstance(value, np.ndarray) else value


def in_form(value, form):
    """Return the arguments of a call in their form: float64 arrays become float32 for "float32"."""
    if form != "float32":
        return value
    if isinstance(value, dict):
        return {name: in_form(part, form) for name, part in value.items()}
    if isinstance(value, list):
        return [in_form(part, form) for part in value]
    is_float = isinstance(value, np.ndarray) and value.dtype == np.float64
    return value.astype(np.float32) if is_float else value
