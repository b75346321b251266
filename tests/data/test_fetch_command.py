"""The command that fetches, from its options to files that training reads."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from http_server import (
    DATA,
    MEMBERS,
    PATIENCE,
    archive_source,
    by_path,
    content,
    cutting,
    good_entries,
    packed,
    published,
    serving,
    silent,
    whole,
)
from idx_files import refusal, write_set

from vitnp import data as data_sets
from vitnp.data import __main__ as command_line
from vitnp.data import cifar, fetch, idx, sources


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(fetch, "PATIENCE", PATIENCE)


def publish(monkeypatch, name, source):
    monkeypatch.setitem(sources.SOURCES, name, source)


def test_the_command_fetches_what_training_reads(tmp_path, monkeypatch, capsys):
    (tmp_path / "published").mkdir()
    arrays = write_set(tmp_path / "published", packed=True)
    files = {path.name: path.read_bytes() for path in (tmp_path / "published").iterdir()}
    monkeypatch.chdir(tmp_path)
    answers = {f"mnist/{name}": cutting(data, [len(data) // 2]) for name, data in files.items()}
    with serving(by_path(answers)) as (base, asked):
        publish(monkeypatch, "mnist", published(f"{base}mnist/", files))
        assert command_line.main(["fetch", "mnist"]) == 0
        assert len(asked) == 8
        output = capsys.readouterr()
        assert output.out == f"{Path('data') / 'mnist'}\n"
        for words in ("a set", f"from {base}mnist/", "licence: a licence", "cite: a paper"):
            assert words in output.err
        assert data_sets.load("mnist", output.out.strip()).train_images.shape == (5, 3, 4, 1)
        assert (idx.read(tmp_path / "data/mnist" / f"{idx.FILES[1]}.gz") == arrays[1]).all()
        assert command_line.main(["fetch", "mnist", "--data-dir", "here"]) == 0
        assert capsys.readouterr().out == "here\n" and len(list(Path("here").iterdir())) == 4


def test_the_command_unpacks_archives(tmp_path, monkeypatch, capsys):
    archive = packed(*good_entries())
    with serving(whole(archive)) as (base, _):
        publish(monkeypatch, "cifar100", archive_source(base, archive))
        assert command_line.main(["fetch", "cifar100", "--data-dir", str(tmp_path / "x")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'x'}\n"
    assert {path.name for path in (tmp_path / "x").iterdir()} == {"set"}
    assert (tmp_path / "x" / "set" / "train.bin").read_bytes() == MEMBERS["train.bin"]


def test_the_list_names_each_set_with_its_terms(capsys):
    assert command_line.main(["list"]) == 0
    output = capsys.readouterr().out
    for words in ("mnist\n", "fashion-mnist\n", "cifar10\n", "cifar100\n", "CC BY-SA 3.0", "MIT",
                  "11.6 MB", "30.9 MB", "170.1 MB", "168.5 MB", "Krizhevsky", "Zalando"):
        assert words in output


@pytest.mark.parametrize(("arguments", "words"), [
    ([], "are required: list | fetch"), (["fetch"], "are required: NAME"),
    (["fetch", "cifar"], "there is no data set 'cifar' to fetch; possible are mnist, fashion"),
    (["fetch", "digits"], "digits comes with vitnp"), (["get"], "invalid choice: 'get'"),
    (["fetch", "mnist", "--dir", "x"], "unrecognized arguments"),
])
def test_the_command_refuses_in_one_sentence(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert words in refusal(command_line.main, arguments)
    assert content(tmp_path) == {}


def test_folders_that_cannot_be_written_are_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "taken" / "set.gz").mkdir(parents=True)
    (tmp_path / "odd" / "set.gz.part").mkdir(parents=True)
    with serving(whole(DATA)) as (base, _):
        publish(monkeypatch, "mnist", published(base, {"set.gz": DATA}))
        for folder, words in (
                ("file", "file cannot be made: File exists; name another --data-dir"),
                ("file/under", "file/under cannot be made: Not a directory; name another"),
                ("taken", "set.gz is a folder or a device, but a file is to be written there"),
                ("odd", "set.gz.part cannot be written: Is a directory; when that is mended")):
            arguments = ["fetch", "mnist", "--data-dir", str(tmp_path / folder)]
            assert words in refusal(command_line.main, arguments)
        monkeypatch.setattr(os, "access", lambda *arguments: False)
        arguments = ["fetch", "mnist", "--data-dir", str(tmp_path)]
        assert "cannot be written; name another --data-dir" in refusal(command_line.main, arguments)
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_a_terminal_gets_a_bar(tmp_path, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with serving(cutting(DATA, [100_000])) as (base, _):
        fetch.fetch(published(base, {"set.gz": DATA}), tmp_path, PATIENCE)
    bar = terminal.getvalue().split("\r")
    assert any("set.gz:  33%" in line and "100k/300k" in line for line in bar)
    assert any("set.gz: 100%" in line and "300k/300k" in line for line in bar)


def test_the_table_of_sources_is_well_formed():
    for source in sources.SOURCES.values():
        assert source.base.endswith("/") and bool(source.members) == bool(source.unpacked)
        for file in source.files:
            assert len(bytes.fromhex(file.md5)) == 16 and 0 < file.size < 2**30
            assert Path(file.name).name == file.name
    for name, layout in cifar.LAYOUTS.items():
        source = sources.SOURCES[name]
        assert (source.files[0].name, source.unpacked) == (layout.archive, layout.folder)
        assert layout.names_file in source.members
        count = {file_name: source.members[file_name] / (layout.label_bytes + cifar.PIXEL_BYTES)
                 for file_name in layout.files}
        assert count.pop(layout.test_file) == 10_000 and sum(count.values()) == 50_000
    for name in idx.CLASS_NAMES:
        assert [file.name for file in sources.SOURCES[name].files] == [
            f"{file_name}.gz" for file_name in idx.FILES]


CODE = """if True:
    import sys
    from vitnp.common import command
    from vitnp.data import __main__ as command_line, sources
    sources.SOURCES["mnist"] = sources.Source("a set", sys.argv.pop(), "free", "nobody", (
        sources.File("set.gz", 300000, sys.argv.pop()),))
    command.run(command_line.main)
"""


def test_ctrl_c_keeps_what_arrived_for_the_next_time(tmp_path):
    def start(base):
        return subprocess.Popen(
            [sys.executable, "-c", CODE, "fetch", "mnist", hashlib.md5(DATA).hexdigest(), base],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONWARNINGS": "error", "OPENBLAS_NUM_THREADS": "1"})

    part = tmp_path / "data" / "mnist" / "set.gz.part"
    with serving(silent(DATA[:150_000])) as (base, _), start(base) as first:
        while not (part.exists() and part.stat().st_size > 100_000) and first.poll() is None:
            time.sleep(0.01)
        first.send_signal(signal.SIGINT)
        output, messages = first.communicate(timeout=60)
    have = part.stat().st_size
    assert first.returncode == 130 and output == "" and have > 100_000
    assert f"set.gz.part keeps the {have / 1e3:.1f} kB that have arrived; the same" in messages
    with serving(whole(DATA)) as (base, asked), start(base) as second:
        output, messages = second.communicate(timeout=60)
    assert (second.returncode, output) == (0, f"{Path('data') / 'mnist'}\n"), messages
    assert asked == [("/set.gz", f"bytes={have}-")] and "going on with http" in messages
    assert content(part.parent) == {"set.gz": DATA}
