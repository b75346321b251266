"""Installed as users do it: the clone beside the program, and the wheel without the clone.

Both need a package index, from which pip takes what vitnp needs; without one they are skipped.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
USE = "import vitnp; print(vitnp.load.__name__, vitnp.__version__)"


def call(folder, *words):
    """Run a program in a folder, and return what it printed."""
    done = subprocess.run([*map(str, words)], cwd=folder, capture_output=True, text=True,
                          timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked(*patterns):
    """Return the files of the clone that git knows, or would with `git add`."""
    listed = call(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns)
    return [name for name in listed.splitlines() if (ROOT / name).is_file()]


def train_the_digits(folder, program):
    """Train for one epoch with an installed `vitnp`, and check what is left behind."""
    printed = call(folder, program, "train", "--model", "micro/4", "--epochs", "1", "--threads", 1)
    score, run = printed.splitlines()
    assert score.startswith("test accuracy ") and score.endswith(", 360 images")
    assert (folder / run / "curves.png").is_file()


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return a clone, called vitnp, in which README's command has installed the package."""
    done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest",
                           tmp_path_factory.mktemp("index"), "setuptools"],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip reaches no package index: {done.stderr.strip().splitlines()[-1]}")
    folder = tmp_path_factory.mktemp("work") / "vitnp"
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    command = re.search(r"^    (python3 -m venv .*) && \S+ -m vitnp.train$",
                        (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)[1]
    call(folder, "bash", "-c", command)
    return folder


def test_a_program_beside_the_clone_imports_the_package(clone):
    """The clone's folder must not be taken for the package: it has the same name, and no code."""
    parent = clone.parent
    assert call(parent, "vitnp/.venv/bin/python", "-c", USE).startswith("load ")
    assert call(parent, "vitnp/.venv/bin/python", "-m", "vitnp").startswith("usage: vitnp COMMAND")
    (parent / "mine.py").write_text(USE)
    assert call(clone, ".venv/bin/python", parent / "mine.py").startswith("load ")
    train_the_digits(parent, "vitnp/.venv/bin/vitnp")


def test_a_folder_of_the_same_name_elsewhere_is_not_taken_for_the_package(clone, tmp_path):
    (tmp_path / "vitnp" / "runs").mkdir(parents=True)
    assert call(tmp_path, clone / ".venv/bin/python", "-c", USE).startswith("load ")


def test_the_wheel_alone_trains_the_digits(clone, tmp_path):
    """A file that the wheel leaves out is missed only where there is no clone."""
    python = clone / ".venv/bin/python"
    call(clone, python, "-m", "pip", "install", "-q", "build")
    call(clone, python, "-m", "build", "--outdir", tmp_path)
    [wheel], [sdist] = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert sorted(names) == sorted(tracked("vitnp"))
    with tarfile.open(sdist) as archive:
        held = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert held >= {*names, "README.md", "LICENSE", "setup.cfg", "pyproject.toml"}
    venv.create(tmp_path / "bare", with_pip=True)
    call(tmp_path, tmp_path / "bare/bin/pip", "install", "-q", wheel)
    (tmp_path / "vitnp").mkdir()
    train_the_digits(tmp_path, tmp_path / "bare/bin/vitnp")
    assert call(tmp_path, tmp_path / "bare/bin/python", "-c", USE).startswith("load ")
