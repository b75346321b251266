"""Check and measure vitnp on a machine with a GPU, in one call.

    python -m tests.gpu_check [--minutes 5] [--out gpu_check] [--device cpu]

First what is right: products at each precision, gradients, kernels against their textbook twins
and on arrays of more than 2^31 numbers, steps against the CPU's, the commands, a GPU that is full.
Then how fast: Ti/16, S/16 and B/16 beside PyTorch, where that is installed, at equal precision.
Each step has its own limit of time, and those after a failure go on. Prints a table; --out gets
results.json and the whole output of each step. It needs vitnp and CuPy. --device cpu is a
rehearsal, in which all is small and nothing is measured that matters.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parent
# By what matters most: the case, its batch, and the layers and precision
SIZES = (("b16-224", 64), ("ti16-224", 256), ("s16-224", 128))
ROUNDS = (("fused", "tf32"), ("fused", "bfloat16"), ("fused", "float32"), ("textbook", "float32"))


def machine(xp, small):
    """Measure what all else depends on: products at each precision, copies, launches."""
    from vitnp import backend
    from vitnp.kernels import products

    rng, n = np.random.default_rng(0), 64 if small else 8192
    found = {"errors": {}, "tflops": {}}
    if xp is not np:
        facts = xp.cuda.runtime.getDeviceProperties(0)
        found |= {"gpu": facts["name"].decode(), "cupy": xp.__version__,
                  "driver": xp.cuda.runtime.driverGetVersion()}
    shapes = {"2d": (256, 256), "4d": (3, 4, 65, 64)}
    bounds = {"float32": (0, 1e-5), "bfloat16": (1e-4, 1e-2), "tf32": (1e-6, 2e-3)}
    square = xp.asarray(rng.standard_normal((n, n), np.float32))
    for precision, (low, high) in bounds.items():
        if precision == "tf32":
            if xp is np or small:
                break
            backend.use_tf32(xp)
        factor = products.shorten if precision == "bfloat16" else products.same
        for name, shape in shapes.items():
            a = rng.standard_normal(shape, np.float32)
            exact = a.astype("d") @ a.astype("d").swapaxes(-1, -2)
            b = factor(xp.asarray(a))
            y = backend.to_host(products.product(b, b.swapaxes(-1, -2)))
            error = float(np.linalg.norm(y - exact) / np.linalg.norm(exact))
            found["errors"][f"{precision} {name}"] = error
            need(low <= error <= high, f"a product's error in {precision}, {name}: {error:.1e}")
        a = factor(square)
        rate = 2 * n**3 / seconds(xp, partial(products.product, a, a)) / 1e12
        found["tflops"][precision] = round(rate, 2)
    big = xp.zeros(2**10 if small else 2**29, np.float32)
    other, one = xp.empty_like(big), xp.zeros(32, np.float32)
    copied = seconds(xp, partial(xp.copyto, other, big))
    return found | {"copy_TB_s": round(2 * big.nbytes / copied / 1e12, 3),
                    "launch_us": round(1e6 * seconds(xp, lambda: xp.add(one, 1, out=one), 500), 2)}


def gradients(xp, small):
    """Check the gradients of all layers, plain and fused, in a few directions."""
    from vitnp import gradcheck, kernels
    from vitnp.gradcheck import cases
    from vitnp.layers import textbook

    gradcheck.DIRECTIONS, gradcheck.ENTRIES, found = 1, 2, {}
    for name, ops in {"textbook": textbook, "fused": kernels.ops()}.items():
        results = [result for case in cases.all_cases(xp, ops)
                   if not small or case.name in ("linear", "softmax", "layernorm")
                   for result in gradcheck.check(replace(case, sampled=True),
                                                 np.random.default_rng(1))]
        failed = [f"{result.case} {result.argument}" for result in results if not result.passed]
        need(not failed, f"gradients of {', '.join(failed[:5])}")
        found[name] = len(results)
    return found


def twins(xp, small):
    """Compare fused layers with the textbook's on the CPU, also on very large arrays."""
    from vitnp import backend, kernels
    from vitnp.layers import textbook

    rng, worst = np.random.default_rng(0), {}
    for dtype, bound in (("float32", 1e-5), ("float64", 1e-12)):
        for shape in ((1, 1), (3, 5), (2, 9, 33), (300, 65), (5, 197), (70, 768)):
            n, x = shape[-1], (3 * rng.standard_normal(shape)).astype(dtype)
            more = {"layernorm": [rng.standard_normal(n).astype(dtype) for _ in range(2)],
                    "linear": [np.eye(n, dtype=dtype), np.ones(n, dtype)], "softmax": [],
                    "gelu": ["erf"]}
            for name, arguments in more.items():
                found = []
                for lib, ops in ((np, textbook), (xp, kernels.ops())):
                    move = [lib.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
                    layer = getattr(ops, name)
                    y, cache = layer.forward(lib.asarray(x), *move)
                    back = layer.backward(lib.asarray(x), cache)
                    back = back if isinstance(back, tuple) else (back,)
                    found.append([backend.to_host(a) for a in (y, *back)])
                apart = max(np.abs(a - b).max() / max(np.abs(a).max(), 1)
                            for a, b in zip(*found, strict=True))
                worst[name] = max(worst.get(name, 0.0), float(apart))
                need(apart <= bound * max(1, n**0.5 / 3), f"{name} {shape} {dtype}: {apart:.1e}")
    if not small:
        x = xp.full(2**31 + 1024, 0.7, np.float32)
        y, _ = kernels.ops().gelu.forward(x)
        expected = float(textbook.gelu.forward(np.float32([0.7]))[0][0])
        need(abs(float(y[-1]) - expected) < 1e-6, f"the GELU of the last number: {float(y[-1])}")
        x = xp.ones((2**11 + 1, 2**20), np.float32)
        need(abs(float(kernels.ops().softmax.forward(x)[0][-1, -1]) * 2**20 - 1) < 1e-3,
             "the softmax of the last row")
    return {"worst": worst}


def steps(xp, small):
    """Take steps on the digits and compare with the CPU's, and with the same steps once more."""
    from vitnp import backend, data, kernels, model, params, vit
    from vitnp.layers import textbook
    from vitnp.runs.recipe import Recipe
    from vitnp.training import steps as training

    digits, found = data.load("digits"), {}
    recipe = Recipe(model="micro/4", epochs=2, batch_size=20, learning_rate=1e-3)

    def run(lib, name, dtype):
        config, preprocess = recipe.configure(digits)
        flat = lib.asarray(vit.init(config, np.random.default_rng(0)).astype(dtype))
        state = training.start_from(flat, averaged=True)
        ops = kernels.ops() if name == "fused" else textbook
        trained = model.Model(config, params.views(state.params, vit.shapes(config)), preprocess,
                              ops=ops)
        for i in range(3 if small else 20):
            batch = slice(20 * i, 20 * i + 20)
            training.train_step(state, trained, digits.train_images[batch],
                                digits.train_labels[batch], replace(recipe, ops=name), 20)
        return backend.to_host(state.params)

    for dtype, bound in (("float64", 1e-8), ("float32", 2e-3)):
        expected = run(np, "textbook", dtype)
        for name in ("textbook",) if xp is np else ("textbook", "fused"):
            one, again = run(xp, name, dtype), run(xp, name, dtype)
            apart = float(np.abs(one - expected).max())
            found[f"{name} {dtype}"] = apart
            need(apart < bound, f"{name} {dtype} is {apart:.1e} from the CPU")
            need((one == again).all(), f"{name} {dtype} is another the second time")
    return found


def need(passed, complaint):
    """Print a complaint that fails the step, unless it passed."""
    if not passed:
        print(f"FAIL {complaint}", flush=True)


def seconds(xp, call, count=5):
    """Return the mean seconds of a call, the first not counted."""
    from vitnp.bench import timing

    now = timing.clock(xp)
    call()
    began = now()
    for _ in range(count):
        call()
    return (now() - began) / count


CHECKS = {"machine": machine, "gradients": gradients, "twins": twins, "steps": steps}


def commands(options, out):
    """Return the steps that are commands: name → (seconds, commands, wanted exit codes)."""
    device = ["--device", options.device]
    tiny = ["--model", "micro/4", "--train-images", "60", "--epochs", "1"] if options.small else []
    run, half = ["vitnp.train", *device, *tiny], ["--out", out / "moved"]
    steps = {
        "train": (120, [[*run, "--out", out / "digits"],
                        ["vitnp.evaluate", out / "digits", *device]], (0, 0)),
        "bfloat16": (120, [[*run, "--precision", "bfloat16", "--out", out / "short"]], (0,)),
        "pretrain": (90, [["vitnp.pretrain", *device, "--model", "micro/4", "--epochs", "2", *tiny,
                           "--out", out / "pre"]], (0,)),
        "goes on on the CPU": (120, [
            [*run, "--epochs", "2", *tiny[:4], *half],
            ["vitnp.train", "--resume", out / "moved", "--device", "cpu"]], (0, 0))}
    if options.device == "gpu" and not options.small:
        steps["a full GPU"] = (60, [[
            *run, "--model", "B/1", "--batch-size", "1000", "--epochs", "1", "--out",
            out / "full"]], (2,))
    return steps


def bench(options, size, batch, layers, precision):
    """Return the command that measures a case."""
    short = {"tf32": ["--tf32"], "bfloat16": ["--precision", "bfloat16"]}.get(precision, [])
    if options.small:
        size, batch, layers = "digits", 8, "textbook" if options.device == "cpu" else layers
    rival = ["--vs", "torch"] if importlib.util.find_spec("torch") and layers == "fused" else []
    return ["vitnp.bench", "--case", size, "--mode", "train", "--batch-size", batch, "--device",
            options.device, "--ops", layers, "--seconds", 2 if not options.small else 0.3,
            "--repeats", 2, "--json", *short, *rival]


class Steps:
    """Runs one step after another, each in a process of its own, and keeps what they said."""

    def __init__(self, options):
        self.options, self.out, self.results = options, Path(options.out), {}
        self.end = time.monotonic() + 60 * options.minutes
        self.out.mkdir(parents=True, exist_ok=True)
        self.prefix = [sys.executable, *([TESTS / "stand_in"] if "stand_in" in sys.modules
                                         else ["-m"])]

    def take(self, name, limit, calls, wanted=(0,)):
        """Run the commands of a step, within its limit; return the output of the last."""
        began, text, passed, said = time.monotonic(), "", True, ""
        for call, code in zip(calls, wanted, strict=True):
            left = min(limit - (time.monotonic() - began), self.end - time.monotonic())
            if left < 5:
                self.note(name, None, began, "no time left")
                return ""
            try:
                done = subprocess.run([*map(str, self.prefix), *map(str, call)], timeout=left,
                                      capture_output=True, text=True, check=False)
                said, text = done.stdout, f"{text}$ {call}\n{done.stdout}{done.stderr}\n"
                passed &= done.returncode == code
                passed &= "Traceback" not in done.stderr
                passed &= not re.search("^FAIL", said, re.MULTILINE)
            except subprocess.TimeoutExpired as slow:
                text, passed = f"{text}$ {call}\n{slow.stdout}\n{slow.stderr}\n", False
                said = f"not finished within {limit} seconds"
        (self.out / f"{name.replace(' ', '-')}.txt").write_text(text)
        last = [line for line in (said or text).splitlines() if line.strip()][-1:]
        self.note(name, passed, began, "".join(last)[:110])
        return said

    def note(self, name, passed, began, words):
        """Print a line of the table, and write all results down."""
        taken = time.monotonic() - began
        verdict = {True: "PASS", False: "FAIL", None: "SKIP"}[passed]
        print(f"{verdict}  {name:<28} {taken:4.0f} s  {words}", flush=True)
        self.results[name] = {"passed": passed, "seconds": round(taken, 1), "words": words}
        self.write()

    def write(self):
        """Write results.json."""
        (self.out / "results.json").write_text(json.dumps(self.results, indent=1))


def main():
    """Take all steps, and print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu_check", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="for all steps (default: 5)")
    parser.add_argument("--out", default="gpu_check", help="folder (default: gpu_check)")
    parser.add_argument("--device", default="gpu", help="gpu, or cpu for a rehearsal")
    parser.add_argument("--check", choices=CHECKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.small = options.device == "cpu" or "stand_in" in sys.modules
    if options.check:
        from vitnp.backend import pick_device

        print(json.dumps(CHECKS[options.check](pick_device(options.device), options.small)))
        return 0
    steps = Steps(options)
    for name in CHECKS:
        steps.take(name, 100, [["tests.gpu_check", "--check", name, "--device", options.device]])
    for name, step in commands(options, steps.out).items():
        steps.take(name, *step)
    print(f"\n{'case':<10} {'layers':<9} {'factors':<9} {'images/s':>9} {'ms':>8} {'launches':>8} "
          f"{'MB':>7}  of PyTorch's speed")
    for layers, precision in ROUNDS[-1:] if options.device == "cpu" else ROUNDS:
        for size, batch in SIZES[:1] if options.small else SIZES:
            name = f"bench {size} {layers} {precision}"
            said = steps.take(name, 60, [bench(options, size, batch, layers, precision)])
            if steps.results[name]["passed"]:
                found = json.loads(said)
                ours = found["results"][0]
                steps.results[name]["bench"] = found
                print(f"{size:<10} {layers:<9} {precision:<9} {ours['images_per_second']:9,.0f} "
                      f"{ours['milliseconds']:8.1f} {ours.get('launches') or '-':>8} "
                      f"{ours['peak_memory_mb']:7,.0f}  {found.get('ratio') or '-'}", flush=True)
    steps.write()
    failed = [name for name, result in steps.results.items() if result["passed"] is False]
    print(f"{len(steps.results)} steps, {len(failed)} failed{': ' * bool(failed)}"
          f"{', '.join(failed)}; {steps.out / 'results.json'}")
    return bool(failed)


if __name__ == "__main__":
    os.environ["PYTHONUNBUFFERED"] = "1"
    sys.exit(main())
