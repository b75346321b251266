"""Batches are prepared ahead, in order, a few at a time, and errors arrive where they belong."""

import threading

import pytest

from vitnp.data.batches import AHEAD, ahead


def test_they_come_in_order_and_each_once():
    assert list(ahead(lambda number: number * number, range(50))) == [n * n for n in range(50)]
    assert list(ahead(lambda number: number, [])) == []


def test_they_are_prepared_elsewhere_while_the_step_runs_but_only_a_few():
    prepared, enough = [], threading.Event()

    def prepare(number):
        prepared.append((number, threading.current_thread()))
        if number == AHEAD:
            enough.set()
        return number

    batches = ahead(prepare, range(100))
    assert next(batches) == 0
    assert enough.wait(10)                          # the next ones come without being asked for
    assert len(prepared) == AHEAD + 1
    assert all(thread is not threading.current_thread() for _, thread in prepared)
    batches.close()
    assert len(prepared) == AHEAD + 1               # and nothing after the end


def test_an_error_comes_in_its_place_and_ends_the_thread():
    def prepare(number):
        if number == 7:
            raise KeyError("seven")
        return number

    batches = ahead(prepare, range(100))
    assert [next(batches) for _ in range(7)] == list(range(7))
    with pytest.raises(KeyError, match="seven"):
        next(batches)
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]
