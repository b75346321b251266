"""The bank of known mistakes: what each of them would give, computed on the same question."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from tutorials.assignments import oracles
from tutorials.assignments.package_copy import library_text
from vitnp.errors import Error

MISTAKES = oracles.HERE / "mistakes"


@dataclass(frozen=True)
class Mistake:
    """A known mistake: its kinds, what the student is told, and the library's text with it."""

    kinds: tuple[str, ...]
    sentence: str
    text: str


def read(text):
    """Return the paragraphs of a file as (head line, pairs (right text, wrong text)).

    The form is told in mistakes/README.md. Raises Error for a line of another form.
    """
    found = []
    for paragraph in re.split(r"\n\n+", text.strip()):
        head, *lines = paragraph.split("\n")
        pairs, signs = [], "+"
        for line in lines:
            if line[:1] not in ("-", "+"):
                raise Error(f"this line begins with neither - nor +: {line!r}")
            if line[0] == "-" and signs == "+":
                pairs.append(([], []))
            signs = line[0]
            pairs[-1][signs == "+"].append(line[1:])
        found.append((head, [("\n".join(right), "\n".join(wrong)) for right, wrong in pairs]))
    return found


def plant(source, pairs):
    """Return a source with each right text replaced with the wrong one.

    Raises Error where a right text does not occur once: the library has changed.
    """
    for right, wrong in pairs:
        if source.count(right) != 1:
            raise Error(f"this occurs {source.count(right)} times, not once: {right!r}")
        source = source.replace(right, wrong)
    return source


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
