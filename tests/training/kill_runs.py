"""Kill runs on folders of pictures at random moments, resume them, and compare to the bit.

    python tests/training/kill_runs.py [KILLS] [SEED]

Each run packs the pictures, trains on them or pre-trains, and is sent SIGKILL, SIGTERM, SIGHUP or
SIGUSR1 at a random moment from its start to its end, several times. Prints a line a run, and ends
with how many kills there were; exits with 1 where a run differs from one that nothing disturbed.
"""

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from vitnp.checkpoint import native

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
COMMON = ("--data", "folder", "--image-size", "8", "--model", "micro/4", "--epochs", "4",
          "--batch-size", "16", "--crop-padding", "1", "--flip", "0.5", "--threads", "1")
KINDS = {"train": ("vitnp.train", "set", ("--workers", "2", "--dropout", "0.1")),
         "packed": ("vitnp.train", "packed", ("--ema", "0.9")),
         "pretrain": ("vitnp.pretrain", "set", ("--workers", "1"))}


def write_set(folder):
    """Write two classes of 100 small JPEGs."""
    for k, name in enumerate(("ant", "cat")):
        (folder / name).mkdir(parents=True)
        for i in range(100):
            pixels = np.random.default_rng([k, i]).integers(0, 256, (60, 80, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02}.jpg")


def call(folder, module, *arguments):
    return subprocess.Popen([sys.executable, "-m", module, *map(str, arguments)], cwd=folder,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(folder, module, *arguments):
    process = call(folder, module, *arguments)
    said = process.communicate()[1]
    if process.returncode:
        raise RuntimeError(said)


def killed(folder, numbers, seconds, module, first, again, out):
    """Start, kill and resume a command until it ends by itself; return the kills."""
    kills = []
    while True:
        arguments = again if (folder / out / "config.json").exists() else first
        process = call(folder, module, *arguments)
        try:
            process.wait(numbers.uniform(0.0, 1.1 * seconds))
        except subprocess.TimeoutExpired:
            number = numbers.choice(SIGNALS)
            process.send_signal(number)
            kills.append(number.name)
        said = process.communicate()[1]
        if process.returncode == 0:
            return kills
        if process.returncode not in {-number for number in SIGNALS} | {
                128 + number for number in SIGNALS}:
            raise RuntimeError(said)
        if len(kills) > 8:
            seconds *= 2            # let it come to its end


def same(one, other):
    """Tell whether two runs hold the same tensors to the bit."""
    for name in ("checkpoint.safetensors", "best.safetensors"):
        (tensors, _), (others, _) = (native.load(run / name) for run in (one, other))
        if tensors.keys() != others.keys() or any(
                not np.array_equal(tensor, others[key]) for key, tensor in tensors.items()):
            return False
    return True


def main(most, seed):
    """Kill until there were so many kills, each kind in turn."""
    numbers, total, wrong = random.Random(seed), 0, 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_set(folder / "set")
        began = time.monotonic()
        finish(folder, "vitnp.data", "pack", "set", "packed", "--image-size", "8")
        packing, whole = time.monotonic() - began, {}
        for kind, (module, data, options) in KINDS.items():
            began = time.monotonic()
            finish(folder, module, *COMMON, *options, "--data-dir", data, "--out", f"{kind}-whole")
            whole[kind] = time.monotonic() - began
        number = 0
        while total < most:
            kind = list(KINDS)[number % len(KINDS)]
            module, data, options = KINDS[kind]
            out, kills = f"{kind}-{number}", []
            if kind == "packed":
                data = f"pixels-{number}"
                kills += killed(folder, numbers, packing, "vitnp.data", *[(
                    "pack", "set", data, "--image-size", "8")] * 2, data)
            kills += killed(folder, numbers, whole[kind], module, (
                *COMMON, *options, "--data-dir", data, "--out", out), ("--resume", out), out)
            right = same(folder / f"{kind}-whole", folder / out)
            wrong += not right
            total, number = total + len(kills), number + 1
            print(out, "equal" if right else "DIFFERS", *kills, flush=True)
            shutil.rmtree(folder / out)
    print(f"{total} kills of {number} runs, {wrong} of them differ")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main(*map(int, (*sys.argv[1:], *("60", "0")[len(sys.argv) - 1:]))))
