"""Networks that come along, each in a folder of its name, as a run leaves it, without the moments.

best.safetensors has the weights, in 16 bits, which vitnp.load makes 32; config.json and
metrics.jsonl are those of the run; README.md says how it was trained and how good it is, and under
which licence it stands. `python -m tutorials.ship RUN NAME` makes such a folder of a run.
"""

from pathlib import Path

HERE = Path(__file__).parent


def names():
    """Return the names of the networks that come along."""
    return sorted(path.parent.name for path in HERE.glob("*/best.safetensors"))


def holds(path):
    """Tell whether a path is the folder of a network that comes along."""
    return Path(path).parent == HERE
