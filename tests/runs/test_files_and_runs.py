"""Files that are the old ones or the new ones, and the folder of a run."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, fields

import pytest

import vitnp
from vitnp.common.files import replacing
from vitnp.runs import run_folder
from vitnp.runs.recipe import Recipe


def refusal(call, *arguments):
    with pytest.raises(vitnp.Error) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path, text):
    with replacing(path) as aside:
        assert aside.parent == path.parent and aside != path
        aside.write_text(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "a.json"
    write(path, "old")
    write(path, "new")
    assert path.read_text() == "new" and names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("mistake", [KeyError, KeyboardInterrupt, MemoryError])
def test_a_writer_that_stops_leaves_the_old_file_and_no_litter(tmp_path, mistake):
    path = tmp_path / "a.json"
    write(path, "old")
    with pytest.raises(mistake), replacing(path) as aside:
        aside.write_text("half of the n")
        raise mistake
    assert path.read_text() == "old" and names(tmp_path) == ["a.json"]


def test_a_full_disk_is_an_error_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write(path, "old")

    def fill():
        with replacing(path) as aside:
            aside.write_text("half")
            raise OSError(28, "No space left on device")

    assert refusal(fill) == f"{path} cannot be written: No space left on device"
    assert path.read_text() == "old" and names(tmp_path) == ["a.json"]


def test_a_renaming_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    def fail(*arguments):
        raise PermissionError(13, "Permission denied")

    write(tmp_path / "a.json", "old")
    monkeypatch.setattr(os, "replace", fail)
    assert "cannot be written: Permission denied" in refusal(write, tmp_path / "a.json", "new")
    assert (tmp_path / "a.json").read_text() == "old" and names(tmp_path) == ["a.json"]


def test_nobody_sees_the_new_file_before_it_is_whole(tmp_path):
    path = tmp_path / "a.json"
    write(path, "old")
    with replacing(path) as aside:
        aside.write_text("half")
        assert path.read_text() == "old"


@pytest.mark.parametrize(("name", "reason"), [
    ("missing/a.json", "No such file or directory"), ("file/a.json", "Not a directory"),
    ("folder", "directory"), ("a" * 300, "name too long"),
])
def test_places_that_cannot_be_written_to_are_refused(tmp_path, name, reason):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    message = refusal(write, tmp_path / name, "new")
    assert "cannot be written: " in message and reason in message
    assert names(tmp_path) == ["file", "folder"] and names(tmp_path / "folder") == []
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_path_without_a_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "give the name of a file" in refusal(replacing("").__enter__)


def test_the_old_file_is_kept_as_previous_once_the_new_one_is_whole(tmp_path):
    path, previous = tmp_path / "a.json", tmp_path / "b.json"
    for text in ("one", "two", "three"):
        with replacing(path, previous) as aside:
            aside.write_text(text)
            assert not path.exists() or path.read_text() != text
    assert (path.read_text(), previous.read_text()) == ("three", "two")
    with pytest.raises(KeyError), replacing(path, previous) as aside:
        aside.write_text("half of f")
        raise KeyError
    assert (path.read_text(), previous.read_text()) == ("three", "two")


def create(out, data):
    return run_folder.create(out, data, {"width": 32}, asdict(Recipe()), {"size": [8, 8]})


def test_runs_get_the_first_free_number(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = [str(create(None, data)) for data in ("digits", "digits", "mnist", "digits")]
    assert made == [os.path.join("runs", name) for name in
                    ("digits-001", "digits-002", "mnist-001", "digits-003")]
    assert all(names(tmp_path / folder) == ["config.json"] for folder in made)
    assert names(tmp_path / "runs") == ["digits-001", "digits-002", "digits-003", "mnist-001"]
    shutil.rmtree("runs/digits-002")
    assert create(None, "digits").name == "digits-002"
    (tmp_path / "runs" / "digits-004").write_text("a file also takes a number")
    assert create(None, "digits").name == "digits-005"


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_what_stands_in_the_way_of_runs_is_named(tmp_path, monkeypatch, kind):
    """A dangling link looks both missing and existing: looking for a number would never end."""
    monkeypatch.chdir(tmp_path)
    if kind == "file":
        (tmp_path / "runs").write_text("")
    else:
        (tmp_path / "runs").symlink_to("nowhere")
    message = refusal(create, None, "digits")
    assert message.startswith("no folder can be made in runs: ") and "--out" in message


def test_out_may_be_new_deep_or_empty(tmp_path):
    assert create(tmp_path / "a" / "b", "digits").is_dir()
    (tmp_path / "c").mkdir()
    assert create(str(tmp_path / "c"), "digits") == tmp_path / "c"
    assert names(tmp_path / "a" / "b") == names(tmp_path / "c") == ["config.json"]
    assert run_folder.read_recipe(tmp_path / "c") == Recipe()
    assert (tmp_path / "a" / "b").stat().st_mode == (tmp_path / "c").stat().st_mode


def test_out_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    message = refusal(create, tmp_path, "digits")
    assert f"{tmp_path} is not empty" in message and "--out" in message
    assert names(tmp_path) == ["thesis.tex"]
    assert (tmp_path / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize("name", ["file", "file/under", "b" * 300])
def test_out_that_cannot_be_made_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    message = refusal(create, tmp_path / name, "digits")
    assert "cannot be made: " in message and "choose another --out" in message
    assert names(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "mine"


def test_a_configuration_comes_back_as_it_was_written(tmp_path):
    recipe = Recipe(epochs=3, learning_rate=1e-3 / 3, data_dir="ümlaut/…")
    run_folder.write_config(tmp_path, {"width": 32}, asdict(recipe), {"size": [8, 8]})
    content = run_folder.read_config(tmp_path)
    assert content == {"format": 1, "vitnp": vitnp.__version__, "model": {"width": 32},
                       "recipe": asdict(recipe), "preprocess": {"size": [8, 8]}}
    assert run_folder.read_recipe(tmp_path) == recipe


@pytest.mark.parametrize(("text", "words"), [
    ("", "is damaged"), ("{", "is damaged"), ("[]", "is damaged"), ("3", "is damaged"),
    ("null", "is damaged"), ('{"model": {}}', "is damaged"), ("[" * 100_000, "is damaged"),
    (b"\xff\xfe", "is damaged"), ('{"format": 2}', "has format 2, but this version of vitnp reads"),
    ('{"format": "1"}', "has format '1'"),
])
def test_configurations_that_cannot_be_read_are_refused(tmp_path, text, words):
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "config.json").write_bytes(data)
    message = refusal(run_folder.read_config, tmp_path)
    assert words in message and str(tmp_path / "config.json") in message


@pytest.mark.parametrize(("recipe", "words"), [
    ({"epochs": 3, "speed": 9}, "'speed'"), ([], "mapping"), (None, "mapping"), (3, "mapping"),
    ({"epochs": "many"}, "--epochs is 'many'"),
])
def test_options_that_this_version_does_not_know_are_refused(tmp_path, recipe, words):
    (tmp_path / "config.json").write_text(json.dumps({"format": 1, "recipe": recipe}))
    assert words in refusal(run_folder.read_recipe, tmp_path)


@pytest.mark.parametrize("name", ["", "missing", "file", "file/under", "b" * 300])
def test_what_is_no_run_folder_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    said = refusal(run_folder.read_config, tmp_path / name)
    assert "is no run folder: it has no config.json" in said


def test_metrics_are_a_line_a_record(tmp_path):
    records = [{"epoch": 1, "train_loss": 0.1 + 0.2}, {"epoch": 2, "name": "ü\n"}, {"test": 1.0}]
    for record in records:
        run_folder.append_metrics(tmp_path, record)
    assert (tmp_path / "metrics.jsonl").read_bytes().count(b"\n") == 3
    assert run_folder.read_metrics(tmp_path) == records


def test_metrics_that_cannot_be_written_or_read_are_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "cannot be written" in refusal(run_folder.append_metrics, tmp_path / "file", {})
    assert "cannot be read" in refusal(run_folder.read_metrics, tmp_path)
    run_folder.append_metrics(tmp_path, {"epoch": 1})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 2, "tra')
    assert "is damaged" in refusal(run_folder.read_metrics, tmp_path)


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    kept = ["best.safetensors", "config.json", "curves.png", "metrics.jsonl", ".mine", "tmpnotes"]
    for name in [*kept, ".best.safetensors.12", ".config.json.12", ".curves.png.12", ".tmpAb1x9Z"]:
        (tmp_path / name).touch()
    run_folder.remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(kept)


NFS = """
#define _GNU_SOURCE
#include <sys/file.h>
#include <fcntl.h>
#include <errno.h>
int flock(int fd, int op) {
    int mode = fcntl(fd, F_GETFL) & O_ACCMODE;
    if ((op & LOCK_EX) && mode == O_RDONLY) { errno = EBADF; return -1; }
    return NFS_RESULT;
}
"""
LOCK = """
import sys
from vitnp.runs import run_folder
with run_folder.locked(sys.argv[1]):
    print("inside", flush=True)
"""


def lock_under(tmp_path, result):
    """Lock a run's folder where flock is another one; returns what was printed and said."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler")
    (tmp_path / "nfs.c").write_text(NFS.replace("NFS_RESULT", result))
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "nfs.so", tmp_path / "nfs.c"],
                   check=True)
    (tmp_path / "config.json").write_text("{}")
    done = subprocess.run([sys.executable, "-c", LOCK, tmp_path], capture_output=True, text=True,
                          env=os.environ | {"LD_PRELOAD": str(tmp_path / "nfs.so")}, check=False)
    return done.stdout, done.stderr


def test_a_lock_is_taken_as_nfs_grants_it(tmp_path):
    """NFSv4 locks only files that are open for writing."""
    assert lock_under(tmp_path, "0") == ("inside\n", "")


@pytest.mark.parametrize("error", ["ENOLCK", "EOPNOTSUPP", "ENOSYS", "EINVAL", "EIO"])
def test_where_there_are_no_locks_that_is_said_and_nobody_is_blamed(tmp_path, error):
    printed, said = lock_under(tmp_path, f"(errno = {error}, -1)")
    assert printed == "inside\n"
    assert "cannot be locked" in said and "another process" not in said


@pytest.mark.parametrize("error", ["EWOULDBLOCK", "EACCES"])
def test_another_process_is_blamed_where_there_is_one(tmp_path, error):
    printed, said = lock_under(tmp_path, f"(errno = {error}, -1)")
    assert printed == "" and "another process is training in" in said


def test_a_folder_that_cannot_be_written_is_no_other_process(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr("builtins.open", lambda *arguments: denied())

    def denied():
        raise OSError(30, "Read-only file system")

    assert "Read-only file system" in refusal(run_folder.locked(tmp_path).__enter__)


def test_metrics_are_on_the_disk_before_the_checkpoint_that_counts_them(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(os.fstat(number).st_size),
                                                     fsync(number)))
    run_folder.append_metrics(tmp_path, {"epoch": 1})
    assert synced == [run_folder.metrics_length(tmp_path)] and synced[0] > 0


RECORDS = [{"epoch": number, "train_loss": number / 3} for number in range(1, 6)]


@pytest.mark.parametrize("damage", [
    lambda data: data[:100], lambda data: data[:-1], lambda data: b"", lambda data: data + b'{"ep',
    lambda data: data[:40] + b"\0" * 20 + data[60:], lambda data: data[:-7] + b"\0" * 7,
    lambda data: b"\xff" + data, lambda data: data.replace(b'{"epoch": 3', b"[3", 1),
    lambda data: data + data, lambda data: None])
def test_metrics_after_any_crash_are_whole_lines(tmp_path, capsys, damage):
    for record in RECORDS:
        run_folder.append_metrics(tmp_path, record)
    path = tmp_path / "metrics.jsonl"
    length, data = run_folder.metrics_length(tmp_path), path.read_bytes()
    if damage(data) is None:
        path.unlink()
    else:
        path.write_bytes(damage(data))
    for _ in range(2):
        run_folder.cut_metrics(tmp_path, length)
        found = run_folder.read_metrics(tmp_path) if path.exists() else []
        assert [record for record in RECORDS if record in found] == found
        length = run_folder.metrics_length(tmp_path)
    lost = found != RECORDS
    assert ("has lost" in capsys.readouterr().err) == lost


WRONG = [None, True, 3, -1, 2.5, "text", "", [], [1], {}, {"a": 1}, 1e308, float("nan"), "\0"]


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe)])
def test_a_wrong_type_anywhere_in_the_options_is_one_sentence(tmp_path, name):
    for value in WRONG:
        recipe = asdict(Recipe()) | {name: value}
        (tmp_path / "config.json").write_text(json.dumps({"format": 1, "recipe": recipe}))
        try:
            found = getattr(run_folder.read_recipe(tmp_path), name)
        except vitnp.Error as error:
            assert "\n" not in str(error)
        else:
            assert isinstance(found, str | int | float | bool | None)
