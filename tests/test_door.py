"""What newcomers read first is true: the map, the places of a layer, versions, constraints."""

import ast
import configparser
import re
from pathlib import Path

import pytest

import vitnp

PACKAGE = Path(vitnp.__file__).parent
ROOT = PACKAGE.parent
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
TREE = re.search(r"^```text\n(.*?)^```$", CONTRIBUTING, re.MULTILINE | re.DOTALL)[1]
PLACES = re.findall(r"^\d\. \*\*.*?(?=^\d\. |^Then$)", CONTRIBUTING, re.MULTILINE | re.DOTALL)
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", "utf-8")


def what_it_is(path):
    """Return the first line of a file's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n")[0]


def expected_lines():
    """Return the lines of the tree: each room, and each file that is in no room."""
    files = [path for path in PACKAGE.glob("*.py") if path.name != "__init__.py"]
    rooms = [path for path in PACKAGE.rglob("__init__.py") if path.parent != PACKAGE]
    found = {path.name: what_it_is(path) for path in files}
    found |= {f"{path.parent.relative_to(PACKAGE).as_posix()}/": what_it_is(path) for path in rooms}
    return {f"  {name:<22} {text}" for name, text in found.items()}


def test_the_map_has_every_room_and_file_with_its_docstring():
    """Where this fails, a line of the tree in CONTRIBUTING.md is missing, wrong or too many."""
    lines = [line for line in TREE.splitlines() if line.startswith("  ")]
    assert len(lines) == len(set(lines))
    assert set(lines) == expected_lines()


def test_a_line_of_the_map_is_one_sentence_that_fits():
    for line in expected_lines():
        assert len(line) <= 100, line
        assert line.endswith(".") and ". " not in line, line


def test_each_folder_with_code_is_a_room():
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_the_six_places_of_a_new_layer_are_there_for_the_model():
    """Each names one file, which is there, and has LayerNorm in it."""
    assert len(PLACES) == 6
    for place in PLACES:
        path, = re.findall(r"`((?:vitnp|tests)/\S+)`", place)
        assert "layernorm" in path or "layernorm" in (ROOT / path).read_text("utf-8"), path
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("page", ("CONTRIBUTING.md", "CHANGELOG.md", "README.md"))
def test_what_a_page_links_or_names_is_there(page):
    text = (ROOT / page).read_text("utf-8")
    links = re.findall(r"\]\(((?!https?://|#)[^)#]+)\)", text)
    named = re.findall(r"`((?:vitnp|tests|tutorials|\.ci)/[\w./-]+)`", text)
    assert [name for name in links + named if not (ROOT / name).exists()] == []


def test_one_version_everywhere():
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [vitnp.__version__]
    assert f"\n## {vitnp.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def requirements():
    """Return the names of all packages that .ci/run asks for, with the lowest versions."""
    extras = SETUP["options.extras_require"]
    text = SETUP["options"]["install_requires"] + "".join(
        extras[name] for name in ("test", "book", "browser"))
    return dict(re.findall(r"^([\w-]+)>=([\d.]+)$", text, re.MULTILINE)) | dict.fromkeys(
        ("ruff", "mypy", "build", "setuptools", "cupy-cuda12x", "nvidia-cuda-nvrtc-cu12"), "0")


@pytest.mark.parametrize(("name", "lowest"), requirements().items())
def test_a_new_release_of_what_ci_installs_is_not_taken(name, lowest):
    lines = (ROOT / ".ci/constraints.txt").read_text("utf-8").splitlines()
    bounds = dict(line.split("<=") for line in lines if not line.startswith("#"))
    highest = [int(part) for part in bounds[name].split(".")]
    assert highest >= [int(part) for part in lowest.split(".")]
