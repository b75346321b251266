"""Damaged data files by the hundred: an Error or a right result, in bounded memory and time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DAMAGE = Path(__file__).with_name("damage.py")
WRITTEN = {"images", "a.npz", "whole.webp", "cifar-10-binary.tar.gz", "cifar-100-binary.tar.gz",
           "batches.meta.txt", "fine_label_names.txt", "train.bin", "test.bin", "test_batch.bin",
           *(f"data_batch_{number}.bin" for number in range(1, 6)),
           *(f"a{suffix}" for suffix in (".png", ".jpg", ".gif", ".webp", ".tif", ".bmp", ".ppm"))}


@pytest.mark.parametrize(("seed", "count"), [
    (0, 100), pytest.param(1, 1000, marks=pytest.mark.slow)])
def test_damaged_files_are_refused_or_read_right(tmp_path, seed, count):
    folder = tmp_path / "some" / "folders" / "further" / "down"
    folder.mkdir(parents=True)
    process = subprocess.run([sys.executable, DAMAGE, folder, str(seed), str(count)], cwd=folder,
                             env=os.environ | {"TMPDIR": str(folder)}, capture_output=True,
                             text=True, timeout=120, check=False)
    assert process.returncode == 0 and not process.stderr, process.stderr[-5000:]
    counts = json.loads(process.stdout)
    assert sum(sum(kind.values()) for kind in counts.values()) == count
    # Damage that is never found, or a reader that refuses everything, would prove nothing.
    assert all(kind["refused"] for kind in counts.values())
    assert sum(kind["read"] for kind in counts.values()) > count / 10
    written = [path for path in tmp_path.rglob("*") if not path.is_dir()]
    assert {path.name for path in written} <= WRITTEN
    assert all(folder in path.parents for path in written)
    assert not any("climbed" in path.name or "unpickled" in path.name
                   for path in tmp_path.rglob("*"))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_the_limit_of_memory_holds():
    code = "import damage; damage.limit_memory(); bytearray(2 * damage.ROOM)"
    process = subprocess.run([sys.executable, "-c", code], cwd=DAMAGE.parent, capture_output=True,
                             text=True, timeout=60, check=False)
    assert "MemoryError" in process.stderr
