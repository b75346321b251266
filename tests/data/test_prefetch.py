"""Batches are prepared ahead, in order, a few at a time, and errors arrive where they belong."""

import threading

import numpy as np
import pytest

from vitnp import data
from vitnp.data.batches import AHEAD, batch_of, epoch_order, prefetch
from vitnp.runs.recipe import Recipe


def test_they_come_in_order_and_each_once():
    assert list(prefetch(lambda number: number * number, range(50))) == [n * n for n in range(50)]
    assert list(prefetch(lambda number: number, [])) == []


def test_they_are_prepared_elsewhere_while_the_step_runs_but_only_a_few():
    prepared, enough = [], threading.Event()

    def prepare(number):
        prepared.append((number, threading.current_thread()))
        if number == AHEAD:
            enough.set()
        return number

    batches = prefetch(prepare, range(100))
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

    batches = prefetch(prepare, range(100))
    assert [next(batches) for _ in range(7)] == list(range(7))
    with pytest.raises(KeyError, match="seven"):
        next(batches)
    assert not [t for t in threading.enumerate() if t.name.startswith("batches")]


def test_batches_cover_the_training_images_once_an_epoch_in_an_order_of_its_own():
    digits, recipe = data.load("digits"), Recipe(batch_size=50, rotate=0.0, rescale=0.0,
                                                 crop_padding=0)
    training = np.arange(30, 150)
    orders = [epoch_order(training, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert all(sorted(order) == list(training) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    batches = [batch_of(digits, orders[0], recipe, 0, i) for i in range(3)]
    assert [len(images) for images, _ in batches] == [50, 50, 20]
    np.testing.assert_array_equal(np.concatenate([images for images, _ in batches]),
                                  digits.train_images[orders[0]])
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]),
                                  digits.train_labels[orders[0]])


def test_augmentation_differs_from_epoch_to_epoch_and_from_step_to_step():
    digits, recipe = data.load("digits"), Recipe(batch_size=10)
    same = np.full(20, 3)                       # one image, twenty times
    seen = [batch_of(digits, same, recipe, epoch, i)[0].tobytes()
            for epoch, i in ((0, 0), (0, 1), (1, 0), (0, 0))]
    assert len(set(seen)) == 3 and seen[0] == seen[3]
