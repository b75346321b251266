"""Write grades as a table, as Gradescope's results.json and as JUnit's XML."""

import csv
import json
import re
import xml.etree.ElementTree as xml

from tutorials.assignments.sandbox.outcomes import clean
from vitnp.common.files import replacing, write_json

__all__ = ["for_gradescope", "gradescope_student", "read_report", "write_json", "write_junit",
           "write_rows", "write_table"]
NEEDED = {"student", "status", "score", "possible", "notes", "tasks", "fingerprint", "shapes"}
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_table(path, reports, points):
    """Write a CSV file: a row for each student, a column for each task.

    reports: as grading makes them. Raises Error where it cannot be written.
    """
    rows = []
    for report in reports:
        scores = {task["task"]: task["score"] for task in report["tasks"]}
        rows.append([report["student"], report["score"], report["possible"],
                     *(scores.get(name, 0.0) for name in points), report.get("days late", ""),
                     report["status"], "; ".join(report["notes"])])
    write_rows(path, ["student", "score", "possible", *points, "days late", "status", "notes"],
               rows)


def write_rows(path, head, rows):
    """Write a CSV file in which nothing is taken for a formula."""
    with replacing(path) as aside, open(aside, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows([[harmless(cell) for cell in row] for row in rows])


def harmless(cell):
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(
        ("=", "+", "-", "@", "\t")) else cell


def read_report(path):
    """Return an earlier report, or None where it is not there or not whole."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) and set(report) >= NEEDED else None


def gradescope_student(path):
    """Return the student's name in Gradescope, from the file that lies beside the submission."""
    try:
        told = json.loads((path.parent / "submission_metadata.json").read_text(encoding="utf-8"))
        return str(told["users"][0]["name"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return path.name


def for_gradescope(report):
    """Return a student's report as Gradescope reads it from results.json."""
    entries = [{"name": task["task"], "number": str(number), "score": task["score"],
                "max_score": task["possible"], "output_format": "text", "visibility": "visible",
                "status": "passed" if task["status"] == "passed" else "failed",
                "output": task["message"] or task["status"]}
               for number, task in enumerate(report["tasks"], start=1)]
    return {"score": report["score"], "output": "\n".join(report["notes"]),
            "output_format": "text", "visibility": "visible", "stdout_visibility": "hidden",
            "execution_time": report["seconds"], "tests": entries}


def write_junit(path, reports):
    """Write JUnit's XML: a suite for each student, a case for each task.

    Raises Error where it cannot be written.
    """
    root = xml.Element("testsuites")
    for report in reports:
        failed = [task for task in report["tasks"] if task["status"] != "passed"]
        suite = xml.SubElement(root, "testsuite", name=clean(report["student"]),
                               tests=str(len(report["tasks"])), failures=str(len(failed)),
                               errors="0" if report["status"] == "done" else "1")
        for task in report["tasks"]:
            case = xml.SubElement(suite, "testcase", classname=clean(report["student"]),
                                  name=task["task"])
            if task["status"] != "passed":
                failure = xml.SubElement(case, "failure", message=task["status"])
                failure.text = NO_XML.sub("�", task["message"])
        if report["notes"]:
            xml.SubElement(suite, "system-out").text = NO_XML.sub("�", "\n".join(report["notes"]))
    with replacing(path) as aside:
        xml.ElementTree(root).write(aside, encoding="utf-8", xml_declaration=True)
