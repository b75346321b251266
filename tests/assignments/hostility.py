"""What the tests of hostile submissions share."""

from pathlib import Path

import numpy as np
import pytest

import vitnp
from tutorials.assignments import sandbox
from tutorials.assignments.sandbox import Call, Ref, isolation

FOLDER = Path(__file__).parent / "hostile"
CLONE = Path(vitnp.__file__).parent.parent
HONEST = (CLONE / "vitnp" / "layers" / "layernorm.py").read_text()
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def text(name, **words):
    """Return a hostile submission, the words in braces filled in."""
    source = (FOLDER / f"{name}.py").read_text()
    for word, value in ({"clone": CLONE, "site": isolation.SITE, "neighbours": "/nowhere",
                         "victim": 2**22 - 1, "port": 9} | words).items():
        source = source.replace("{" + word + "}", str(value))
    return source


def strong(level):
    """Return a level of grading's, or skip the test with the reason why it is not to be had."""
    if reason := isolation.reason_against(level):
        pytest.skip(f"{level}: {reason}")
    return level


def run(source, level, *functions, seconds=5.0, memory=1e9):
    """Return the Outcome of LayerNorm's calls, or of those of functions without arguments."""
    x, dy = np.random.default_rng(0).standard_normal((2, 2, 3, 4))
    calls = [Call("vitnp.layers.layernorm", "forward", [x, np.ones(4), np.zeros(4), 1e-6],
                  keep="first", send=(0,)),
             Call("vitnp.layers.layernorm", "backward", [dy, Ref("first", 1)])]
    if functions:
        calls = [Call("vitnp.layers.layernorm", function, []) for function in functions]
    return sandbox.run({"layers/layernorm.py": source}, calls, seconds, memory, level)
