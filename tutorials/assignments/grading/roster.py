"""The list of a course's students, with the dates of what they handed in."""

import csv
import math
from datetime import datetime, timedelta
from pathlib import Path

from tutorials.assignments.sandbox.outcomes import clean
from vitnp.common.files import refusing
from vitnp.errors import Error


def read(path):
    """Return a dict student → dict of the other columns, from a CSV file with a column `student`.

    A column `handed_in` holds dates. Commas or semicolons, with or without a mark at the start.
    Raises Error where it is no such table.
    """
    with refusing(f"{path} cannot be read", "give a CSV file with a column `student`"):
        text = Path(path).read_text(encoding="utf-8-sig")
    first = text.partition("\n")[0]
    rows = list(csv.DictReader(text.splitlines(), delimiter=";" if ";" in first else ","))
    if not rows or "student" not in rows[0]:
        raise Error(f"{path} has no column `student`; its first line is {first.strip()!r}")
    return {row["student"].strip(): row for row in rows if (row["student"] or "").strip()}


def date_of(text, what):
    """Return a date, such as 2027-03-01 (its end) or 2027-03-01 18:00; Error for another text."""
    try:
        date = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Error(f"{what} is {text!r}; write it as 2027-03-01, or 2027-03-01 18:00") from None
    return date + timedelta(days=1) if len(text.strip()) == 10 else date


def days_late(row, due):
    """Return by how many days, begun ones too, the work of a row is late; "" where it says none.

    A day without a time counts as handed in at its start.
    """
    text = ((row or {}).get("handed_in") or "").strip()
    if not text or due is None:
        return ""
    date = date_of(text, "handed_in") - timedelta(days=len(text) == 10)
    try:
        return max(0, math.ceil((date - due) / timedelta(days=1)))
    except TypeError:
        raise Error(f"{text!r} has a time zone and the date due has none, or the other way round; "
                    "write both alike") from None


def same(one, other):
    """Tell whether two names are one student's: letters and blanks apart."""
    return " ".join(one.casefold().split()) == " ".join(other.casefold().split())


def with_absent(reports, listed, points, due):
    """Return the reports with the days late, and one for each listed student without any."""
    found = []
    for report in reports:
        row = next((row for name, row in listed.items() if same(name, report["student"])),
                   None)
        notes = report["notes"] + ["not on the roster"] * bool(listed and row is None)
        found.append(report | {"days late": days_late(row, due), "notes": notes})
    for name in listed:
        if not any(same(name, report["student"]) for report in reports):
            found.append({"student": clean(name), "status": "nothing handed in", "score": 0.0,
                          "possible": sum(points.values()), "notes": [], "tasks": [],
                          "days late": "", "shapes": {}})
    return found
