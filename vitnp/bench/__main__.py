"""Measure training and prediction speed, alone or beside PyTorch.

    python -m vitnp.bench --case cifar-ti --mode train [--vs torch|torch-compile|jax] …

A training step is forward, cross-entropy, backward, clipping and AdamW, in float32 on images that
lie ready. Each engine runs in a process of its own, by turns, while the other waits. GFLOP/s are
of the matrix products really executed; "of sgemm" compares them to plain products of 1024 x 1024
matrices, one on each thread, measured in the same minutes.
"""

import argparse
import json

from vitnp.bench import cases
from vitnp.common import command
from vitnp.errors import Error


def main(arguments):
    """Measure as the options say, and print the results."""
    options = parse(arguments)

    from vitnp.bench import compare, report
    from vitnp.parallel import lanes

    setting = cases.Setting(
        "vitnp", options.case, options.mode, options.threads or lanes.cores(),
        options.batch_size or cases.CASES[options.case][1], options.micro_batch, options.device,
        options.ops, options.tf32)
    extras = [extra for extra in ("profile", "scaling") if getattr(options, extra)]
    found = compare.measure(setting, options.vs, options.seconds, options.repeats, extras)
    print(json.dumps(found, indent=1) if options.json else "\n".join(report.text(found)))
    return 0


def parse(arguments):
    """Return the options, or raise Error for those that are not possible."""
    parser = command.Parser(prog="python -m vitnp.bench", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--case", required=True, metavar="NAME", help=f"one of {', '.join(cases.CASES)}")
    add("--mode", required=True, help="train or predict")
    add("--vs", metavar="ENGINE", help=f"also measure {', '.join(cases.RIVALS)} and compare")
    add("--threads", type=int, help="threads (default: one a core)")
    add("--batch-size", type=int, metavar="N", help="images a step (default: the case's)")
    add("--micro-batch", type=int, metavar="N", help="images that a lane takes together")
    add("--device", default="cpu", help="cpu, gpu or auto (default: cpu)")
    add("--ops", help="textbook or fused layers (default: fused on a GPU)")
    add("--tf32", action="store_true", help="shorten the factors of a GPU's products, of all")
    add("--seconds", type=float, default=10.0, help="time for each engine (default: 10)")
    add("--repeats", type=int, default=5, metavar="N", help="rounds of both (default: 5)")
    add("--profile", action="store_true", help="also print the time of each part of the model")
    add("--scaling", action="store_true",
        help="also print the time by batch, depth, tokens and threads")
    add("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse_args(arguments)
    check(options)
    return options


def check(options):
    """Raise Error for the first option that is not possible."""
    from vitnp.parallel.lanes import cores

    choices = {"case": cases.CASES, "mode": cases.MODES, "device": ("cpu", "gpu", "auto")}
    if options.vs is not None:
        choices["vs"] = cases.RIVALS
    if options.ops is not None:
        choices["ops"] = ("textbook", "fused")
    for name, possible in choices.items():
        if getattr(options, name) not in possible:
            raise Error(f"--{name} is {getattr(options, name)!r}; "
                        f"possible are {', '.join(possible)}")
    if options.vs is not None:
        cases.library_of(options.vs)
    command.check_counts(options, "threads", "batch_size", "micro_batch", "repeats")
    if options.threads is not None and options.threads > cores():
        raise Error(f"--threads is {options.threads}, but this process may use {cores()} cores; "
                    "more would only wait for each other")
    cases.check_seconds(options.seconds)


if __name__ == "__main__":
    command.run(main)
