"""The bank of known mistakes: what each of them would give, computed on the same question."""

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np

from tutorials.assignments.checking import oracles
from tutorials.assignments.sandbox.package_copy import library_text
from tutorials.assignments.tasks.planting import plant, read
from vitnp.errors import Error

MISTAKES = Path(__file__).parent / "mistakes"
END_OF_SOURCE = "\n====\n"


@dataclass(frozen=True)
class Mistake:
    """A known mistake: its kinds, what the student is told, a right source, and what is planted."""

    kinds: tuple[str, ...]
    sentence: str
    source: str
    pairs: tuple

    @property
    def text(self):
        """The source with the mistake."""
        return plant(self.source, self.pairs)


@lru_cache
def known(module):
    """Return the known Mistakes of a module, such as "layers.linear".

    They are planted in the library's text, and those of NAME_steps.txt in a text that is written
    as students do, which stands at the head of that file.
    """
    name, found = module.rpartition(".")[2], []
    for path in (MISTAKES / f"{name}_steps.txt", MISTAKES / f"{name}.txt"):
        if not path.exists():
            continue
        source, end, paragraphs = path.read_text("utf-8").partition(END_OF_SOURCE)
        if not end:
            source, paragraphs = library_text(module), source
        for head, pairs in read(paragraphs):
            kinds, sentence = head.split(": ", 1)
            plant(source, pairs)                # the bank must follow the library
            found.append(Mistake(tuple(kinds.split(", ")), sentence, source, tuple(pairs)))
    return tuple(found)


@lru_cache
def doubles(module):
    """Return pairs of known Mistakes that can be planted in one text, as (first, second, both)."""
    found = []
    for one, other in combinations(known(module), 2):
        if one.source == other.source and one.sentence != other.sentence:
            both = Mistake(one.kinds + other.kinds, "", one.source, one.pairs + other.pairs)
            try:
                both.text  # noqa: B018
            except Error:
                continue
            found.append((one, other, both))
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
