"""Worker processes: their answers, and their end in one sentence."""

import dataclasses
import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from vitnp.bench import cases, timing, worker, workers
from vitnp.errors import Error

SETTING = cases.Setting("vitnp", "digits", "predict", threads=1, batch_size=2)
READY = "print('{}', flush=True); input(); "


@pytest.mark.parametrize(("code", "words"), [
    ("import os; os.kill(os.getpid(), 9)", "of torch ended, most likely because memory ran out"),
    ("raise MemoryError('Unable to allocate 9 TiB')", "try a smaller --batch-size"),
    ("raise RuntimeError(\"DefaultCPUAllocator: can't allocate memory\")", "memory ran out"),
    ("raise KeyError('x')", "the process of torch ended with exit code 1: KeyError: 'x'"),
    ("import os; os.kill(os.getpid(), 15)", "ended by signal 15: it gave no reason"),
    ("print('half a line', end='')", "ended with exit code 0"),
    ("import sys; sys.exit('error: first')", "ended with exit code 1: error: first"),
    ("import sys; print('error: no good', file=sys.stderr); sys.exit(2)", "^no good$"),
])
@pytest.mark.parametrize("before", ["", READY], ids=["at once", "when asked"])
def test_a_worker_that_dies_gives_a_sentence(code, words, before):
    command = [sys.executable, "-c", before + code]
    with (pytest.raises(Error, match=words) as raised,
          workers.worker("torch", command) as (ask, _)):
        ask(do="steps", seconds=1.0)
    assert "\n" not in str(raised.value)


def test_a_worker_that_does_not_go_is_killed(monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 0.05)
    code = "import time; print('{}', flush=True); time.sleep(600)"
    with workers.worker("torch", [sys.executable, "-c", code]) as (_, first):
        assert first == {}


def test_a_worker_answers_line_by_line():
    with workers.worker("vitnp", workers.command_of(SETTING)) as (ask, first):
        assert first["device"] == "cpu" and first["parameters"] == 202186
        for _ in range(2):
            answer = ask(do="steps", seconds=0.01)
            assert min(answer["seconds"]) > 0 and answer["idle_cpu_seconds"] >= 0
        rates = ask(do="sgemm")
        assert rates["all"] > 0 and rates["one"] > 0
        machine = ask(do="machine")["machine"]
        assert machine["numpy"] == np.__version__ and machine["cpu"] and machine["blas"]


def test_what_a_library_prints_does_not_come_between_the_answers():
    """The worker's own stdout is moved away; what is printed goes to stderr."""
    code = ("import os, sys; from vitnp.bench import worker\n"
            "kept = worker.engine\n"
            "worker.engine = lambda name: (print('noise', flush=True), os.system('echo noise'), "
            "kept(name))[-1]\n"
            "worker.main(sys.argv[1:])")
    done = subprocess.run([sys.executable, "-c", code, json.dumps(dataclasses.asdict(SETTING))],
                          input="", capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == "noise\nnoise\n"
    assert json.loads(done.stdout)["device"] == "cpu"


@pytest.mark.parametrize(("name", "words"), [
    ("torch", "PyTorch is not installed; pip install 'vitnp\\[bench\\]'"),
    ("torch-compile", "PyTorch is not installed"),
    ("jax", "JAX is not installed"),
])
def test_an_engine_that_is_not_installed_is_said(monkeypatch, name, words):
    monkeypatch.setattr(importlib.util, "find_spec", lambda library: None)
    with pytest.raises(Error, match=words):
        worker.engine(cases.Setting(name, "digits", "train", 1, 8))


def test_steps_are_taken_until_the_time_is_over():
    calls = []
    assert len(timing.take_steps(lambda: calls.append(1), 0.01)) == len(calls) > 1
    assert len(timing.take_steps(calls.clear, 0.0)) == 1


def test_memory_is_counted_in_bytes():
    array = np.ones(2**23)                              # 64 MiB
    assert timing.peak_bytes() > array.nbytes
