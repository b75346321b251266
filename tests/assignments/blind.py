"""Check answers that somebody wrote without having seen the checker, and print what it says.

    python tests/assignments/blind.py FILE.jsonl [NAME …]

Each line of the file is a JSON object: `file`, such as "layernorm.py"; `text`, all of it; `what`,
the mistake in words, or what is unusual; `right`, true where the answer is right; `name`. What the
text leaves out is the library's. For each wrong answer the message's guesses are printed beside
`what`: whether they name the mistake is for the reader to judge, and `said` counts any guess.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])

from tutorials.assignments import checking, starter, tasks


def judge(row):
    """Return the Report on one answer; the other files of its task are the library's."""
    task = next(task for task in tasks.TASKS if row["file"] in task.files)
    sources = {task.file_of(module): starter.library_text(module) for module in task.modules}
    return checking.check_task(task.name, sources | {row["file"]: row["text"]})


def guesses(report):
    """Return the likely mistakes that a report names, or the lines that tell it in other words."""
    lines = [line for verdict in report.verdicts if verdict.passed is False
             for line in verdict.message.split("\n")]
    return [line.removeprefix("likely: ") for line in lines if line.startswith("likely: ")]


def main(arguments):
    """Print every answer that is caught, missed or called wrong; return the exit code."""
    rows = [json.loads(line) for line in Path(arguments[0]).read_text("utf-8").splitlines()]
    if arguments[1:]:
        rows = [row for row in rows if row["name"] in arguments[1:]]
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(judge, rows))
    counts = {"right": 0, "called wrong": 0, "wrong": 0, "caught": 0, "said": 0}
    for row, report in zip(rows, reports, strict=True):
        right, said = row.get("right", "right" in arguments[0]), guesses(report)
        counts["right" if right else "wrong"] += 1
        counts["called wrong"] += right and not report.passed
        counts["caught"] += not right and report.status == "wrong"
        counts["said"] += not right and bool(said)
        if right == report.passed and right:
            continue
        verdict = ("CALLED WRONG" if right else "NOT CAUGHT" if report.passed
                   else "said" if said else "NOTHING SAID")
        print(f"{verdict}: {row['name']}, {row['file']}: {row['what']}")
        for line in said or report.message.splitlines():
            print(f"    {line}")
    print(", ".join(f"{name}: {count}" for name, count in counts.items()))
    return int(counts["called wrong"] > 0 or counts["caught"] < counts["wrong"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
