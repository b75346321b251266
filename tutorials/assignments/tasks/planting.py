"""Planted mistakes as text: pairs of right and wrong lines, and how they are put into a source."""

import re
from functools import cache
from pathlib import Path

from vitnp.errors import Error

BUGS = Path(__file__).parent / "bugs.txt"


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


@cache
def planted():
    """Return what can be drawn for the network: names for the same thing, and planted mistakes.

    The latter are a dict exercise → list of lists of pairs (right text, wrong text).
    """
    first, _, rest = BUGS.read_text(encoding="utf-8").partition("\n\n")
    names = [tuple(line.removeprefix("names: ").split(", ")) for line in first.splitlines()]
    mistakes = {}
    for head, pairs in read(rest):
        mistakes.setdefault(head, []).append(pairs)
    return names, mistakes
