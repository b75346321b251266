"""Trained networks that come along, each in a folder of its name.

It has what a run leaves behind, without moments: best.safetensors, the weights in 16 bits, which
vitnp.load makes 32; config.json and metrics.jsonl of the run; and README.md, which says how it was
trained, how good it is, and under which licence it stands. Such a folder is made of a run by
`python -m tutorials.ship RUN NAME`.
"""

from pathlib import Path

HERE = Path(__file__).parent


def names():
    """Return the names of the networks that come along."""
    return sorted(path.parent.name for path in HERE.glob("*/best.safetensors"))


def holds(path):
    """Tell whether a path is the folder of a network that comes along."""
    return Path(path).parent == HERE
