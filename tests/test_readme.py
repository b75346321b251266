"""What README shows: its example runs, its loop is the page's, its commands exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
CODE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = sorted(set(re.findall(r"^\| `vitnp ([^`]+)`", README, re.MULTILINE)))


def test_it_is_short():
    assert len(README.splitlines()) < 150


def test_the_example_prints_what_it_says():
    done = subprocess.run([sys.executable, "-c", CODE[0]], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    said = done.stdout.splitlines()
    assert said[0] == "[7 3]" and float(said[1]) > 0


def test_the_loop_is_that_of_the_page():
    page = (ROOT / "tutorials/train_by_hand.py").read_text("utf-8")
    assert all(line.strip() in page for line in CODE[1].splitlines())


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_and_its_options_are_there(command):
    """The options that a row names are in the command's help."""
    name, *words = shlex.split(command.replace("…", ""))
    done = subprocess.run([sys.executable, "-m", "vitnp", name, "--help"], capture_output=True,
                          text=True, check=True)
    for word in words:
        if word.startswith("--"):
            assert word in done.stdout, word


def test_pictures_are_predicted_and_explored_as_shown(tmp_path):
    lines = re.findall(r"^    \.venv/bin/python (-m vitnp\.(?:predict|visualize).*)$", README,
                       re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        line = line.replace("*.png", "seven.png").replace("page.html", str(tmp_path / "page.html"))
        done = subprocess.run([sys.executable, *shlex.split(line)], cwd=ROOT, capture_output=True,
                              text=True, check=True)
        if "vitnp.predict" in line:
            assert done.stdout.splitlines()[1].endswith("%  7"), done.stdout
    assert (tmp_path / "page.html").stat().st_size > 10_000
