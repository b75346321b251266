"""Print how well the checker sees: wrong answers caught and named, right ones accepted.

    python tests/assignments/table.py [WORD …]

The wrong answers are in mutants.txt, the right ones in variants/; both were written without
knowledge of the checker. WORD chooses those with the word in their file or title. Exits with 1
where a wrong answer passes, a right one does not, or fewer than nine in ten kinds are named.
"""

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])

from tutorials.assignments import checking, starter, tasks
from tutorials.assignments.tasks import planting

HERE = Path(__file__).parent
WANTED = 0.9


@dataclass(frozen=True)
class Row:
    """What the checker said of one answer; kind is "" for a right one."""

    file: str
    kind: str
    title: str
    report: checking.Report

    @property
    def caught(self):
        """True where the checker called it wrong."""
        return self.report.status == "wrong"

    @property
    def named(self):
        """True where the message names the kind of the mistake."""
        return any(self.kind in verdict.kinds for verdict in self.report.verdicts)


def submissions():
    """Yield (file, kind, title, text): the wrong answers, then the right ones."""
    text = (HERE / "mutants.txt").read_text(encoding="utf-8")
    for head, pairs in planting.read(text.partition("\n\n")[2]):
        file, kind, title = head.split(": ", 2)
        source = starter.library_text(module_of(file))
        yield file, kind, title, planting.plant(source, pairs)
    for path in sorted((HERE / "variants").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        file, _, title = text.splitlines()[0].strip('"').partition(": ")
        yield file, "", title, text


def module_of(file):
    """Return the module of a file: "layers.linear" of "layers/linear.py"."""
    return file.removesuffix(".py").replace("/", ".")


def judge(submission):
    """Return the Row of one submission; what its task has besides is the library's."""
    file, kind, title, text = submission
    task = next(task for task in tasks.TASKS if module_of(file) in task.modules)
    sources = {task.file_of(module): starter.library_text(module) for module in task.modules}
    own, written = task.file_of(module_of(file)), starter.functions_of(text)
    if not set(task.functions_of(module_of(file))) <= {function.name for function in written}:
        text = f"{sources[own]}\n\n{text}"        # what it leaves out is the library's
    sources[own] = text
    return Row(file, kind, title, checking.check_task(task.name, sources))


def main(words):
    """Print the rows that went wrong, and the table; return the exit code."""
    chosen = [one for one in submissions()
              if not words or any(word in f"{one[0]}: {one[1]}: {one[2]}" for word in words)]
    with ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(judge, chosen))
    wrong, right = [row for row in rows if row.kind], [row for row in rows if not row.kind]
    for row in rows:
        if row.kind and not (row.caught and (row.named or row.kind == "other")):
            said = "NOT NAMED" if row.caught else "NOT CAUGHT"
            print(f"{said}: {row.file}: {row.kind}: {row.title}\n{indented(row.report)}")
        elif not row.kind and not row.report.passed:
            print(f"CALLED WRONG: {row.file}: {row.title}\n{indented(row.report)}")
    kinds = Counter(row.kind for row in wrong)
    print(f"\n{'kind of mistake':<28}{'planted':>8}{'caught':>8}{'named':>8}")
    for kind in sorted(kinds, key=lambda kind: (kind == "other", kind)):
        of_kind = [row for row in wrong if row.kind == kind]
        named = "" if kind == "other" else sum(row.named for row in of_kind)
        caught = sum(row.caught for row in of_kind)
        print(f"{kind:<28}{len(of_kind):>8}{caught:>8}{named:>8}")
    with_kind = [row for row in wrong if row.kind != "other"]
    caught, named = sum(row.caught for row in wrong), sum(row.named for row in with_kind)
    accepted = sum(row.report.passed for row in right)
    print(f"{caught} of {len(wrong)} wrong answers caught; of {len(with_kind)} with a kind "
          f"{named} named; {accepted} of {len(right)} right answers accepted")
    enough = named >= WANTED * len(with_kind)
    return 0 if caught == len(wrong) and accepted == len(right) and enough else 1


def indented(report):
    """Return a report's message, moved to the right."""
    return "\n".join(f"    {line}" for line in report.message.splitlines())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
