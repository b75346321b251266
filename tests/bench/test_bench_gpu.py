"""The GPU's path on a machine without one: the strict stand-in for CuPy, with a clock's needs."""

import contextlib
import dataclasses
import importlib.util
import sys
from types import SimpleNamespace

import pytest
import strict_cupy

from vitnp import backend
from vitnp.bench import cases, compare, launches, ours, report, timing, worker

SETTING = cases.Setting("vitnp", "digits", "train", threads=2, batch_size=4, device="gpu",
                        ops="textbook")
CONFIG, _ = cases.CASES["digits"]


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """Let the device "gpu" be the stand-in, and return a list that grows with each wait for it."""
    calls = []
    runtime = SimpleNamespace(getDeviceProperties=lambda number: {"name": b"Stand-in"})
    device = SimpleNamespace(synchronize=lambda: calls.append("wait"))
    cuda = SimpleNamespace(Device=lambda: device, runtime=runtime)
    pool = SimpleNamespace(total_bytes=lambda: 7_000_000)
    for name, value in (("cuda", cuda), ("get_default_memory_pool", lambda: pool),
                        ("__version__", "14.0")):
        monkeypatch.setattr(strict_cupy, name, value, raising=False)
    monkeypatch.setattr(backend, "load_cupy", lambda: strict_cupy)
    monkeypatch.setattr(timing, "GPU_SIDE", 8)
    return calls


@pytest.mark.parametrize("mode", cases.MODES)
def test_a_step_waits_for_the_gpu(mode, waits):
    setting = dataclasses.replace(SETTING, mode=mode)
    step, facts, peak = ours.prepare(CONFIG, *cases.inputs(CONFIG, 4), setting)
    before = len(waits)
    step()
    assert len(waits) == before + 1
    assert facts["device"] == "gpu" and facts["micro_batch"] == 4 and peak() == 7_000_000


def test_the_worker_answers_on_the_gpu(waits):
    step, _, peak = ours.prepare(CONFIG, *cases.inputs(CONFIG, 4), SETTING)
    answers = {do: worker.answer({"do": do, "seconds": 0.01}, SETTING, step, peak)
               for do in ("steps", "machine", "sgemm", "profile")}
    assert answers["steps"]["peak_memory_mb"] == 7.0
    assert answers["machine"]["machine"]["gpu"] == "Stand-in"
    assert answers["sgemm"]["all"] == answers["sgemm"]["one"] > 0
    parts = {row["part"] for row in answers["profile"]["profile"]["parts"]}
    assert {"linear 64x256", "adding gradients", "clipping and AdamW"} <= parts


def fake_torch(activities):
    """Return a module like PyTorch, whose profiler sees three kernels and two calls on the CPU."""
    kinds = [SimpleNamespace(device_type=kind) for kind in ("cuda", "cpu", "cuda", "cuda", "cpu")]
    seen = SimpleNamespace(events=lambda: kinds)
    profiler = SimpleNamespace(ProfilerActivity=SimpleNamespace(CUDA="gpu's"),
                               supported_activities=lambda: activities,
                               profile=lambda activities: contextlib.nullcontext(seen))
    device_types = SimpleNamespace(DeviceType=SimpleNamespace(CUDA="cuda"))
    return SimpleNamespace(profiler=profiler, autograd=device_types)


@pytest.mark.parametrize(("found", "activities", "expected"), [
    (True, {"gpu's"}, 3), (True, {"cpu's"}, None), (False, {"gpu's"}, None)])
def test_launches_are_what_the_profiler_sees_on_the_gpu(monkeypatch, found, activities, expected):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found or None)
    monkeypatch.setitem(sys.modules, "torch", fake_torch(activities))
    steps = []
    assert launches.of_step(lambda: steps.append(1)) == expected
    assert len(steps) == (expected is not None)


def test_the_report_of_a_gpu_tells_the_launches(waits, monkeypatch):
    @contextlib.contextmanager
    def here(engine, command):
        step, facts, peak = ours.prepare(CONFIG, *cases.inputs(CONFIG, 4), SETTING)
        yield lambda **request: {"idle_cpu_seconds": 0.0} | worker.answer(
            request, SETTING, step, peak), facts

    monkeypatch.setattr(compare.workers, "worker", here)
    for count, words in ((17, "17 (vitnp)"), (None, "not counted (vitnp)")):
        monkeypatch.setattr(launches, "of_step", lambda step, count=count: count)
        found = compare.measure(SETTING, None, 0.02, 2)
        assert found["results"][0]["launches"] == count
        assert f"kernels and copies that a step starts: {words}" in report.text(found)
