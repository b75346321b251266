"""Engines by turns: what they reach, and how two of them compare."""

import contextlib
import dataclasses
import itertools
import statistics
import time

from vitnp.bench import cases, facts, operations, workers
from vitnp.common import progress

SETTLE = 0.25           # seconds in which a library's threads stop waiting busily for more work
IDLE_SHARE = 0.1        # of the time that an engine waits: more processor time is worth a warning
OTHERS_SHARE = 0.1      # of one core, for programs that have nothing to do with the measurement


def measure(setting, rival, seconds, repeats, extras=()):
    """Return facts, results, and with a rival the ratio, of `repeats` rounds of both by turns.

    setting: ours; rival: an engine, or None; seconds, extras: see by_turns.
    """
    settings = [setting]
    if rival:
        settings.append(dataclasses.replace(setting, engine=rival, micro_batch=None))
    report = by_turns(settings, seconds, repeats, extras)
    return report | compared(*report["results"]) if rival else report


def by_turns(settings, seconds, repeats, extras=()):
    """Return facts and results of `repeats` rounds in which each engine has its turn.

    settings: the first one is ours, the others are on its device; seconds: for all rounds of one
    engine; extras: "profile" and "scaling", which are measured for ours in the end.
    """
    with contextlib.ExitStack() as stack:
        ask, prepared = start(stack, settings[0])
        # The device "auto" has been decided now
        settings = [dataclasses.replace(one, device=prepared["device"]) for one in settings]
        engines = [(settings[0], ask, prepared)]
        engines += [(theirs, *start(stack, theirs)) for theirs in settings[1:]]
        machine = ask(do="machine")["machine"]
        rounds, rates = take_turns(engines, seconds, repeats)
        added = {extra: ask(do=extra, seconds=seconds)[extra] for extra in extras}
        if prepared["device"] == "gpu":         # last: the profiler may slow what comes after it
            for _, ask_one, first in engines:
                first |= ask_one(do="launches")
    machine["sgemm_gflops"] = statistics.median([rate["all"] for rate in rates])
    machine["sgemm_one_thread_gflops"] = statistics.median([rate["one"] for rate in rates])
    machine["warnings"] += disturbed([answer for answers in rounds for answer in answers])
    for theirs, answers in zip(engines[1:], rounds[1:], strict=True):
        machine["warnings"] += restless(theirs[0].engine, answers)
    results = [summary(one, first, answers, machine["sgemm_gflops"])
               for (one, _, first), answers in zip(engines, rounds, strict=True)]
    return {"facts": machine, "results": results} | added


def start(stack, setting):
    """Start the worker of a setting, and return its function ask and its first answer."""
    progress.say(f"{setting.engine} prepares")
    process = workers.worker(setting.engine, workers.command_of(setting))
    return stack.enter_context(process)


def take_turns(engines, seconds, repeats):
    """Return the answers of each engine to all rounds, and the rates of matrix products."""
    rounds, rates = [[] for _ in engines], []
    for i in range(repeats):
        speeds = []
        for (setting, ask, _), answers in zip(engines, rounds, strict=True):
            time.sleep(SETTLE if len(engines) > 1 else 0.0)
            began, busy = time.perf_counter(), facts.busy_seconds()
            answer = ask(do="steps", seconds=seconds / repeats)
            others = max(0.0, facts.busy_seconds() - busy - answer["cpu_seconds"])
            answers.append(answer | {"asked_at": began, "answered_at": time.perf_counter(),
                                     "others_cpu_seconds": others})
            rate = setting.batch_size / statistics.fmean(answers[-1]["seconds"])
            speeds.append(f"{setting.engine} {rate:,.1f} images/s")
        progress.say(f"round {i + 1} of {repeats}: {', '.join(speeds)}")
        time.sleep(SETTLE if len(engines) > 1 else 0.0)
        rates.append(engines[0][1](do="sgemm"))
    return rounds, rates


def summary(setting, prepared, answers, sgemm_gflops):
    """Return the figures of one engine as a dict."""
    speeds = [setting.batch_size / statistics.fmean(answer["seconds"]) for answer in answers]
    config, _ = cases.CASES[setting.case]
    executed = operations.of_engine(setting.engine, config, setting.batch_size, setting.mode)
    speed = statistics.median(speeds)
    gflops = executed * speed / setting.batch_size / 1e9
    return dataclasses.asdict(setting) | prepared | {
        "images_per_second": speed, "quartiles": quartiles(speeds), "rounds": speeds,
        "milliseconds": 1000 * setting.batch_size / speed, "gflops": gflops,
        "sgemm_share": gflops / sgemm_gflops,
        # The later rounds' would count the matrices of sgemm too
        "peak_memory_mb": answers[0]["peak_memory_mb"]}


def compared(ours, theirs):
    """Return how many times as many images a second ours takes, of the rounds in pairs."""
    ratios = [a / b for a, b in zip(ours["rounds"], theirs["rounds"], strict=True)]
    return {"ratio": statistics.median(ratios), "ratio_range": [min(ratios), max(ratios)]}


def restless(engine, answers):
    """Return a warning, in a list, where an engine computed while it should have waited."""
    waited = sum(after["asked_at"] - before["answered_at"]
                 for before, after in itertools.pairwise(answers))
    used = sum(answer["idle_cpu_seconds"] for answer in answers[1:])
    if used <= IDLE_SHARE * waited:
        return []
    sentence = (f"{engine} used {used:.1f} s of processor time in the {waited:.1f} s in which it "
                "should have waited; the figures of the others may be too low")
    return [sentence]


def disturbed(answers):
    """Return a warning, in a list, where other programs had processor time in the rounds."""
    taken = sum(answer["answered_at"] - answer["asked_at"] for answer in answers)
    others = sum(answer["others_cpu_seconds"] for answer in answers) / taken
    if others <= OTHERS_SHARE:
        return []
    sentence = (f"other programs kept {others:.1f} cores busy; the figures are too low, and "
                "engines may suffer unequally: measure again when nothing else runs")
    return [sentence]


def quartiles(values):
    """Return the lower and the upper quartile."""
    import numpy as np

    return [float(value) for value in np.percentile(values, (25, 75))]
