"""Grading: what is read of a submission, what is written of it, and a class with a few villains."""

import argparse
import csv
import io
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import time
import warnings
import xml.etree.ElementTree as xml
import zipfile

import hostility
import pytest

from tutorials.assignments import __main__ as command_line
from tutorials.assignments import checking, grading
from tutorials.assignments.grading import exports, submissions
from tutorials.assignments.sandbox import isolation
from vitnp import Error

WANTED = {"layernorm.py", "linear.py"}
LAYERNORM = {"05-layernorm": 12.0}
HONEST_LIBRARY = hostility.HONEST
OWN = (hostility.FOLDER.parent / "variants/18-layernorm_einsum.py").read_text()


def archive(path, *members):
    """Write a .zip of pairs (name or ZipInfo, content)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")         # two members of one name are tried on purpose
        for name, content in members:
            file.writestr(name, content)
    return path


def link(name):
    """Return the ZipInfo of a symbolic link."""
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def read(path, wanted=WANTED):
    """Return the Submission at a path, under the name that it has."""
    return submissions.read(submissions.entry_of(path.name, [(path, path.name)]), wanted)


def put(path, text=""):
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_folders_and_archives_are_read_alike(tmp_path):
    put(tmp_path / "ada/my_work/layernorm.py", b"\xef\xbb\xbfnew = 1\r\n")
    put(tmp_path / "ada/my_work/old/layernorm.py", "old = 1\n")
    put(tmp_path / "ada/my_work/secret.py", "not asked for\n")
    packed = archive(tmp_path / "alan.zip", ("my_work/layernorm.py", "new = 1\r\n"),
                     ("my_work/old/layernorm.py", "old = 1\n"), ("__MACOSX/layernorm.py", "x"))
    for name, mode in (("b.tar.gz", "w:gz"), ("c.tgz", "w:gz"), ("d.tar", "w"),
                       ("e.tar.xz", "w:xz")):
        with tarfile.open(tmp_path / name, mode) as file:
            file.add(tmp_path / "ada", "anything/ada")
    (tmp_path / "f").mkdir()
    inner = archive(tmp_path / "f" / "Ada.ZIP", ("layernorm.py", "new = 1\r\n"))
    for path in (tmp_path / "ada", packed, *tmp_path.glob("*.t*"), inner.parent):
        submission = read(path)
        assert submission.sources == {"layernorm.py": "new = 1\r\n"} and submission.notes == ()
    assert [entry.student for entry in submissions.find(tmp_path)] == ["ada", "alan", "b", "c", "d",
                                                                        "e", "f"]


@pytest.mark.parametrize(("name", "taken"), [
    ("layernorm.py", True), ("LayerNorm.PY", True), ("layernorm (1).py", True),
    ("layernorm-2.py", True), ("layernorm_v3.py", True), ("layernorm copy.py", True),
    ("ada_layernorm_final.py", True), ("layernorms.py", False), ("norm.py", False),
    ("layernorm.txt", False),
])
def test_a_renamed_file_is_taken_and_told(tmp_path, name, taken):
    put(tmp_path / "ada" / name, "x = 1\n")
    submission = read(tmp_path / "ada")
    assert bool(submission.sources) == taken
    if not taken:
        assert submission.notes[-1] == (f"no file of a task was found; seen: {name}; looked for: "
                                        "layernorm.py, linear.py")
    elif name != "layernorm.py":
        assert submission.notes == (f"{name} is taken for layernorm.py",)


def test_encodings_and_notebooks(tmp_path):
    put(tmp_path / "ada/layernorm.py", "x = 'é'".encode("utf-16"))
    put(tmp_path / "ada/linear.py", "# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1"))
    assert set(read(tmp_path / "ada").sources) == WANTED
    assert "UTF-16" in read(tmp_path / "ada").notes[0]
    cells = ["import numpy as np\n%matplotlib inline\nE = 1\nprint(E)",
             "def forward(x):\n    return x", "forward(1)\nassert 0",
             "%%writefile layernorm.py\ndef other(): pass"]
    notebook = {"cells": [{"cell_type": "code", "source": cell.splitlines(True)} for cell in cells]
                + [{"cell_type": "markdown", "source": ["def text(): pass"]}]}
    put(tmp_path / "bob/Linear.ipynb", json.dumps(notebook))
    submission = read(tmp_path / "bob")
    assert submission.sources == {
        "linear.py": ("import numpy as np\nE = 1\n\ndef forward(x):\n    return x\n\n"
                      "def other(): pass"),
        "layernorm.py": "def other(): pass"}
    assert "layernorm.py is taken out of Linear.ipynb" in submission.notes
    put(tmp_path / "eve/linear.ipynb", "not json")
    assert "no file of a task was found" in read(tmp_path / "eve").notes[0]


def test_of_a_clone_only_the_students_own_files_are_read(tmp_path):
    """Also where the clone is in an archive, under another name, or has an environment in it."""
    for root in ("clone", "packed/vitnp-main"):
        for name in ("vitnp/__init__.py", "vitnp/layers/__init__.py", "vitnp/layers/linear.py",
                     "tests/linear.py", "tutorials/linear.py", ".venv/lib/linear.py",
                     ".git/linear.py", "venv/x/site-packages/vitnp/layers/linear.py"):
            put(tmp_path / root / name, "theirs = 1\n")
    assert read(tmp_path / "clone").sources == {}
    assert "the project's own files" in read(tmp_path / "clone").notes[0]
    put(tmp_path / "packed/vitnp-main/my_work/linear.py", "mine = 1\n")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as file:
        file.add(tmp_path / "packed", "vitnp")
    for path in (tmp_path / "packed", tmp_path / "x.tar.gz"):
        assert read(path).sources == {"linear.py": "mine = 1\n"}


def test_bulk_downloads_of_moodle_and_canvas(tmp_path):
    put(tmp_path / "Ada Lovelace_101_assignsubmission_file_/linear.py", "x")
    put(tmp_path / "Alan Turing_102_assignsubmission_file_/work.zip",
        archive(tmp_path.parent / "w.zip", ("linear.py", "y")).read_bytes())
    put(tmp_path / "hoppergrace_77_9001_linear-1.py", "z")
    put(tmp_path / "hoppergrace_77_9002_layernorm.py", "z")
    put(tmp_path / "noethere_LATE_78_9003_linear.py", "z")
    found = {entry.student: submissions.read(entry, WANTED) for entry in submissions.find(tmp_path)}
    assert {name: set(one.sources) for name, one in found.items()} == {
        "Ada Lovelace": {"linear.py"}, "Alan Turing": {"linear.py"}, "hoppergrace": WANTED,
        "noethere": {"linear.py"}}
    assert "late" in found["noethere"].notes[0]


def test_every_entry_is_a_row_with_a_reason(tmp_path):
    folder = tmp_path / "all"
    put(folder / "loose_linear.py", "x")
    put(folder / "notes.pdf")
    put(folder / "ada/linear.py", "x")
    archive(folder / "ada.zip", ("linear.py", "y"))
    archive(folder / "deep.zip", ("a/" * 30 + "linear.py", "y"))
    put(folder / "a.rar", "Rar!")
    put(folder / ".DS_Store")
    (folder / "link").symlink_to("ada")
    os.mkfifo(folder / "pipe")
    put(folder / ("n" * 250) / "linear.py", "x")
    put(folder / "ctrl\x07a/linear.py", "x")
    put(folder / "ctrl\x08a/linear.py", "x")
    place = folder / "deepest"
    place.mkdir()
    descriptor = os.open(place, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=descriptor)
        descriptor, old = os.open("d", os.O_RDONLY, dir_fd=descriptor), descriptor
        os.close(old)
    os.close(descriptor)
    entries = submissions.find(folder)
    assert len(entries) == len(list(folder.iterdir())) - 1
    assert len({entry.file for entry in entries}) == len(entries)
    assert all(len(entry.file.encode()) < 130 for entry in entries)
    for entry in entries:
        submission = submissions.read(entry, WANTED)
        assert submission.sources or submission.notes, entry
    notes = {entry.student: submissions.read(entry, WANTED).notes for entry in entries}
    assert "no file of a task was found; seen: notes.pdf" in notes["notes.pdf"][0]
    assert "hand in a .zip" in notes["a"][0] and "it is a link" in notes["link"][0]
    assert "several of this name" in notes["ada"][0] and "several" in notes["ada.zip"][0]
    subprocess.run(["rm", "-rf", place], check=True)    # Python's own gives up


def test_links_pipes_and_large_files_are_left_out(tmp_path):
    put(tmp_path / "other/layernorm.py", "a neighbour's\n")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "layernorm.py").symlink_to("../other/layernorm.py")
    (mine / "sub").symlink_to("../other")
    os.mkfifo(mine / "linear.py")
    submission = read(mine)
    assert submission.sources == {}
    assert submission.notes[:2] == ("layernorm.py: it is a link, and links are not followed",
                                    "linear.py: it is no ordinary file")
    put(tmp_path / "other/linear.py", b"#" * (submissions.LARGEST_FILE + 1))
    put(tmp_path / "other/layernorm.py", b"\xff\xfd")
    assert read(tmp_path / "other").notes[:2] == (
        "layernorm.py is not text in UTF-8", "linear.py is larger than 262144 bytes")


def test_hostile_archives_are_refused_in_a_sentence(tmp_path):
    bomb = archive(tmp_path / "bomb.zip", ("layernorm.py", "#" * 2**24))
    assert read(bomb).notes[0] == "layernorm.py is larger than 262144 bytes"
    linked = archive(tmp_path / "linked.zip", (link("layernorm.py"), "/etc/passwd"))
    assert "links are not followed" in read(linked).notes[0]
    above = archive(tmp_path / "above.zip", ("../../layernorm.py", "x = 1\n"), ("/linear.py", "y"))
    assert set(read(above).sources) == WANTED                       # read, and never unpacked
    assert sorted(path.name for path in tmp_path.iterdir()) == ["above.zip", "bomb.zip",
                                                                "linked.zip"]
    twice = archive(tmp_path / "twice.zip", ("layernorm.py", "x"), ("layernorm.py", "y"))
    assert "there are 2 files for layernorm.py" in read(twice).notes[0]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_BZIP2) as file:
        file.writestr("layernorm.py", "#" * 2**20)
    (tmp_path / "odd.zip").write_bytes(packed.getvalue())
    assert "unusual way" in read(tmp_path / "odd.zip").notes[0]
    (tmp_path / "torn.zip").write_bytes(bomb.read_bytes()[:100])
    assert "cannot be read" in read(tmp_path / "torn.zip").notes[0]
    nested = archive(tmp_path / "n.zip", ("b.zip", bomb.read_bytes()), ("linear.py", "x"))
    assert set(read(nested).sources) == {"linear.py"}


def test_a_folder_without_submissions_is_one_sentence(tmp_path):
    with pytest.raises(Error, match="is no folder"):
        submissions.find(tmp_path / "none")
    (tmp_path / ".hidden").write_text("")
    with pytest.raises(Error, match="there is no submission"):
        submissions.find(tmp_path)


def report(student, score=7.0, status="wrong", message="layernorm:backward: wrong\x1b"):
    """Return a report as grading.grade does."""
    return {"student": student, "status": "done", "score": score, "possible": 12.0, "seed": 1,
            "isolation": "bwrap", "notes": ["=cmd()"], "seconds": 1.5, "shapes": {},
            "fingerprint": "",
            "tasks": [{"task": "05-layernorm", "possible": 12.0, "score": score, "status": status,
                       "message": grading.clean(message), "printed": "", "functions": []}]}


def test_tables_hold_no_formulas(tmp_path):
    exports.write_table(tmp_path / "grades.csv", [report("=ada"), report("alan")], LAYERNORM)
    with open(tmp_path / "grades.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["student", "score", "possible", "05-layernorm", "days late",
                       "status", "notes"]
    assert rows[1] == ["'=ada", "7.0", "12.0", "7.0", "", "done", "'=cmd()"]
    assert rows[2][0] == "alan"


def test_gradescope_and_junit_get_their_forms(tmp_path):
    result = exports.for_gradescope(report("ada"))
    assert result["score"] == 7.0 and result["tests"][0]["max_score"] == 12.0
    assert result["tests"][0]["status"] == "failed" and json.dumps(result, allow_nan=False)
    reports = [report("ada"), report("alan & <co>", 12.0, "passed", "")]
    exports.write_junit(tmp_path / "junit.xml", reports)
    suites = xml.parse(tmp_path / "junit.xml").getroot()
    assert [suite.get("failures") for suite in suites] == ["1", "0"]
    assert suites[0][0].find("failure").text == "layernorm:backward: wrong\ufffd"


def test_without_strong_isolation_trust_is_asked_for(monkeypatch):
    monkeypatch.setattr(isolation, "reason_against", lambda level: "not here")
    for root in (True, False):
        monkeypatch.setattr(isolation, "is_root", lambda root=root: root)
        for trust in (True, False):
            with pytest.raises(Error, match="cannot be shut off.*apt-get install bubblewrap"):
                isolation.choose(trust)
    monkeypatch.setattr(isolation, "is_root", lambda: True)
    monkeypatch.setattr(isolation, "refuse_reachable", lambda paths: None)
    monkeypatch.setattr(isolation, "reason_against",
                        lambda level: "not here" if level == "bwrap" else None)
    with pytest.raises(Error, match="pass --trust to run it as a user without rights"):
        isolation.choose(trust=False)
    assert isolation.choose(trust=True) == "user"


def test_what_another_user_may_read_is_refused(tmp_path):
    if not isolation.is_root():
        pytest.skip("only root can become another user")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != folder.parent:
            folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "solution.py").write_text("secret")
    with pytest.raises(Error, match="could read .*solution.py; chmod 700"):
        isolation.refuse_reachable([tmp_path / "solution.py"])
    tmp_path.chmod(0o700)
    isolation.refuse_reachable([tmp_path / "solution.py"])


def grade(folder, out, *words, isolated="none"):
    """Grade a folder as the command does, and return the exit code."""
    parser = argparse.ArgumentParser()
    grading.add_parser(parser.add_subparsers())
    options = parser.parse_args(["grade", str(folder), "--out", str(out / "grades.csv"),
                                 "--tasks", "05-layernorm", *map(str, words)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isolation, "choose", lambda trust, guarded: isolated)
        return options.main(options)


def rows_of(out):
    """Return the rows of a table by student."""
    with open(out / "grades.csv", newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def test_one_crash_costs_one_task_or_one_student(tmp_path, monkeypatch):
    def check_task(task, sources, seed, isolation):
        raise ValueError("what no check can stand")

    monkeypatch.setattr(checking, "check_task", check_task)
    for name in ("ada", "alan"):
        put(tmp_path / "all" / name / "layernorm.py", "x")
    monkeypatch.setattr(submissions, "read", lambda entry, wanted, read=submissions.read:
                        1 / 0 if entry.student == "alan" else read(entry, wanted))
    assert grade(tmp_path / "all", tmp_path) == 130
    reports = [json.loads((tmp_path / f"reports/{name}.json").read_text()) for name in
               ("ada", "alan")]
    assert reports[0]["status"] == "done" and reports[0]["tasks"][0]["status"] == "crashed"
    assert "what no check can stand" in reports[0]["tasks"][0]["message"]
    assert reports[1]["status"] == "crashed" and "ZeroDivisionError" in reports[1]["notes"][0]


def test_a_grading_that_is_ended_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    """Each report is there when it is made; the second run does what is left, with the seed."""
    asked = []

    def check_task(task, sources, seed, isolation):
        asked.append((sources["layernorm.py"], seed))
        if asked[-1][0] == "stop" and len(asked) < 3:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1.0)                     # the main thread hears of it meanwhile
        return checking.Report(task, "passed", (checking.Verdict("layernorm:forward", True),))

    monkeypatch.setattr(checking, "check_task", check_task)
    for name, text in (("ada", "first"), ("bob", "stop"), ("eve", "last")):
        put(tmp_path / "all" / name / "layernorm.py", text)
    assert grade(tmp_path / "all", tmp_path, "--jobs", "1") == 130
    assert "go on with --resume" in capsys.readouterr().err
    first = rows_of(tmp_path)
    assert list(first) == ["ada", "bob", "eve"] and first["ada"]["status"] == "done"
    assert first["eve"]["status"] == "crashed" and "--resume" in first["eve"]["notes"]
    before = len(asked)
    assert grade(tmp_path / "all", tmp_path, "--jobs", "1", "--resume") == 0
    assert "first" not in [text for text, _ in asked[before:]] and asked[-1][0] == "last"
    assert len({seed for _, seed in asked}) == 1
    assert {row["score"] for row in rows_of(tmp_path).values()} == {"12.0"}
    put(tmp_path / "all/ada/layernorm.py", "changed")
    grade(tmp_path / "all", tmp_path, "--resume")
    assert asked[-1][0] == "changed"
    grade(tmp_path / "all", tmp_path, "--student", "EVE")
    assert asked[-1][0] == "last" and len(rows_of(tmp_path)) == 3
    for words, told in ((["--student", "nobody"], "nothing was handed in by 'nobody'"),
                        (["--resume", "--report", tmp_path / "new"], "no grading in .* to go on"),
                        (["--tasks", "10-adam"], "did you mean 10-adamw"),
                        (["--due", "soon"], "--due is 'soon'; write it as 2027-03-01")):
        with pytest.raises(Error, match=told):
            grade(tmp_path / "all", tmp_path, *words)


def test_the_librarys_text_brings_points_only_by_the_teachers_word(tmp_path):
    library = HONEST_LIBRARY.replace("    centred = ", "    # a comment of mine\n    centred = ")
    forward = library.partition("def backward")[0]
    mine = OWN.partition("def backward")
    put(tmp_path / "all/copied/layernorm.py", library)
    put(tmp_path / "all/own/layernorm.py", OWN)
    put(tmp_path / "all/half/layernorm.py", mine[0] + "\n\n" + "def backward"
        + library.partition("def backward")[2])
    assert forward
    assert grade(tmp_path / "all", tmp_path) == 0
    scores = {name: float(row["score"]) for name, row in rows_of(tmp_path).items()}
    assert scores["copied"] == 0.0 and scores["own"] == 12.0 and scores["half"] <= 6.0
    told = json.loads((tmp_path / "reports/copied.json").read_text())["tasks"][0]
    assert told["status"] == "library" and "layernorm:forward: the library's own" in told["message"]
    grade(tmp_path / "all", tmp_path, "--accept-library", "--student", "copied")
    assert rows_of(tmp_path)["copied"]["score"] == "12.0"


def test_roster_days_late_and_what_is_alike(tmp_path, capsys):
    put(tmp_path / "all/Ada/layernorm.py", OWN)
    put(tmp_path / "all/bob/layernorm.py", OWN.replace("dy", "up").replace("cache", "kept"))
    put(tmp_path / "all/eve/layernorm.py", "def forward(x): return 2 * x, x\n")
    roster_file = put(tmp_path / "roster.csv", "\ufeffstudent;handed_in\nada;2027-03-02 10:00\n"
                      "bob;2027-02-01\nzoe;\n")
    grade(tmp_path / "all", tmp_path, "--roster", roster_file, "--due", "2027-03-01",
          "--junit", tmp_path / "j.xml")
    rows = rows_of(tmp_path)
    assert [rows[name]["days late"] for name in ("Ada", "bob", "eve", "zoe")] == ["1", "0", "", ""]
    assert rows["zoe"]["status"] == "nothing handed in"
    assert "not on the roster" in rows["eve"]["notes"]
    assert (tmp_path / "grades-alike.csv").read_text().splitlines()[1:] == ["layernorm.py,Ada; bob"]
    told = capsys.readouterr().out
    assert "05-layernorm                           3       2" in told
    assert (tmp_path / "grades.png").stat().st_size > 10_000
    assert len(list(xml.parse(tmp_path / "j.xml").getroot())) == 4


def test_gradescopes_zip_holds_the_scripts_and_the_project(tmp_path):
    assert command_line.main(["gradescope", "--out", str(tmp_path / "a.zip"), "--course", "spring",
                              "--tasks", "04-linear"]) == 0
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        names = set(file.namelist())
        assert {"setup.sh", "run_autograder", "requirements.txt", "vitnp/layers/linear.py",
                "tutorials/assignments/__main__.py"} <= names
        assert file.read("options.txt") == b"--course spring\n"
        assert file.read("tutorials/assignments/tasks/points.csv") == b"task,points\n04-linear,8\n"
        assert b"numpy>=2.0" in file.read("requirements.txt")
        assert file.getinfo("run_autograder").external_attr >> 16 == 0o755
    assert not any("teacher/" in name for name in names) and len(names) == len(set(names))


@pytest.mark.slow
@pytest.mark.parametrize("level", ["bwrap", "user"])
def test_a_class_with_villains(tmp_path, monkeypatch, level):
    """Each villain gets nothing and a message, the others what they earn, and nothing is harmed."""
    level = hostility.strong(level)
    monkeypatch.setattr(checking, "SECONDS", 6.0)
    folder = tmp_path / "submissions"
    broken = OWN.replace("def backward", "def unfinished")
    sources = {"ada": OWN, "zoe": OWN, "half": broken}
    sources |= {name: hostility.text(name, neighbours=folder) for name in hostility.NAMES}
    if level == "user":         # such a user may read what all may: that is refused beforehand
        del sources["reads_solution"]
    for student, source in sources.items():
        put(folder / student / "layernorm.py", source)
    archive(folder / "bomb.zip", ("layernorm.py", "#" * 2**24))
    (folder / "thief").mkdir()
    (folder / "thief/layernorm.py").symlink_to("../ada/layernorm.py")
    assert grade(folder, tmp_path, "--jobs", "2", isolated=level) == 0
    rows = rows_of(tmp_path)
    scores = {name: float(row["score"]) for name, row in rows.items()}
    assert {name for name, score in scores.items() if score} == {"ada", "zoe", "half"}
    assert scores["ada"] == scores["zoe"] == 12.0 and scores["half"] == 6.0
    assert len(scores) == len(sources) + 2
    assert {row["status"] for row in rows.values()} == {"done"}
    assert {path.name for path in folder.iterdir()} == {*sources, "bomb.zip", "thief"}
    for student, source in sources.items():
        assert (folder / student / "layernorm.py").read_text() == source


@pytest.mark.slow
def test_the_command_grades_and_says_what_it_did(tmp_path):
    put(tmp_path / "subs/ada/layernorm.py", OWN)
    line = [sys.executable, "-m", "tutorials.assignments", "grade"]
    if isolation.reason_against("bwrap"):
        pytest.skip(isolation.reason_against("bwrap"))
    options = ["--out", tmp_path / "grades.csv", "--junit", tmp_path / "j.xml"]
    done = subprocess.run([*line, tmp_path / "subs", *options], cwd=hostility.CLONE,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "12 of" in done.stdout and "seed " in done.stdout
    assert "students' code runs" in done.stderr
    assert (tmp_path / "reports" / "ada.json").exists() and (tmp_path / "j.xml").exists()
    refused = subprocess.run([*line, tmp_path / "none", *options], cwd=hostility.CLONE,
                             capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and refused.stderr.splitlines()[-1].startswith("error: ")
