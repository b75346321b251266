"""One engine in a process of its own: it prepares, says so, and takes steps when it is asked to.

    python -m vitnp.bench.worker '{"engine": "vitnp", "case": "digits", …}'

The argument is a cases.Setting. Each line on stdin is a request, each line on stdout its answer,
both in JSON; the first answer says that the engine is ready.
"""

import dataclasses
import importlib
import importlib.util
import json
import os
import sys
import time

from vitnp.bench import cases, timing
from vitnp.common import command

WARM_UP_STEPS = 2


def main(arguments):
    """Answer requests until there are no more."""
    setting = cases.Setting(**json.loads(arguments[0]))
    # What libraries print must not come between the answers
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        serve(setting, sys.stdin, answers)
    return 0


def serve(setting, requests, answers):
    """Prepare the engine of a setting, and answer each line of `requests`."""
    config, _ = cases.CASES[setting.case]
    prepare = engine(setting)
    step, facts, peak = prepare(config, *cases.inputs(config, setting.batch_size), setting)
    for _ in range(WARM_UP_STEPS):
        step()
    tell(answers, facts)
    idle_since = time.process_time()
    for line in requests:
        idle = time.process_time() - idle_since
        tell(answers, {"idle_cpu_seconds": idle} | answer(json.loads(line), setting, step, peak))
        idle_since = time.process_time()


def tell(stream, fields):
    """Write one answer."""
    print(json.dumps(fields), file=stream, flush=True)


def engine(setting):
    """Return the function that prepares an engine, or raise Error where it is not installed."""
    name = setting.engine
    if name in cases.STAGES:
        from vitnp.parallel import lanes

        if name == "vitnp":
            lanes.prepare_process()
        elif name == "vitnp-memory":
            lanes.keep_memory()
        from vitnp.bench import ours

        return ours.prepare if name == "vitnp" else without_lanes
    library = cases.library_of(name)
    return importlib.import_module(f"vitnp.bench.{library}_vit").prepare


def without_lanes(config, images, labels, setting):
    """Prepare this library to take the whole batch at once, with all threads of BLAS."""
    from threadpoolctl import threadpool_limits

    from vitnp.bench import ours

    threadpool_limits(setting.threads, user_api="blas")
    one_lane = dataclasses.replace(setting, threads=1, micro_batch=setting.batch_size)
    return ours.prepare(config, images, labels, one_lane)


def answer(request, setting, step, peak):
    """Return the answer to a request: {"do": "steps", "sgemm", …, "seconds": number}."""
    if request["do"] == "launches":
        from vitnp.bench import launches

        return {"launches": launches.of_step(step)}
    if request["do"] == "steps":
        before = time.process_time()
        seconds = timing.take_steps(step, request["seconds"])
        return {"seconds": seconds, "cpu_seconds": time.process_time() - before,
                "peak_memory_mb": peak() / 1e6}
    from vitnp.backend import pick_device
    from vitnp.bench import facts, profiling, scaling

    xp = pick_device(setting.device)
    if request["do"] == "machine":
        return {"machine": facts.machine(xp, setting.threads)}
    if request["do"] == "sgemm":
        return timing.sgemm(xp, setting.threads)
    measure = {"profile": profiling.profile, "scaling": scaling.scaling}[request["do"]]
    return {request["do"]: measure(setting, request["seconds"])}


if __name__ == "__main__":
    command.run(main)
