"""Signs of life: off a terminal, a line at least so often in any long phase."""

import io
import sys
import threading
import time

import pytest

from vitnp.common import progress


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.02)


def wait_for(capsys, words):
    said, deadline = "", time.monotonic() + 20
    while words not in said:
        assert time.monotonic() < deadline, said
        time.sleep(0.01)
        said += capsys.readouterr().err
    return said


def test_a_phase_that_stands_still_says_so(often, capsys):
    with progress.Phase("packing", "pictures", 2000, 500) as phase:
        said = wait_for(capsys, "packing: 500 of 2,000 pictures\n")
        assert "left" not in said
        phase.update(500)
        wait_for(capsys, "packing: 1,000 of 2,000 pictures, about ")
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_the_time_that_is_left_follows_from_what_was_done_now(monkeypatch):
    clock = iter([100.0, 160.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    phase = progress.Phase("packing", "pictures", 1000, 400)
    phase.update(100)
    phase.close()
    assert phase.line() == "packing: 500 of 1,000 pictures, about 5 minutes left"


def test_an_unknown_number_is_counted():
    with progress.Phase("scanning", "pictures", None) as phase:
        phase.update(1500)
    assert phase.line() == "scanning: 1,500 pictures"


@pytest.mark.parametrize(("seconds", "words"), [
    (0, "1 second"), (1.2, "1 second"), (40, "40 seconds"), (89, "89 seconds"), (91, "2 minutes"),
    (3600, "60 minutes"), (5400, "2 hours"), (86_400, "24 hours")])
def test_durations(seconds, words):
    assert progress.duration(seconds) == words


def test_an_epoch_says_how_long_it_will_take_and_that_it_goes_on(often, capsys):
    record = {"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "learning_rate": 1e-3,
              "waiting": 0.1, "images_per_second": 100}
    shown = progress.choose(2, 300)
    time.sleep(0.05)
    shown.step(100, 1.0, 0.5, 1e-3, 0.0)
    assert "an epoch takes about " in wait_for(capsys, "epoch 1/2: 100 of 300 images, about ")
    shown.step(100, 1.0, 0.5, 1e-3, 0.0)
    shown.epoch(record)
    said = wait_for(capsys, "epoch 2/2: 0 of 300 images")
    assert said.count("epoch 1/2  loss 1.0000") == 1 and "an epoch takes" not in said
    shown.close()


def test_a_terminal_gets_the_bar_of_a_phase_and_no_lines(often, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.Phase("packing", "pictures", 100) as phase:
        phase._bar.delay = 0
        for _ in range(10):
            phase.update(10)
            time.sleep(0.03)
        assert not [thread for thread in threading.enumerate() if thread.name == "progress"]
    assert "packing: " in terminal.getvalue() and " of 100 pictures" not in terminal.getvalue()


def test_nobody_reading_ends_nothing(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    progress.say("nobody hears this")
