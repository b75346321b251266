"""Streams of random numbers: each key has its own, always the same one."""

from types import SimpleNamespace

import numpy as np
import pytest

from vitnp.common.randomness import PURPOSES, generator

KEYS = [(0, "order"), (0, "order", 0, 0), (2**32, "order"), (2**32 + 1, "order"), (0, "init"),
        (1, "init"), (2**40, "init"), (2**200, "init"), (0, "order", 0),
        (0, "order", 1), (1, "order", 0), (0, "dropout", 0, 1), (0, "dropout", 1, 0),
        (0, "dropout", 1, 1), (0, "augment", 1, 0), (1, "augment", 1, 0), (0, "augment", 2**40, 0)]


def draw(*key):
    return tuple(generator(*key).integers(0, 2**63, 4))


def test_a_key_has_one_stream_and_each_other_key_another():
    streams = [draw(*key) for key in KEYS]
    assert streams == [draw(*key) for key in KEYS]
    assert len(set(streams)) == len(KEYS)


def test_the_purposes_keep_their_numbers():
    """Renumbering would change every saved run: its order, masks and split."""
    first = ("init", "split", "order", "dropout", "gradcheck", "augment", "validation")
    assert PURPOSES[:len(first)] == first
    assert len(set(PURPOSES)) == len(PURPOSES)
    expected = np.random.default_rng(np.random.SeedSequence(7, spawn_key=(3, 2, 11, 64))).random(3)
    np.testing.assert_array_equal(generator(7, "dropout", 11, 64).random(3), expected)


def test_an_unknown_purpose_is_refused():
    with pytest.raises(ValueError):
        generator(0, "weights")


def test_neither_global_state_nor_another_generator_is_touched():
    before = np.random.get_state()[1].copy()
    rng = generator(0, "order")
    first = rng.random()
    generator(0, "order").random(5)
    assert (np.random.get_state()[1] == before).all()
    again = generator(0, "order").random(2)
    assert first == again[0] and rng.random() == again[1]


def test_numpy_integers_are_as_good_as_python_ones():
    assert draw(np.int64(3), "order", np.int32(5)) == draw(3, "order", 5)


def test_another_library_gets_a_plain_int_that_depends_on_the_whole_key():
    """CuPy's default_rng takes no SeedSequence of NumPy's."""
    xp = SimpleNamespace(random=SimpleNamespace(default_rng=lambda seed: seed))
    seeds = [generator(*key, xp=xp) for key in KEYS]
    assert all(type(seed) is int and 0 <= seed < 2**32 for seed in seeds)
    assert len(set(seeds)) == len(KEYS)
    assert seeds == [generator(*key, xp=xp) for key in KEYS]
