"""Check every hand-written backward against finite differences."""

from vitnp import gradcheck
from vitnp.backend import pick_device
from vitnp.common import command
from vitnp.common.randomness import generator
from vitnp.errors import Error
from vitnp.gradcheck.cases import all_cases


def main(arguments):
    """Check all cases, print the table, and return 1 if one failed."""
    parser = command.Parser(prog="python -m vitnp.gradcheck",
                            description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, gpu or auto (default: cpu)")
    parser.add_argument("--only", metavar="LAYER", help="check only cases with this in their name")
    options = parser.parse_args(arguments)
    xp = pick_device(options.device)
    failures = checked = 0
    print(f"{'layer':<42} {'argument':<38} {'error':>8}  verdict")
    for case in all_cases(xp):
        if options.only and options.only not in case.name:
            continue
        for result in gradcheck.check(case, generator(0, "gradcheck", checked)):
            checked += 1
            failures += not result.passed
            print(f"{result.case:<42} {result.argument:<38} {result.error:8.1e}  {result.verdict}")
    if not checked:
        raise Error(f"no layer is called {options.only!r}; without --only all are checked")
    print(f"{checked} gradients checked, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    command.run(main)
