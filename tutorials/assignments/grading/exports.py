"""Write grades as a table, as Gradescope's results.json and as JUnit's XML."""

import csv
import xml.etree.ElementTree as xml

from vitnp.common.files import replacing, write_json

__all__ = ["for_gradescope", "write_json", "write_junit", "write_table"]


def write_table(path, reports):
    """Write a CSV file: a row for each student, a column for each task.

    reports: as grading.grade returns them. Raises Error where it cannot be written.
    """
    names = [task["task"] for task in max((report["tasks"] for report in reports), key=len)]
    with replacing(path) as aside, open(aside, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["student", "score", "possible", *names, "status", "notes"])
        for report in reports:
            scores = {task["task"]: task["score"] for task in report["tasks"]}
            writer.writerow([harmless(report["student"]), report["score"], report["possible"],
                             *(scores.get(name, 0.0) for name in names), report["status"],
                             harmless("; ".join(report["notes"]))])


def harmless(text):
    """Return a text that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t")) else text


def for_gradescope(report):
    """Return a student's report as Gradescope reads it from results.json."""
    entries = [{"name": task["task"], "score": task["score"], "max_score": task["possible"],
                "status": "passed" if task["status"] == "passed" else "failed",
                "output": task["message"], "output_format": "text"} for task in report["tasks"]]
    return {"score": report["score"], "output": "\n".join(report["notes"]),
            "output_format": "text", "stdout_visibility": "hidden", "tests": entries}


def write_junit(path, reports):
    """Write JUnit's XML: a suite for each student, a case for each task.

    Raises Error where it cannot be written.
    """
    root = xml.Element("testsuites")
    for report in reports:
        failed = [task for task in report["tasks"] if task["status"] != "passed"]
        suite = xml.SubElement(root, "testsuite", name=report["student"],
                               tests=str(len(report["tasks"])), failures=str(len(failed)),
                               errors="0" if report["status"] == "done" else "1")
        for task in report["tasks"]:
            case = xml.SubElement(suite, "testcase", classname=report["student"],
                                  name=task["task"])
            if task["status"] != "passed":
                failure = xml.SubElement(case, "failure", message=task["status"])
                failure.text = task["message"]
        if report["notes"]:
            xml.SubElement(suite, "system-out").text = "\n".join(report["notes"])
    with replacing(path) as aside:
        xml.ElementTree(root).write(aside, encoding="utf-8", xml_declaration=True)
