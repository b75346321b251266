"""The list of commands, and `vitnp COMMAND` in place of `python -m vitnp.COMMAND`."""

import subprocess
import sys
from pathlib import Path

import pytest

import vitnp
from vitnp import __main__ as commands

ROOT = Path(vitnp.__file__).parents[1]


def call(*words):
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("arguments", ([], ["--help"], ["-h"]))
def test_each_command_has_a_line_that_fits_a_terminal(arguments, capsys):
    assert commands.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 80
    listed = dict(line.split(maxsplit=1) for line in lines if line.startswith("  "))
    assert list(listed) == sorted(listed)
    assert listed.keys() >= {"train", "pretrain", "evaluate", "predict", "visualize", "data",
                             "gradcheck", "bench", "study"}
    assert all(purpose.endswith(".") for purpose in listed.values())


def test_what_is_no_command_is_not_listed():
    """vit and loop have functions to call, but no main."""
    assert not {"vit", "model", "__main__", "__init__", "loop", "worker"} & commands.find().keys()


@pytest.mark.parametrize("name", commands.find())
def test_a_command_answers_as_its_module_does(name):
    short = call(sys.executable, "-m", "vitnp", name, "--help")
    long = call(sys.executable, "-m", f"vitnp.{name}", "--help")
    assert short.returncode == long.returncode == 0, short.stderr + long.stderr
    assert short.stdout == long.stdout and short.stderr == ""


def test_the_listing_imports_no_command():
    code = ("import sys; from vitnp import __main__ as commands; commands.main([]); "
            "assert not {'vitnp.train', 'vitnp.visualize', 'matplotlib'} & sys.modules.keys()")
    done = call(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", (["trian"], ["vit"], ["--epochs", "1"], ["__main__"], ["a.b"]))
def test_an_unknown_command_is_refused_in_one_line(words):
    done = call(sys.executable, "-m", "vitnp", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: there is no command {words[0]!r}; possible are bench, ")
    assert done.stderr.count("\n") == 1


def test_what_a_command_refuses_is_passed_on():
    done = call(sys.executable, "-m", "vitnp", "train", "--epochs", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --epochs is 0")
