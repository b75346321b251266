"""Start, check and train the tasks of the course, from the root of the clone.

    python -m tutorials.assignments start 05-layernorm --into my_work
    python -m tutorials.assignments hint 05-layernorm --level 1
    python -m tutorials.assignments check my_work [TASK …]
    python -m tutorials.assignments train my_work
    python -m tutorials.assignments grade SUBMISSIONS --out grades.csv
"""

import argparse

from tutorials.assignments import checking, grading, starter, tasks, train
from tutorials.assignments.grading import copies, gradescope
from vitnp.common import command
from vitnp.errors import Error

MOST_LINES = 40     # of what a student's functions printed


def main(arguments):
    """Do what one of the words asks for, and return the exit code."""
    parser = command.Parser(prog="python -m tutorials.assignments", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    words = parser.add_subparsers(dest="word", required=True, metavar="WORD")
    add_start(words)
    add_hint(words)
    add_check(words)
    train.add_parser(words)
    grading.add_parser(words)
    gradescope.add_parser(words)
    options = parser.parse_args(arguments)
    return options.main(options)


def add_start(words):
    """Add the word `start`."""
    parser = words.add_parser("start", help="write the files of a task")
    parser.add_argument("task", metavar="TASK", help="such as 05-layernorm; `list` lists all")
    parser.add_argument("--into", metavar="DIR", default="my_work",
                        help="your folder (default: my_work)")
    parser.add_argument("--only", choices=("forward", "backward"),
                        help="leave the other function as the library has it")
    parser.add_argument("--student",
                        help="for whom a variant or a planted mistake is drawn: the name under "
                             "which you hand in")
    parser.add_argument("--course", help="the course's word, if it has one")
    parser.set_defaults(main=start)


def start(options):
    """Write the starter files and print the task, or the list of all."""
    if options.task == "list":
        points = tasks.points()
        for task in tasks.EXERCISES:
            print(f"{task.name:<32}{task.minutes:>4} minutes{points.get(task.name, 0):>6g} points")
        return 0
    task = tasks.find(options.task)
    paths = starter.start(task.name, options.into, options.only,
                          options.student or "", options.course or "")
    print(f"{tasks.text(task)}\n")
    if options.only:
        print(f"Only {options.only} is left to you; all else is there already.\n")
    for path in paths:
        print(f"written: {path}")
    print(f"then: python -m tutorials.assignments check {options.into} {task.name}")
    return 0


def add_hint(words):
    """Add the word `hint`."""
    parser = words.add_parser("hint", help="print a hint to a task")
    parser.add_argument("task", metavar="TASK")
    parser.add_argument("--level", type=int, default=1, help="1, 2 or 3 (default: 1)")
    parser.set_defaults(main=hint)


def hint(options):
    """Print a hint."""
    print(tasks.hint(tasks.find(options.task), options.level))
    return 0


def add_check(words):
    """Add the word `check`."""
    parser = words.add_parser("check", help="check the files in a folder")
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("tasks", metavar="TASK", nargs="*",
                        help="default: every task with a file in the folder")
    parser.add_argument("--seed", type=int, default=0, help="draws other values and sizes")
    parser.set_defaults(main=check)


def check(options):
    """Check tasks, print the result of each, and return 1 unless all have passed."""
    sources = checking.read_folder(options.folder)
    chosen = [tasks.find(name) for name in options.tasks] or [
        task for task in tasks.EXERCISES if any(file in sources for file in task.files)]
    if not chosen:
        raise Error(f"{options.folder} holds no file of a task; begin with: "
                    f"python -m tutorials.assignments start 01-checker --into {options.folder}")
    if options.seed < 0:
        raise Error(f"--seed is {options.seed}; it must be a whole number of at least 0")
    passed = 0
    for task in chosen:
        report = checking.check_task(task.name, sources, options.seed)
        passed += report.passed
        show(report)
        for name in copies.of_task(task, sources):
            print(f"    {name}: the library's own text, which brings no points")
    print(f"{passed} of {len(chosen)} passed")
    return 0 if passed == len(chosen) else 1


def show(report):
    """Print a Report: one line where the task has passed, else a line for each function."""
    print(f"{report.task:<32}{report.status}", flush=True)
    if report.passed:
        return
    if report.note:
        print(f"    {report.note}")
    for verdict in report.verdicts:
        message = verdict.message or ("right" if verdict.passed else "not judged")
        first, *others = message.split("\n")
        print(f"    {verdict.function:<34}{first}")
        for line in others:
            print(f"        {line}")
    lines = report.printed.splitlines()
    if lines:
        print("    it printed:")
    for line in lines[:MOST_LINES]:
        print(f"        {line}")
    if len(lines) > MOST_LINES:
        print(f"        … and {len(lines) - MOST_LINES} lines more")


if __name__ == "__main__":
    command.run(main)
