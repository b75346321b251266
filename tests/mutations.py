"""Prove that wrong code fails the tests: known mistakes, planted one at a time.

    python tests/mutations.py [WORD …]

Each mistake replaces one piece of text in a copy of the package, and the tests run against the
copy. Many were found in public code, where they trained to plausible accuracy; several pass a
gradient check, because their backward belongs to their wrong forward. Exits with 1 if one survives.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "vitnp"
# Files whose tests have another name than theirs
ELSEWHERE = {"batches": ["data/test_prefetch.py"], "dataset": ["data/test_split.py"],
             "embedding": ["layers/test_embedding.py",
                           "layers/convolutional/test_convolutional_gradients.py"],
             "files": ["runs/test_files_and_runs.py"], "fingerprint": ["data/test_parts.py"],
             "geometry": ["data/test_resized.py"],
             "labels": ["training/test_loop.py"],
             "lanes": ["parallel/test_lanes.py", "training/test_steps.py"],
             "optim": ["test_optim.py", "training/test_steps.py"],
             "saving": ["training/test_resume.py"],
             "steps": ["training/test_steps.py", "training/test_resume.py"],
             "loop": ["training/test_loop.py", "training/test_resume.py"]}


@dataclass(frozen=True)
class Mistake:
    """A text of one file and what it is replaced with."""

    file: str
    wrong: str
    old: str
    new: str


@dataclass(frozen=True)
class Outcome:
    """What the tests said of one mistake."""

    mistake: Mistake
    killed_by: str
    seconds: float


def tests_for(file):
    """Return the test files to run, those most likely to see a mistake in `file` first."""
    name = Path(file).stem
    own = [TESTS / path for path in ELSEWHERE.get(name, ())]
    own += [path for path in sorted(TESTS.rglob(f"test_{name}.py")) if path not in own]
    if "convolutional" in Path(file).parts:
        own.append(TESTS / "layers/convolutional")
    every = ["test_google_fixtures.py", "test_vit.py", "layers", "training/test_trajectories.py",
             "test_optim.py", "test_params.py", "training/test_loop.py",
             "training/test_strict_training.py", "gradcheck/test_gradcheck.py"]
    return own + [path for path in (TESTS / name for name in every) if path not in own]


def read_mistakes(path=TESTS / "planted_mistakes.txt"):
    """Return the mistakes of a file, whose first paragraph tells its form."""
    paragraphs = path.read_text().strip().split("\n\n")[1:]
    mistakes = []
    for paragraph in paragraphs:
        title, *lines = paragraph.split("\n")
        file, wrong = title.split(": ", 1)
        old = [line[1:] for line in lines if line.startswith("-")]
        new = [line[1:] for line in lines if line.startswith("+")]
        if len(old) + len(new) != len(lines):
            raise SystemExit(f"a line of this mistake starts with neither - nor +: {paragraph}")
        mistakes.append(Mistake(file, wrong, "\n".join(old), "\n".join(new)))
    return mistakes


def plant(mistake, folder):
    """Copy the package into `folder` with the mistake in it."""
    shutil.copytree(PACKAGE, folder / "vitnp", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "vitnp" / mistake.file
    source = path.read_text()
    if source.count(mistake.old) != 1:
        raise SystemExit(f"{mistake.file}: this occurs {source.count(mistake.old)} times, "
                         f"not once: {mistake.old!r}")
    path.write_text(source.replace(mistake.old, mistake.new))


def try_mistake(mistake, command=("-m", "pytest"), tests=None):
    """Return the Outcome of the tests on a copy of the package with one mistake.

    command: what Python runs the tests with; tests: its arguments, by default for the file.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        plant(mistake, Path(folder))
        environment = os.environ | {"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1",
                                    "PYTHONSAFEPATH": "1"}
        done = subprocess.run(
            [sys.executable, *command, "-x", "-n", "0", "-p", "no:cacheprovider",
             *map(str, tests or tests_for(mistake.file))],
            capture_output=True, text=True, env=environment, cwd=TESTS.parent, timeout=600,
            check=False)
    killed_by = ""
    if done.returncode != 0:
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        killed_by = failed.group(1) if failed else f"the process ended with {done.returncode}"
    return Outcome(mistake, killed_by, time.perf_counter() - began)


def run(words=()):
    """Return the Outcomes of all mistakes whose file or title holds one of the words."""
    chosen = [mistake for mistake in read_mistakes()
              if not words or any(word in f"{mistake.file} {mistake.wrong}" for word in words)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(try_mistake, chosen))


def main():
    """Print the table of mistakes and the test that each fails."""
    return report(run(sys.argv[1:]))


def report(outcomes):
    """Print a table of Outcomes, and return 1 if a mistake survived."""
    for outcome in outcomes:
        killed_by = outcome.killed_by.removeprefix("tests/") or "SURVIVED"
        print(f"{outcome.mistake.file:<34} {outcome.mistake.wrong:<50} {killed_by}")
    survivors = sum(not outcome.killed_by for outcome in outcomes)
    print(f"{len(outcomes)} mistakes, {survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
