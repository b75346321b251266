"""Grading: what is read of a submission, what is written of it, and a class with a few villains."""

import csv
import io
import json
import os
import stat
import subprocess
import sys
import warnings
import xml.etree.ElementTree as xml
import zipfile

import hostility
import pytest

from tutorials.assignments import checking, grading, tasks
from tutorials.assignments.grading import exports, submissions
from tutorials.assignments.sandbox import isolation
from vitnp import Error

WANTED = {"layernorm.py", "linear.py"}
LAYERNORM = {"05-layernorm": 12.0}


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


def test_folders_and_archives_are_read_alike(tmp_path):
    folder = tmp_path / "ada"
    (folder / "my_work" / "old").mkdir(parents=True)
    (folder / "my_work" / "layernorm.py").write_bytes(b"\xef\xbb\xbfnew = 1\r\n")
    (folder / "my_work" / "old" / "layernorm.py").write_text("old = 1\n")
    (folder / "my_work" / "secret.py").write_text("not asked for\n")
    packed = archive(tmp_path / "alan.zip", ("my_work/layernorm.py", "new = 1\r\n"),
                     ("my_work/old/layernorm.py", "old = 1\n"), ("__MACOSX/layernorm.py", "x"))
    for path in (folder, packed):
        submission = submissions.read(path, WANTED)
        assert submission.sources == {"layernorm.py": "new = 1\r\n"} and submission.notes == ()
    assert [submissions.student_of(path) for path in submissions.find(tmp_path)] == ["ada", "alan"]


def test_links_pipes_and_large_files_are_left_out(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "layernorm.py").write_text("a neighbour's\n")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "layernorm.py").symlink_to("../other/layernorm.py")
    (mine / "sub").symlink_to("../other")
    os.mkfifo(mine / "linear.py")
    submission = submissions.read(mine, WANTED)
    assert submission.sources == {}
    assert submission.notes == ("layernorm.py is a link, and links are not followed",
                                "linear.py is no ordinary file")
    (tmp_path / "linked").symlink_to("other")
    assert "it is a link" in submissions.read(tmp_path / "linked", WANTED).notes[0]
    (tmp_path / "other" / "linear.py").write_bytes(b"#" * (submissions.LARGEST_FILE + 1))
    (tmp_path / "other" / "layernorm.py").write_bytes(b"\xff\xfe")
    assert submissions.read(tmp_path / "other", WANTED).notes == (
        "layernorm.py is not text in UTF-8", "linear.py is larger than 262144 bytes")


def test_hostile_archives_are_refused_in_a_sentence(tmp_path):
    bomb = archive(tmp_path / "bomb.zip", ("layernorm.py", "#" * 2**24))
    assert submissions.read(bomb, WANTED).notes == ("layernorm.py is larger than 262144 bytes",)
    linked = archive(tmp_path / "linked.zip", (link("layernorm.py"), "/etc/passwd"))
    assert "links are not followed" in submissions.read(linked, WANTED).notes[0]
    above = archive(tmp_path / "above.zip", ("../../layernorm.py", "x = 1\n"), ("/linear.py", "y"))
    assert set(submissions.read(above, WANTED).sources) == WANTED   # read, and never unpacked
    assert sorted(path.name for path in tmp_path.iterdir()) == ["above.zip", "bomb.zip",
                                                                "linked.zip"]
    twice = archive(tmp_path / "twice.zip", ("layernorm.py", "x"), ("layernorm.py", "y"))
    assert submissions.read(twice, WANTED).notes == ("there are 2 files layernorm.py; leave one",)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_BZIP2) as file:
        file.writestr("layernorm.py", "#" * 2**20)
    (tmp_path / "odd.zip").write_bytes(packed.getvalue())
    assert "unusual way" in submissions.read(tmp_path / "odd.zip", WANTED).notes[0]
    (tmp_path / "torn.zip").write_bytes(bomb.read_bytes()[:100])
    assert "cannot be read" in submissions.read(tmp_path / "torn.zip", WANTED).notes[0]


def test_a_folder_without_submissions_is_one_sentence(tmp_path):
    with pytest.raises(Error, match="is no folder"):
        submissions.find(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(Error, match="there is no submission"):
        submissions.find(tmp_path)
    (tmp_path / "ada").mkdir()
    archive(tmp_path / "ada.zip")
    with pytest.raises(Error, match="a folder and a .zip file of the name 'ada'"):
        submissions.find(tmp_path)


def report(student, score=7.0, status="wrong", message="layernorm:backward: wrong\x1b"):
    """Return a report as grading.grade does."""
    return {"student": student, "status": "done", "score": score, "possible": 12.0, "seed": 1,
            "isolation": "bwrap", "notes": ["=cmd()"],
            "tasks": [{"task": "05-layernorm", "possible": 12.0, "score": score, "status": status,
                       "message": grading.clean(message), "printed": "", "functions": []}]}


def test_tables_hold_no_formulas(tmp_path):
    exports.write_table(tmp_path / "grades.csv", [report("=ada"), report("alan")])
    with open(tmp_path / "grades.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["student", "score", "possible", "05-layernorm", "status", "notes"]
    assert rows[1] == ["'=ada", "7.0", "12.0", "7.0", "done", "'=cmd()"]
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


def test_one_crash_costs_one_task_or_one_student(tmp_path, monkeypatch):
    def check_task(task, sources, seed, isolation):
        if sources["layernorm.py"] == "worse":
            raise KeyboardInterrupt
        raise ValueError("what no check can stand")

    monkeypatch.setattr(tasks, "points", lambda: LAYERNORM)
    monkeypatch.setattr(checking, "check_task", check_task)
    paths = [archive(tmp_path / f"{name}.zip", ("layernorm.py", "x")) for name in ("ada", "alan")]
    monkeypatch.setattr(submissions, "read", lambda path, wanted, read=submissions.read:
                        1 / 0 if path.stem == "alan" else read(path, wanted))
    ada, alan = grading.grade_all(paths, tmp_path / "reports", 1, "none", 2)
    assert ada["status"] == "done" and ada["tasks"][0]["status"] == "crashed"
    assert "what no check can stand" in ada["tasks"][0]["message"]
    assert alan["status"] == "crashed" and "ZeroDivisionError" in alan["notes"][0]
    assert json.loads((tmp_path / "reports" / "alan.json").read_text())["score"] == 0.0


def test_a_grading_that_is_ended_leaves_reports_that_say_so(tmp_path, monkeypatch):
    def check_task(task, sources, seed, isolation):
        written = json.loads((tmp_path / "reports" / "ada.json").read_text())
        assert written["status"] == "crashed" and "run it again" in written["notes"][0]
        assert json.loads((tmp_path / "results.json").read_text())["score"] == 0.0
        return checking.Report(task, "passed", (checking.Verdict("layernorm:forward", True),))

    monkeypatch.setattr(tasks, "points", lambda: LAYERNORM)
    monkeypatch.setattr(checking, "check_task", check_task)
    path = archive(tmp_path / "ada.zip", ("layernorm.py", "x"))
    (done,) = grading.grade_all([path], tmp_path / "reports", 1, "none", 1,
                                tmp_path / "results.json")
    assert done["score"] == 12.0 and done["status"] == "done"
    assert json.loads((tmp_path / "results.json").read_text())["score"] == 12.0


@pytest.mark.slow
def test_a_class_with_villains(tmp_path, monkeypatch):
    """Each villain gets nothing and a message, the others what they earn, and nothing is harmed."""
    level = isolation.best()
    if level not in isolation.STRONG:
        pytest.skip("nothing here shuts a child off")
    monkeypatch.setattr(tasks, "points", lambda: LAYERNORM)
    monkeypatch.setattr(checking, "SECONDS", 6.0)
    folder = tmp_path / "submissions"
    broken = hostility.HONEST.replace("def backward", "def unfinished")
    sources = {"ada": hostility.HONEST, "zoe": hostility.HONEST, "half": broken}
    sources |= {name: hostility.text(name, neighbours=folder) for name in hostility.NAMES}
    for student, source in sources.items():
        (folder / student).mkdir(parents=True)
        (folder / student / "layernorm.py").write_text(source)
    archive(folder / "bomb.zip", ("layernorm.py", "#" * 2**24))
    (folder / "thief").mkdir()
    (folder / "thief" / "layernorm.py").symlink_to("../ada/layernorm.py")
    reports = grading.grade_all(submissions.find(folder), tmp_path / "reports", 5, level, 2)
    scores = {report["student"]: report["score"] for report in reports}
    assert {name for name, score in scores.items() if score} == {"ada", "zoe", "half"}
    assert scores["ada"] == scores["zoe"] == 12.0 and scores["half"] == 6.0
    assert len(scores) == len(sources) + 2
    for entry in reports:
        assert entry["status"] == "done"
        assert entry["student"] in ("ada", "zoe") or entry["tasks"][0]["message"]
    assert {path.name for path in folder.iterdir()} == {*sources, "bomb.zip", "thief"}
    for student, source in sources.items():
        assert (folder / student / "layernorm.py").read_text() == source
    assert len(list((tmp_path / "reports").iterdir())) == len(scores)


@pytest.mark.slow
def test_the_command_grades_and_says_what_it_did(tmp_path):
    (tmp_path / "subs" / "ada").mkdir(parents=True)
    (tmp_path / "subs" / "ada" / "layernorm.py").write_text(hostility.HONEST)
    line = [sys.executable, "-m", "tutorials.assignments", "grade"]
    options = ["--out", tmp_path / "grades.csv", "--junit", tmp_path / "j.xml", "--trust"]
    done = subprocess.run([*line, tmp_path / "subs", *options], cwd=hostility.CLONE,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "12 of" in done.stdout and "seed " in done.stdout
    assert "students' code runs" in done.stderr
    assert (tmp_path / "reports" / "ada.json").exists() and (tmp_path / "j.xml").exists()
    refused = subprocess.run([*line, tmp_path / "none", *options], cwd=hostility.CLONE,
                             capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and refused.stderr.splitlines()[-1].startswith("error: ")
