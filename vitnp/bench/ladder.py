"""Measure and draw what each way of running the same layers wins, beside PyTorch.

    python -m vitnp.bench.ladder OUT [--mode train|predict] [--seconds 20] [--repeats 5] …

Writes OUT.png and OUT.json. All engines take turns within each round, so that they meet the same
weather on a busy machine.
"""

import argparse
import importlib.util
import json
import os
from pathlib import Path

from vitnp.bench import cases
from vitnp.common import command
from vitnp.common.files import replacing
from vitnp.errors import Error

LABELS = {"torch": "PyTorch, eager", "jax": "JAX, jitted",
          "vitnp-plain": "layers as they are", "vitnp-memory": "+ memory kept",
          "vitnp": "+ lanes"}
COLOURS = ("#999999", "#CC79A7", "#E69F00", "#56B4E9", "#0072B2")


def main(arguments):
    """Measure all cases and write the figure and its numbers."""
    parser = command.Parser(prog="python -m vitnp.bench.ladder", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT", help="path of the two files, without .png or .json")
    parser.add_argument("--mode", default="train", choices=cases.MODES, help="(default: train)")
    parser.add_argument("--cases", nargs="+", default=list(cases.CASES), choices=cases.CASES,
                        metavar="NAME", help=f"some of {', '.join(cases.CASES)} (default: all)")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each engine and case")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="rounds (default: 5)")
    options = parser.parse_args(arguments)
    command.check_counts(options, "repeats")
    cases.check_seconds(options.seconds)
    picture, numbers = Path(f"{options.out}.png"), Path(f"{options.out}.json")
    if not os.access(picture.parent, os.W_OK):
        raise Error(f"{picture.parent} is no folder that can be written to; choose another OUT")
    measured = [measure(case, options.mode, options.seconds, options.repeats)
                for case in options.cases]
    with replacing(numbers) as aside:
        aside.write_text(json.dumps(measured, indent=1) + "\n")
    draw(measured, options.mode, picture)
    print(picture, numbers, sep="\n")
    return 0


def measure(case, mode, seconds, repeats):
    """Return {"case", "facts", "results"} of all stages of ours, and of rivals installed here."""
    from vitnp.bench import compare
    from vitnp.parallel import lanes

    rivals = [name for name in ("torch", "jax") if importlib.util.find_spec(name)]
    settings = [cases.Setting(engine, case, mode, lanes.cores(), cases.CASES[case][1])
                for engine in ("vitnp", "vitnp-memory", "vitnp-plain", *rivals)]
    return {"case": case} | compare.by_turns(settings, seconds, repeats)


def draw(measured, mode, path):
    """Draw a group of bars for each case: images a second, relative to the first bar."""
    from matplotlib.figure import Figure

    from vitnp.analysis.drawing import figures

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots()
    names = [name for name in LABELS
             if any(name == result["engine"] for result in measured[0]["results"])]
    width = 0.8 / len(names)
    for i, (name, colour) in enumerate(zip(names, COLOURS[-len(names):], strict=True)):
        for place, one in enumerate(measured):
            result = by_engine(one)[name]
            height = result["images_per_second"] / by_engine(one)[names[0]]["images_per_second"]
            x = place + (i - (len(names) - 1) / 2) * width
            axes.bar(x, height, 0.92 * width, color=colour, label=LABELS[name] if not place else "")
            axes.text(x, height, f"{result['milliseconds']:,.0f}", ha="center", va="bottom",
                      fontsize=8)
    axes.set(ylabel=f"images a second, {LABELS[names[0]]} = 1", xticks=range(len(measured)),
             xticklabels=[one["case"] for one in measured],
             title=f"Speed of a step ({mode}); the numbers are its milliseconds")
    axes.legend(frameon=False, ncols=len(names), loc="upper center", bbox_to_anchor=(0.5, -0.08))
    axes.spines[["top", "right"]].set_visible(False)
    figures.save(figure, path)


def by_engine(one):
    """Return the results of a case as a dict by engine."""
    return {result["engine"]: result for result in one["results"]}


if __name__ == "__main__":
    command.run(main)
