"""The bank of known mistakes: what each of them would give, computed on the same question."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from tutorials.assignments.checking import oracles
from tutorials.assignments.sandbox.package_copy import library_text
from tutorials.assignments.tasks.planting import plant, read

MISTAKES = Path(__file__).parent / "mistakes"


@dataclass(frozen=True)
class Mistake:
    """A known mistake: its kinds, what the student is told, and the library's text with it."""

    kinds: tuple[str, ...]
    sentence: str
    text: str


@lru_cache
def known(module):
    """Return the known Mistakes of a module, such as "layers.linear"."""
    source = library_text(module)
    found = []
    for head, pairs in read((MISTAKES / f"{module.rpartition('.')[2]}.txt").read_text("utf-8")):
        kinds, sentence = head.split(": ", 1)
        found.append(Mistake(tuple(kinds.split(", ")), sentence, plant(source, pairs)))
    return tuple(found)


def consequences(mistake, answer, form, side):
    """Return what a mistake gives, a dict name → array, or the text of the error that it raises."""
    question, dy = answer.question, answer.dy
    if form == "float32":
        question = replace(question, arguments=oracles.in_form(question.arguments, form),
                           fixed=tuple(oracles.in_form(list(question.fixed), form)))
        dy = dy if dy is None else oracles.in_form(dy, form)
    with np.errstate(all="ignore"):
        try:
            functions = oracles.library(question, mistake.text)
            if side == "forward":
                return oracles.forward(question, functions)[0]
            return oracles.backward(question, functions, dy)
        except Exception as error:  # noqa: BLE001  a wrong text may raise anything
            return str(error)
