"""The contents page says of each chapter what the chapter says of itself."""

import ast
import re

import pytest

from tutorials import run

CONTENTS = (run.TUTORIALS / "README.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| \[(.+)\]\((\S+\.md)\) \| (\d+) \| (.+) \|$",
                  CONTENTS, re.MULTILINE)
LAYERS = dict(re.findall(r"^\| \[`(\w+\.py)`\]\(\.\./vitnp/layers/\1\) \| \[\d+\]\((\S+)\) \|$",
                         CONTENTS, re.MULTILINE))


def read(name):
    return (run.TUTORIALS / name).read_text()


def test_all_chapters_have_a_row():
    assert [int(number) for number, *_ in ROWS] == [*range(20)]
    assert [path.name for path in run.choose()] == [name for _, _, name, _, _ in ROWS]


@pytest.mark.parametrize(("number", "title", "name", "minutes", "needs"), ROWS)
def test_a_row_says_what_its_chapter_says(number, title, name, minutes, needs):
    assert name.startswith(f"{int(number):02}_")
    text = read(name)
    assert text.startswith(f"# {number}. {title}\n")
    said = re.search(r"^\*Needs (.+?)\. About (\d+) minutes", text, re.MULTILINE | re.DOTALL)
    assert said, f"{name} does not begin with *Needs …. About … minutes"
    assert said[2] == minutes
    assert re.findall(r"\d+", said[1]) == re.findall(r"\d+", needs)


def test_each_layer_is_derived_in_a_chapter_or_where_it_stands():
    files = {path.name: path for path in (run.LIBRARY / "vitnp/layers").glob("[!_]*.py")}
    assert set(LAYERS) <= set(files)
    for name in set(files) - set(LAYERS):
        forward, backward = docstrings(files[name])
        assert "Equation: " in forward and "Source: " in forward, f"{name}: what forward computes"
        assert "\n\n" in backward, f"{name}: how backward follows from forward"


def docstrings(path):
    """Return the docstrings of a layer's forward and backward."""
    found = {node.name: ast.get_docstring(node) or "" for node in ast.parse(path.read_text()).body
             if isinstance(node, ast.FunctionDef)}
    return found["forward"], found["backward"]


@pytest.mark.parametrize(("file", "chapter"), LAYERS.items())
def test_the_chapter_of_a_layer_quotes_its_backward(file, chapter):
    quoted = {function for path, function, _ in run.QUOTATION.findall(read(chapter))
              if path == f"vitnp/layers/{file}"}
    assert quoted >= ({"split", "merge"} if file == "heads.py" else {"forward", "backward"})
