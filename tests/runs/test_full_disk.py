"""A disk that really fills up while a run trains, and checkpoints that are damaged at random."""

import os
import random
import shutil
import subprocess
import sys

import pytest
from training.test_resume import COMMAND, check_equal_runs, train

pytestmark = pytest.mark.slow
FULL = 28_000_000       # bytes of the small disk: enough for the check before training


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of a run of COMMAND that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    process = train(folder, *COMMAND, "--out", "run")
    assert process.communicate() and process.returncode == 0
    return folder / "run"


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of FULL bytes in memory, where this process may."""
    if shutil.which("mount") is None:
        pytest.skip("no command mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={FULL}", "tmpfs", disk],
                          capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this process may not mount a file system")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk, left):
    """Fill a disk up to `left` bytes."""
    with open(disk / "filler", "wb", buffering=0) as file:
        for piece in (65_536, 4_096):
            while os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize >= left + piece:
                file.write(bytes(piece))


@pytest.mark.parametrize("left", [0, 4_096, 100_000, 300_000, 500_000])
def test_a_disk_that_fills_up_while_a_run_trains(small_disk, whole, left):
    """It stops in one line, and goes on to the bit once there is room."""
    process = train(small_disk, *COMMAND, "--out", "run")
    for line in process.stderr:
        if line.startswith("epoch 1/"):
            break
    fill(small_disk, left)
    printed, shown = process.communicate()
    if process.returncode == 0:
        pytest.skip("the run was over before the disk was full")
    assert process.returncode == 2 and printed == "", shown
    assert shown.splitlines()[-1].startswith("error: ") and "Traceback" not in shown
    assert "cannot be written" in shown and "--resume run" in shown
    (small_disk / "filler").unlink()
    process = train(small_disk, "--resume", "run")
    _, shown = process.communicate()
    assert process.returncode == 0, shown
    check_equal_runs(whole, small_disk / "run")


def test_a_full_disk_is_found_before_training(small_disk):
    fill(small_disk, 200_000)
    process = train(small_disk, *COMMAND, "--out", "run")
    printed, shown = process.communicate()
    assert process.returncode == 2 and printed == "" and "epoch 1" not in shown
    assert "MB are free" in shown or "No space left" in shown


def test_twenty_checkpoints_cut_or_flipped_at_random(tmp_path, whole):
    """The damage is found by the checksum, and the run goes on from the checkpoint before."""
    numbers = random.Random(0)
    for number in range(20):
        run = tmp_path / f"run-{number}"
        process, epoch = train(tmp_path, *COMMAND, "--out", run.name), numbers.randint(1, 3)
        for line in process.stderr:
            if line.startswith(f"epoch {epoch}/"):
                break
        process.kill()
        process.communicate()
        path = run / "checkpoint.safetensors"
        if not path.exists():                   # killed between two renamings
            path = run / "previous.safetensors"
        data = bytearray(path.read_bytes())
        if numbers.random() < 0.5:
            data = data[:numbers.randrange(len(data))]
        else:
            data[numbers.randrange(len(data))] ^= 1 << numbers.randrange(8)
        path.write_bytes(data)
        done = subprocess.run([sys.executable, "-m", "vitnp.train", "--resume", run.name],
                              cwd=tmp_path, capture_output=True, text=True, check=False)
        if path.name == "checkpoint.safetensors":
            assert done.returncode == 0, done.stderr
            assert "is damaged" in done.stderr
            check_equal_runs(whole, run)
