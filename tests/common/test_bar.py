"""What a person sees while a run trains, in terminals of several widths and in logs."""

import fcntl
import os
import pty
import select
import struct
import sys
import termios

import pytest

from vitnp.common import progress

RECORD = {"epoch": 9, "train_loss": 0.51234, "train_accuracy": 0.9312, "validation_accuracy": 0.97,
          "learning_rate": 1.25e-3, "waiting": 0.07, "images_per_second": 12345.6}
LONGEST = {**RECORD, "epoch": 120, "train_accuracy": 1.0, "validation_accuracy": 1.0}


@pytest.fixture
def terminal(monkeypatch):
    """Return what makes stderr a terminal of a width and returns what reads from it."""
    opened = []

    def opens(columns):
        here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        opened.append((here, stream := os.fdopen(there, "w", encoding="utf-8")))
        monkeypatch.setattr(sys, "stderr", stream)

        def read():
            stream.flush()
            content = b""
            while select.select([here], [], [], 0.02)[0]:
                content += os.read(here, 1_000_000)
            return content.decode().replace("\r\n", "\n")
        return read
    yield opens
    for here, stream in opened:
        stream.close()
        os.close(here)


def pictures(text):
    """Return what stood in the terminal one after the other, without what wiped it."""
    return [part for line in text.split("\n") for part in line.split("\r") if part.strip()]


@pytest.mark.parametrize("columns", [30, 60, 80, 100, 140, 200])
def test_what_matters_first_is_there_and_nothing_is_cut(terminal, columns):
    read = terminal(columns)
    shown = progress.choose(120, 1000, 8)
    shown.step(500, 0.51234, 0.9312, 1.25e-3, 0.07)
    shown.bar.refresh()
    stepping = pictures(read())
    shown.during("validation")
    during = pictures(read())
    shown.epoch(RECORD)
    line = pictures(read())[0]
    shown.step(1000, 0.4, 1.0, 1.25e-3, 0.07)
    shown.bar.refresh()
    later = pictures(read())
    shown.close()
    assert all(len(each) < columns for each in (*stepping, *during, line, *later))
    assert all(each.endswith("|") for each in (*stepping, *during, *later))
    parts = ["epoch   9/120", "loss 0.512", "accuracy 93.1 %", " left", "rate 1.3e", "waiting 7 %"]
    fits = {30: 1, 60: 3, 80: 4, 100: 6, 140: 6, 200: 6}[columns]
    assert [part in stepping[-1] for part in parts] == [i < fits for i in range(len(parts))]
    assert ("validation" in during[-1]) == (columns >= 60)
    whole = progress.epoch_line(RECORD, 120)
    assert whole.startswith(line) and whole[len(line):len(line) + 2] in ("", "  ")
    assert ("validation 97.0 %" in later[-1]) == (columns >= 100)


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_an_epochs_line_has_loss_and_both_accuracies_in_any_terminal(columns):
    line = progress.epoch_line(LONGEST, 120, columns - 1)
    assert line.startswith("epoch 120/120  loss 0.5123  accuracy 100.0 %  validation 100.0 %")
    assert len(line) < columns
    assert progress.epoch_line({"epoch": 3}, 120) == "epoch   3/120"


def test_each_epoch_leaves_its_line_above_the_bar(terminal):
    read = terminal(140)
    shown = progress.choose(2, 100)
    for epoch in (1, 2):
        shown.step(60, 1.25, 0.5, 1e-3, 0.25)
        shown.step(40, 1.25, 0.5, 1e-3, 0.25)
        shown.epoch({**RECORD, "epoch": epoch})
    assert shown.bar.n == shown.bar.total == 200
    shown.close()
    lines = read().split("\n")
    assert [line.rsplit("\r", 1)[-1] for line in lines[:2]] == [
        progress.epoch_line({**RECORD, "epoch": epoch}, 2) for epoch in (1, 2)]
    assert "epoch 2/2" in lines[2].rsplit("\r", 1)[-1] and lines[3:] == [""]


def test_a_run_that_goes_on_counts_its_own_time_alone(terminal, monkeypatch):
    read = terminal(140)
    shown = progress.choose(4, 100, 2.0)
    assert shown.time_left(0) == "-:-- left"
    monkeypatch.setattr(shown.bar, "_time", lambda: shown.bar.start_t + 30)
    shown.bar.last_print_t = shown.bar.start_t
    assert shown.time_left(50) == "01:30 left"          # 50 of 200 in 30 s
    shown.close()
    assert "epoch 3/4" in read()


def test_without_a_terminal_there_is_a_line_an_epoch(monkeypatch, capsys):
    shown = progress.choose(120, 1000)
    shown.step(500, 0.5, 0.5, 1e-3, 0)
    shown.during("validation")
    shown.epoch(RECORD)
    shown.close()
    assert capsys.readouterr().err == (
        "epoch   9/120  loss 0.5123  accuracy  93.1 %  validation  97.0 %  rate 1.25e-03  "
        "waiting 7 %  12,346 images/s\n")
