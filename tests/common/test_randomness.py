"""Streams of random numbers: each key has its own, always the same one."""

import numpy as np
import pytest
import strict_cupy

from vitnp.common.randomness import PURPOSES, Hashed, generator

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


def test_another_library_draws_by_a_hash_of_the_whole_key():
    """So a GPU keeps no state, and any device draws the same."""
    drawn = [tuple(generator(*key, xp=strict_cupy).random((2, 3)).get().ravel()) for key in KEYS]
    assert len(set(drawn)) == len(KEYS)
    assert drawn == [tuple(generator(*key, xp=strict_cupy).random((2, 3)).get().ravel())
                     for key in KEYS]
    rng = generator(0, "dropout", xp=strict_cupy)
    assert (rng.random((9,)).get() != rng.random((9,)).get()).all()


def test_hashed_numbers_are_spread_evenly_and_do_not_depend_on_each_other():
    for key in (0, 1, 2**63):
        found = Hashed(key, np).random((1000, 100), np.float32)
        assert found.dtype == np.float32 and 0 <= found.min() < 2e-4 and 1 - 2e-4 < found.max() < 1
        counts, _ = np.histogram(found, 100, (0, 1))
        assert ((counts - 1000) ** 2 / 1000).sum() < 160        # chi squared, 99 degrees
        assert np.abs(np.corrcoef(found[:, :9].T) - np.eye(9)).max() < 0.12
    one, other = (Hashed(key, np).random((10000,)) for key in (5, 6))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.04


def test_splitmix_is_that_of_its_authors():
    """The first numbers of the reference program with the seed 1234567."""
    rng = Hashed(0, np)
    rng.next_key = lambda: 1234567
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    np.testing.assert_array_equal(rng.random((3,)) * 2**24, [value >> 40 for value in expected])
