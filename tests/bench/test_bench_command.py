"""The command as a user runs it: its JSON, its text, and each mistake as one sentence."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from vitnp.bench import __main__ as bench
from vitnp.bench import cases, compare, facts, report
from vitnp.errors import Error

ENVIRONMENT = os.environ | {"PYTHONWARNINGS": "error"}
TINY = ("--case", "digits", "--mode", "train", "--batch-size", "2", "--threads", "1",
        "--seconds", "0.02", "--repeats", "2")
SETTING = cases.Setting("vitnp", "digits", "predict", threads=1, batch_size=2)


def call(*arguments, **environment):
    """Run the command; returns the finished process."""
    return subprocess.run([sys.executable, "-m", "vitnp.bench", *arguments], capture_output=True,
                          env=ENVIRONMENT | environment, text=True, timeout=120, check=False)


def test_json_has_facts_and_results():
    done = call(*TINY, "--micro-batch", "1", "--profile", "--json", OPENBLAS_L2_SIZE="1024")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"facts", "results", "profile"}
    assert found["facts"]["numpy"] == np.__version__ and found["facts"]["threads"] == 1
    assert any(text.startswith("OPENBLAS_L2_SIZE is set and may halve")
               for text in found["facts"]["warnings"])
    (result,) = found["results"]
    assert (result["engine"], result["case"], result["mode"]) == ("vitnp", "digits", "train")
    assert (result["batch_size"], result["micro_batch"], result["device"]) == (2, 1, "cpu")
    assert len(result["rounds"]) == 2 and result["peak_memory_mb"] > 10
    low, high = result["quartiles"]
    assert 0 < low <= result["images_per_second"] <= high
    assert result["milliseconds"] == pytest.approx(2000 / result["images_per_second"])
    assert result["sgemm_share"] == pytest.approx(
        result["gflops"] / found["facts"]["sgemm_gflops"])
    assert found["profile"]["parts"]
    assert "round 2 of 2" in done.stderr


def test_text_names_the_facts_first():
    done = call(*TINY, "--scaling")
    assert done.returncode == 0, done.stderr
    names = [line.split()[0] for line in done.stdout.splitlines() if line]
    assert names[:4] == ["processor", "numpy", "sgemm", "case"]
    assert names[-11:] == ["varied"] + 3 * ["batch"] + 3 * ["depth"] + 3 * ["tokens"] + ["threads"]


def test_two_engines_are_compared_round_by_round():
    """Ours stands for a rival: it is always there."""
    found = compare.measure(SETTING, "vitnp", seconds=0.02, repeats=2)
    ours, theirs = found["results"]
    low, high = found["ratio_range"]
    ratios = [a / b for a, b in zip(ours["rounds"], theirs["rounds"], strict=True)]
    assert [low, high] == sorted(ratios) and found["ratio"] == pytest.approx(np.mean(ratios))
    assert any(f"{low:.2f} to {high:.2f}" in line for line in report.text(found))


@pytest.mark.parametrize(("changes", "words"), [
    (("--case", "huge"), "--case is 'huge'; possible are digits, cifar-ti"),
    (("--mode", "test"), "--mode is 'test'; possible are train, predict"),
    (("--vs", "keras"), "--vs is 'keras'; possible are torch, torch-compile, jax"),
    (("--device", "tpu"), "--device is 'tpu'; possible are cpu, gpu, auto"),
    (("--threads", "0"), "--threads is 0; it must be a whole number of at least 1"),
    (("--threads", "100000"), "--threads is 100000, but this process may use"),
    (("--batch-size", "0"), "--batch-size is 0"),
    (("--micro-batch", "-1"), "--micro-batch is -1"),
    (("--repeats", "0"), "--repeats is 0"),
    (("--seconds", "0"), "--seconds is 0.0; it must be a number above 0"),
    (("--seconds", "nan"), "--seconds is nan"),
    (("--speed", "1"), "unrecognized arguments: --speed 1"),
])
def test_what_is_not_possible_is_said(changes, words):
    with pytest.raises(Error) as raised:
        bench.main([*TINY, *changes])
    assert words in str(raised.value) and "\n" not in str(raised.value)


def test_case_and_mode_are_needed():
    with pytest.raises(Error, match="required: --case, --mode"):
        bench.main([])


def check_refusal(done, words):
    assert done.returncode == 2 and done.stdout == "", done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and words in last


def test_a_mistake_ends_with_one_sentence():
    done = call(*TINY, "--threads", "0")
    check_refusal(done, "--threads is 0")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed")
def test_without_pytorch_the_command_says_how_to_install_it():
    for engine in ("torch", "torch-compile"):
        done = call(*TINY, "--vs", engine)
        check_refusal(done, "PyTorch is not installed; pip install 'vitnp[bench]'")
        assert done.stderr.count("\n") == 1             # before anything prepares


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_without_a_gpu_the_command_says_why():
    check_refusal(call(*TINY, "--device", "gpu"), "CuPy is not installed")


def test_too_large_a_batch_ends_with_one_sentence():
    """A million million images: 256 TB, more than any process may have."""
    done = call(*TINY, "--batch-size", "1" + 12 * "0")
    check_refusal(done, "memory ran out; try a smaller --batch-size")


def test_an_engine_that_computes_while_it_waits_is_told_on():
    answers = [{"asked_at": start, "answered_at": start + 1.0, "idle_cpu_seconds": 0.01}
               for start in (0.0, 2.0, 4.0)]
    assert compare.restless("jax", answers) == []
    answers[2]["idle_cpu_seconds"] = 1.5
    (warning,) = compare.restless("jax", answers)
    assert warning.startswith("jax used 1.5 s of processor time in the 2.0 s")
    assert compare.restless("jax", answers[2:]) == []           # its time before round 1 is free


def test_other_programs_are_told_on():
    answer = {"asked_at": 0.0, "answered_at": 2.0, "others_cpu_seconds": 0.1}
    assert compare.disturbed([answer]) == []
    (warning,) = compare.disturbed([answer, answer | {"others_cpu_seconds": 2.0}])
    assert warning.startswith("other programs kept 0.5 cores busy; the figures are too low")


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux tells")
def test_busy_time_is_that_of_this_process_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 2})
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    (tmp_path / "stat").write_text("cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 100 20 30 999 999 4 5 6 99 99\n"
                                   "cpu1 9 9 9 9 9 9 9 9 9 9\ncpu2 100 0 0 0 0 0 0 0 0 0\nintr 5\n")
    assert facts.busy_seconds(tmp_path / "stat") == 2.65
    assert facts.busy_seconds(tmp_path / "missing") == 0.0


def test_only_set_variables_are_warned_of():
    assert facts.warnings({"OPENBLAS_NUM_THREADS": "1"}) == []
    (warning,) = facts.warnings({"OPENBLAS_CORETYPE": "Zen"})
    assert warning == ("OPENBLAS_CORETYPE is set and may halve NumPy's speed; unset it for "
                       "measurements")
