"""Grade a folder of submissions: points for each task, a table, and a report for each student.

    python -m tutorials.assignments grade SUBMISSIONS --out grades.csv

SUBMISSIONS holds a folder or a .zip for each student. The tasks are those of points.csv, and are
checked as `check` does, with other values and sizes. Students' code runs in child processes, shut
off as well as this machine can; where it cannot, --trust is needed.
"""

import argparse
import os
import secrets
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tutorials.assignments import checking, tasks
from tutorials.assignments.grading import exports, submissions
from tutorials.assignments.sandbox import isolation
from tutorials.assignments.sandbox.outcomes import clean
from vitnp.common import command
from vitnp.errors import Error

CRASHED = "the grading ended before this student was done; run it again"


def add_parser(subparsers):
    """Add the command `grade`."""
    parser = subparsers.add_parser("grade", help="grade a folder of submissions",
                                   description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submissions", metavar="SUBMISSIONS",
                        help="a folder with a folder or .zip for each student; with --gradescope "
                             "the folder of one")
    parser.add_argument("--out", metavar="FILE", default="grades.csv",
                        help="the table (default: grades.csv)")
    parser.add_argument("--report", metavar="DIR",
                        help="where each student's report goes (default: reports, beside the "
                             "table)")
    parser.add_argument("--gradescope", metavar="FILE",
                        help="grade one submission and write Gradescope's results.json")
    parser.add_argument("--junit", metavar="FILE", help="also write JUnit's XML")
    parser.add_argument("--trust", action="store_true",
                        help="grade even where students' code cannot be shut off")
    parser.add_argument("--seed", type=int,
                        help="of the values and sizes (default: a new one, which is printed)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(),
                        help="students at a time (default: one for each core)")
    parser.set_defaults(main=main)


def main(options):
    """Grade, print a line for each student, and write the files that were asked for."""
    command.check_counts(options, "jobs")
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    if seed < 0:
        raise Error(f"--seed is {seed}; it must be a whole number of at least 0")
    level = isolation.choose(options.trust)
    if options.gradescope:
        paths = [Path(options.submissions)]
        if not paths[0].exists():
            raise Error(f"there is no submission {paths[0]}")
    else:
        paths = submissions.find(options.submissions)
    folder = Path(options.report or Path(options.out).parent / "reports")
    print(f"students' code runs {isolation.SENTENCES[level]}", file=sys.stderr)
    reports = grade_all(paths, folder, seed, level, options.jobs, options.gradescope)
    exports.write_table(options.out, reports)
    if options.junit:
        exports.write_junit(options.junit, reports)
    for report in reports:
        print(f"{report['student']:<24} {report['score']:6g} of {report['possible']:g}")
    print(f"seed {seed}; the table is {options.out}, the reports are in {folder}")
    return 0


def grade_all(paths, folder, seed, level, jobs, gradescope=None):
    """Grade the submissions at these paths side by side; return their reports in order.

    Each report is written to `folder` twice: as crashed before any code runs, and when it is done.
    gradescope: a path for the results of the one submission, or None.
    """
    points = tasks.points()
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Error(f"{folder} cannot be made: {error.strerror or error}") from None
    reports = [empty_report(path, points, seed, level) for path in paths]
    for report in reports:
        save(report, folder, gradescope)
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(grade, path, points, seed, level): number
                   for number, path in enumerate(paths)}
        for done in as_completed(waiting):
            number = waiting[done]
            try:
                reports[number] = done.result()
            except Exception as error:  # noqa: BLE001  one student never stops the others
                reports[number]["notes"] = [f"{CRASHED} ({type(error).__name__}: {error})"]
            save(reports[number], folder, gradescope)
            print(f"{reports[number]['student']} is done", file=sys.stderr, flush=True)
    return reports


def save(report, folder, gradescope):
    """Write a student's report, and for Gradescope once more in its form."""
    exports.write_json(Path(folder) / f"{report['student']}.json", report)
    if gradescope:
        exports.write_json(gradescope, exports.for_gradescope(report))


def empty_report(path, points, seed, level):
    """Return the report of a student whose grading has begun."""
    return {"student": clean(submissions.student_of(path)), "status": "crashed", "score": 0.0,
            "possible": sum(points.values()), "seed": seed, "isolation": level,
            "notes": [CRASHED], "tasks": []}


def grade(path, points, seed, level):
    """Return the report of the submission at a path.

    points: task → points. A task brings its points times the share of its functions that are
    right; an exercise with a planted mistake brings all or nothing, since most of it is right.
    """
    report = empty_report(path, points, seed, level)
    wanted = {file for task in points for file in tasks.find(task).files}
    submission = submissions.read(path, wanted)
    report["notes"] = [clean(note) for note in submission.notes]
    for task, possible in points.items():
        report["tasks"].append(grade_task(task, possible, submission.sources, seed, level))
    report["score"] = round(sum(task["score"] for task in report["tasks"]), 2)
    report["status"] = "done"
    return report


def grade_task(task, possible, sources, seed, level):
    """Return what a report says of one task."""
    entry = {"task": task, "possible": possible, "score": 0.0}
    try:
        checked = checking.check_task(task, sources, seed=seed, isolation=level)
    except Exception as error:  # noqa: BLE001  what a check cannot stand costs one task at most
        text = f"the check itself failed, look at it by hand: {type(error).__name__}: {error}"
        return entry | {"status": "crashed", "message": clean(text), "printed": "",
                        "functions": []}
    functions = [{"function": verdict.function, "passed": verdict.passed,
                  "message": clean(verdict.message, 4000)} for verdict in checked.verdicts]
    share = float(checked.passed) if tasks.find(task).bug else checked.share
    return entry | {"score": round(possible * share, 2), "status": checked.status,
                    "message": clean(checked.message, 8000), "printed": checked.printed,
                    "functions": functions}
