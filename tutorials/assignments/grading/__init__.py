"""Grade a folder of submissions: points for each task, a table, and a report for each student.

    python -m tutorials.assignments grade SUBMISSIONS --out grades.csv

SUBMISSIONS holds a folder, an archive or files for each student, or is a bulk download of Moodle or
Canvas. The tasks are those of points.csv, and are checked as `check` does, with other values and
sizes. Students' code runs in child processes, shut off from this machine. Each report is written as
it is made: a grading that was ended goes on with --resume.
"""

import argparse
import hashlib
import json
import os
import secrets
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import vitnp
from tutorials.assignments import checking, tasks
from tutorials.assignments.grading import copies, exports, roster, statistics, submissions
from tutorials.assignments.sandbox import isolation
from tutorials.assignments.sandbox.outcomes import clean
from tutorials.assignments.tasks import drawing
from vitnp.common import command
from vitnp.common.files import refusing
from vitnp.errors import Error

CRASHED = "the grading ended before this student was done; go on with --resume"
STATE = "grading.json"
COPIED = ("{}: the library's own text, which brings no points (the teacher may say otherwise: "
          "--accept-library)")


class Stopped(Exception):
    """The grading is to end."""


def add_parser(subparsers):
    """Add the command `grade`."""
    parser = subparsers.add_parser("grade", help="grade a folder of submissions",
                                   description=__doc__,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("submissions", metavar="SUBMISSIONS",
        help="what all students handed in; with --gradescope what one did")
    add("--out", metavar="FILE", default="grades.csv", help="the table (default: grades.csv)")
    add("--report", metavar="DIR", help="where each student's report goes (default: reports, "
                                        "beside the table)")
    add("--points", metavar="FILE", default=tasks.POINTS, help="another table task,points")
    add("--tasks", metavar="TASK", nargs="+", help="these tasks alone")
    add("--student", metavar="NAME", nargs="+", help="these students alone; others keep theirs")
    add("--resume", action="store_true", help="go on with the grading in the report folder")
    add("--roster", metavar="FILE", help="CSV with a column `student`: lists who handed in "
                                         "nothing; with a column `handed_in`, days late")
    add("--due", metavar="DATE", help="for the days late, such as 2027-03-01 or 2027-03-01T18:00")
    add("--course", help="the word with which exercises were drawn")
    add("--accept-library", action="store_true", help="give points for the library's own text")
    add("--gradescope", metavar="FILE",
        help="grade one submission and write Gradescope's results.json")
    add("--junit", metavar="FILE", help="also write JUnit's XML")
    add("--trust", action="store_true",
        help="as root without bubblewrap, in a container: run students' code as another user")
    add("--seed", type=int, help="of the values and sizes (default: a new one, which is printed)")
    add("--jobs", type=int, default=os.cpu_count(),
        help="students at a time (default: one for each core)")
    parser.set_defaults(main=main)


def main(options):
    """Grade, print a line for each student, and write the files that were asked for."""
    command.check_counts(options, "jobs")
    folder = Path(options.report or Path(options.out).parent / "reports")
    points, due = chosen_points(options), options.due and roster.date_of(options.due, "--due")
    listed = roster.read(options.roster) if options.roster else {}
    entries = entries_of(options)
    library = Path(vitnp.__file__).parent
    guarded = [library, *library.glob("layers/*.py"), Path(__file__), Path(options.submissions),
               folder, *([Path(options.gradescope).parent] if options.gradescope else [])]
    level = isolation.choose(options.trust, [path for path in guarded if path.exists()])
    print(f"students' code runs {isolation.SENTENCES[level]}", file=sys.stderr)
    with refusing(f"{folder} cannot be made", "choose another folder with --report"):
        folder.mkdir(parents=True, exist_ok=True)
    grading = Grading(points, seed_of(options, folder), level, options.course or "",
                      options.accept_library)
    reports = roster.with_absent(grade_all(entries, folder, grading, options), listed, points, due)
    reports.sort(key=lambda report: report["student"])
    exports.write_table(options.out, reports, points)
    if options.junit:
        exports.write_junit(options.junit, reports)
    show(reports, options, folder, grading)
    return 130 if any(report["status"] == "crashed" for report in reports) else 0


def chosen_points(options):
    """Return a dict task → points: the table's, or those of --tasks."""
    points = tasks.points(options.points)
    chosen = [tasks.find(name).name for name in options.tasks or points]
    missing = [name for name in chosen if name not in points]
    if missing:
        raise Error(f"{missing[0]} has no points in {options.points}; add the line "
                    f"{missing[0]},POINTS")
    return {name: points[name] for name in points if name in chosen}


def entries_of(options):
    """Return the Entries to be graded. Raises Error for an unknown student."""
    if options.gradescope:
        path = Path(options.submissions)
        if not path.exists():
            raise Error(f"there is no submission {path}")
        return [submissions.entry_of(exports.gradescope_student(path), [(path, path.name)])]
    entries = submissions.find(options.submissions)
    for name in options.student or ():
        if not any(roster.same(name, entry.student) for entry in entries):
            raise Error(f"nothing was handed in by {name!r}; possible are "
                        f"{', '.join(entry.student for entry in entries)}")
    return entries


def seed_of(options, folder):
    """Return the seed: that of the options, of the grading that goes on, or a new one."""
    if options.seed is not None and options.seed < 0:
        raise Error(f"--seed is {options.seed}; it must be a whole number of at least 0")
    if options.resume or options.student:
        try:
            before = json.loads((folder / STATE).read_text("utf-8"))["seed"]
        except (OSError, ValueError, KeyError):
            before = None
        if before is None and options.resume:
            raise Error(f"there is no grading in {folder} to go on with; leave --resume away")
        if options.seed is None and before is not None:
            return before
    return secrets.randbelow(2**31) if options.seed is None else options.seed


class Grading:
    """What is the same for all students of one grading."""

    def __init__(self, points, seed, level, course="", accept_library=False):
        """Keep what is given; `stop` is set when the grading is to end."""
        self.points, self.seed, self.level, self.course = points, seed, level, course
        self.accept_library, self.stop = accept_library, threading.Event()
        self.wanted = {file for task in points for file in tasks.find(task).files}

    def fingerprint(self, submission):
        """Return what a report depends on, as a hash: where it is the same, the report holds."""
        what = [submission.sources, submission.notes, self.points, self.seed, self.course,
                self.accept_library]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode(
            "utf-8", "surrogatepass")).hexdigest()

    def empty_report(self, entry, status="crashed", note=CRASHED):
        """Return the report of a student whose grading has begun."""
        return {"student": entry.student, "status": status, "score": 0.0,
                "possible": sum(self.points.values()), "seed": self.seed, "isolation": self.level,
                "notes": [note], "tasks": [], "shapes": {}, "seconds": 0.0, "fingerprint": ""}

    def grade(self, entry, before=None):
        """Return the report of an Entry; `before`, an earlier report, is kept where it holds.

        A task brings its points times the share of its functions that are right; a drawn exercise
        brings all or nothing.
        """
        begun, report = time.monotonic(), self.empty_report(entry)
        submission = submissions.read(entry, self.wanted)
        report["fingerprint"] = self.fingerprint(submission)
        if before and before["fingerprint"] == report["fingerprint"] and before["status"] == "done":
            return before
        report["notes"] = list(submission.notes) + self.drawn_for_others(entry, submission)
        for task, possible in self.points.items():
            if self.stop.is_set():
                raise Stopped
            report["tasks"].append(self.grade_task(task, possible, submission.sources))
        report["score"] = round(sum(task["score"] for task in report["tasks"]), 2)
        report["shapes"] = {file: copies.shape(text) for file, text in submission.sources.items()
                            if not drawing.read_header(text)}
        return report | {"status": "done", "seconds": round(time.monotonic() - begun, 1)}

    def drawn_for_others(self, entry, submission):
        """Return notes on exercises that were drawn under another name or course."""
        names = {(drawn["student"], drawn["course"] or "") for text in submission.sources.values()
                 if (drawn := drawing.read_header(text))}
        return [f"exercises are drawn for {clean(student, 60)!r}, course {clean(course, 60)!r}"
                for student, course in sorted(names)
                if course != self.course or not roster.same(student, entry.student)]

    def grade_task(self, task, possible, sources):
        """Return what a report says of one task."""
        entry = {"task": task, "possible": possible, "score": 0.0}
        found = tasks.find(task)
        try:
            checked = checking.check_task(task, sources, seed=self.seed, isolation=self.level)
        except Exception as error:  # noqa: BLE001  what a check cannot stand costs one task at most
            text = f"the check itself failed, look at it by hand: {type(error).__name__}: {error}"
            return entry | {"status": "crashed", "message": clean(text), "printed": "",
                            "functions": []}
        copied = [] if self.accept_library else copies.of_task(found, sources)
        functions = [{"function": verdict.function, "passed": verdict.passed,
                      "message": clean(verdict.message, 4000)} for verdict in checked.verdicts]
        right = [one["function"] for one in functions if one["passed"] is True]
        share = len(set(right) - set(copied)) / max(len(functions), 1)
        if found.drawn:
            share = float(checked.passed and self.is_of_this_course(found, sources))
        message = "\n".join([*(COPIED.format(name) for name in copied), checked.message])
        return entry | {"score": round(possible * share, 2), "message": clean(message, 8000),
                        "status": "library" if copied and not share else checked.status,
                        "printed": checked.printed, "functions": functions}

    def is_of_this_course(self, task, sources):
        """Tell whether what was drawn for a task was drawn with this course's word."""
        text = next((sources[file] for file in task.files if file in sources), "")
        drawn = drawing.read_header(text)
        return bool(drawn) and (drawn["course"] or "") == self.course


def grade_all(entries, folder, grading, options):
    """Grade the Entries side by side; return all reports, and leave each in the folder.

    A report is written before any code runs, as crashed, and when it is done. Where the grading is
    ended (Ctrl-C, SIGTERM), what is done is returned with the rest as it stands.
    """
    exports.write_json(folder / STATE, {"seed": grading.seed, "points": grading.points})
    reports, waiting = [], []
    for number, entry in enumerate(entries):
        before = exports.read_report(folder / entry.file) if (
            options.resume or options.student) else None
        chosen = not options.student or any(roster.same(name, entry.student)
                                            for name in options.student)
        if chosen:
            reports.append(grading.empty_report(entry))
            waiting.append((number, entry, None if options.student else before))
            if not before or before["status"] != "done" or options.student:
                save(reports[number], folder / entry.file, options.gradescope)
        else:
            reports.append(before or grading.empty_report(entry, "not graded", "not chosen"))
    # Both, since a program that is started in the background may ignore the first
    old = {kind: signal.signal(kind, signal.default_int_handler)
           for kind in (signal.SIGINT, signal.SIGTERM)}

    def grade_one(number, entry, before):
        try:
            report = grading.grade(entry, before)
        except Stopped:
            return
        except Exception as error:  # noqa: BLE001  one student never stops the others
            report = reports[number] | {"notes": [f"{CRASHED} ({type(error).__name__}: {error})"]}
        save(report, folder / entry.file, options.gradescope)
        reports[number] = report
        print(f"{report['student']} is done", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        try:
            for done in as_completed([pool.submit(grade_one, *one) for one in waiting]):
                done.result()
        except KeyboardInterrupt:
            grading.stop.set()
            pool.shutdown(cancel_futures=True)
            finished = sum(report["status"] == "done" for report in reports)
            print(f"ended: {finished} of {len(reports)} students are done; go on with --resume",
                  file=sys.stderr)
    for kind, handler in old.items():
        signal.signal(kind, handler)
    return reports


def save(report, path, gradescope):
    """Write a student's report, and for Gradescope once more in its form."""
    exports.write_json(path, report)
    if gradescope:
        exports.write_json(gradescope, exports.for_gradescope(report))


def show(reports, options, folder, grading):
    """Print a line for each student and what the class did; write its picture and its copies."""
    for report in reports:
        told = "" if report["status"] == "done" else f"   {report['status']}"
        print(f"{report['student']:<32} {report['score']:6g} of {report['possible']:g}{told}")
    beside = Path(options.out).with_suffix("")
    made = [report for report in reports if report["tasks"]]
    if not options.gradescope and made:
        print("", *statistics.class_table(made), sep="\n")
        statistics.draw(f"{beside}.png", made)
        same = copies.alike({report["student"]: report["shapes"] for report in made})
        exports.write_rows(f"{beside}-alike.csv", ["file", "students"],
                           [[file, "; ".join(students)] for file, students in same])
        print(f"\n{len(same)} groups of files are alike but for names: {beside}-alike.csv; the "
              f"picture is {beside}.png")
    notes = Counter(note for report in reports for note in report["notes"])
    if notes:
        print(f"notes: {sum(notes.values())}, in the table's last column")
    print(f"seed {grading.seed}; the table is {options.out}, the reports are in {folder}")
