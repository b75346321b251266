"""What a class did: points of each task, the mistakes made most, and a picture of both."""

from collections import Counter
from statistics import mean

SHOWN, WIDEST = 3, 90


def class_table(reports):
    """Return lines of text: each task, its mean points, and its most frequent mistakes."""
    lines = [f"{'task':<30}{'handed in':>10}{'passed':>8}{'mean':>7}{'of':>5}"]
    for name, entries in by_task(reports).items():
        made = [task for task in entries if task["status"] not in ("missing", "unwritten")]
        lines.append(f"{name:<30}{len(made):>10}"
                     f"{sum(task['status'] == 'passed' for task in entries):>8}"
                     f"{mean(task['score'] for task in entries):>7.1f}{entries[0]['possible']:>5g}")
        for sentence, count in mistakes(entries).most_common(SHOWN):
            short = sentence if len(sentence) <= WIDEST else f"{sentence[:WIDEST - 1]}…"
            lines.append(f"{count:>7} x {short}")
    return lines


def by_task(reports):
    """Return a dict task → what the reports say of it; those of nobody are left out."""
    found = {}
    for report in reports:
        for task in report["tasks"]:
            found.setdefault(task["task"], []).append(task)
    return found


def mistakes(entries):
    """Return how many students made each mistake that a message names, as a Counter."""
    return Counter(sentence for task in entries for sentence in {
        line.removeprefix("likely: ") for function in task["functions"]
        for line in function["message"].split("\n") if line.startswith("likely: ")})


def draw(path, reports):
    """Write a picture: the points of all students, and the mean share of each task."""
    from matplotlib.figure import Figure

    tasks = by_task(reports)
    figure = Figure(figsize=(9, 2.5 + 0.25 * len(tasks)), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[1, max(0.2 * len(tasks), 0.5)])
    above.hist([report["score"] for report in reports], bins=20, color="tab:blue")
    above.set(xlabel="points", ylabel="students")
    shares = [mean(task["score"] for task in entries) / max(entries[0]["possible"], 1e-9)
              for entries in tasks.values()]
    below.barh(list(tasks), shares, color="tab:blue")
    below.invert_yaxis()
    below.set(xlabel="mean share of the points", xlim=(0, 1))
    figure.savefig(path, dpi=110)
