"""Damaged checkpoints by the hundred: an Error, or exactly the undamaged arrays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DAMAGED = Path(__file__).with_name("damaged.py")
SHARED = Path(__file__).parent.with_name("data")


@pytest.mark.parametrize(("seed", "count"), [
    (0, 110), pytest.param(1, 2000, marks=pytest.mark.slow)])
def test_damaged_checkpoints_are_refused_or_read_right(tmp_path, seed, count):
    folder = tmp_path / "down" / "here"
    folder.mkdir(parents=True)
    process = subprocess.run([sys.executable, DAMAGED, folder, str(seed), str(count)], cwd=folder,
                             env=os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(SHARED)},
                             capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == 0 and not process.stderr, process.stderr[-5000:]
    counts = json.loads(process.stdout)
    assert sum(sum(kind.values()) for kind in counts.values()) == count
    # Damage that is never found, or a reader that refuses everything, would prove nothing.
    assert all(kind["refused"] for kind in counts.values())
    never = ("typed", "shaped", "other", "special", "pickled")
    assert all(counts[kind]["read"] == 0 for kind in never)
    assert sum(kind["read"] for kind in counts.values()) > count / 30
    assert not any(path.name == "unpickled" for path in tmp_path.rglob("*"))
