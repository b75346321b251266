"""Where the time of a step goes: each layer's own time, without that of the layers within it."""

import collections
import contextlib
import dataclasses
import functools
import types
from unittest import mock

from vitnp import kernels, networks, params
from vitnp.backend import pick_device
from vitnp.bench import cases, ours, timing
from vitnp.parallel import lanes
from vitnp.training import steps

# Functions outside the layers: their own time is what the layers in them leave over
OUTSIDE = (("the whole network", lanes, "loss_and_gradients"),
           ("the whole network", lanes, "logits"),
           ("adding gradients", params, "add"), ("clipping and AdamW", steps, "update"),
           ("clipping and AdamW", steps, "update_fused"))


def profile(setting, seconds):
    """Return the milliseconds of a step in one lane, and those of each part, longest first."""
    config, _ = cases.CASES[setting.case]
    images, labels = cases.inputs(config, setting.batch_size)
    xp = pick_device(setting.device)
    timed = timer(timing.clock(xp))
    chosen = kernels.choose(setting.ops, xp, setting.precision)
    ops = networks.layers_of(config, chosen, setting.precision)
    ops = dataclasses.replace(ops, **{
        name: timed_layer(timed, name, layer) for name, layer in vars(ops).items()})
    with contextlib.ExitStack() as stack:
        for part, module, name in OUTSIDE:
            function = timed(getattr(module, name), part, "other")
            stack.enter_context(mock.patch.object(module, name, function))
        one_lane = dataclasses.replace(setting, threads=1)
        step, _, _ = ours.prepare(config, images, labels, one_lane, ops)
        step()
        timed.table.clear()
        taken = timing.take_steps(step, seconds)
    return {"milliseconds": 1000 * sum(taken) / len(taken),
            "parts": parts(timed.table, len(taken))}


def timer(now):
    """Return timed(function, part, direction), which adds a function's own time to timed.table."""
    table, running = collections.Counter(), []      # running: [direction, seconds of inner calls]

    def timed(function, part, direction):
        @functools.wraps(function)
        def measured(*arguments, **options):
            # heads.split and merge belong to the direction in which they are called
            current = direction or (running[-1][0] if running else "forward")
            running.append([current, 0.0])
            began = now()
            try:
                result = function(*arguments, **options)
            finally:
                elapsed = now() - began
                _, inner = running.pop()
                if running:
                    running[-1][1] += elapsed
            label = part if part != "linear" else linear_label(current, arguments, result)
            table[label, current] += elapsed - inner
            return result

        return measured

    timed.table = table
    return timed


def timed_layer(timed, name, layer):
    """Return a stand-in for a layer's module, with its public functions timed."""
    functions = {}
    for function_name, function in vars(layer).items():
        public = not function_name.startswith("_") and isinstance(function, types.FunctionType)
        if public and function.__module__ == layer.__name__:
            direction = {"forward": "forward", "backward": "backward"}.get(function_name)
            functions[function_name] = timed(function, name, direction)
    return types.SimpleNamespace(**(vars(layer) | functions))


def linear_label(direction, arguments, result):
    """Return the name of a linear layer with its weight's shape, as "linear 192x768"."""
    weight = arguments[1] if direction == "forward" else result[1]
    return "linear " + "x".join(map(str, weight.shape))


def parts(table, steps):
    """Return a row for each part of a table (part, direction) → seconds of all steps."""
    total, rows = sum(table.values()), []
    for part in {part for part, _ in table}:
        forward, backward, other = (1000 * table[part, direction] / steps
                                    for direction in ("forward", "backward", "other"))
        both = forward + backward + other
        rows.append({"part": part, "forward_ms": forward, "backward_ms": backward,
                     "milliseconds": both, "share": both * steps / (1000 * total)})
    return sorted(rows, key=lambda row: -row["milliseconds"])
