"""Heads: which numbers go to which head."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitnp.layers import heads

B, T, H, Dh = 3, 7, 3, 4
D = H * Dh


@pytest.mark.parametrize("parts", (1, 2, 3))
def test_each_head_gets_its_own_columns_of_each_token(parts):
    """A reshape alone mixes tokens and heads, and heads before parts mixes q, k and v."""
    x = np.random.default_rng(7).standard_normal((B, T, parts * D))
    result = heads.split(x, H, parts)
    assert [part.shape for part in result] == [(B, H, T, Dh)] * parts
    for part, b, head, t, i in np.ndindex(parts, B, H, T, Dh):
        assert result[part][b, head, t, i] == x[b, t, part * D + head * Dh + i]


@pytest.mark.parametrize("parts", (1, 2, 3))
def test_merge_puts_each_head_beside_the_other(parts):
    arrays = list(np.random.default_rng(8).standard_normal((parts, B, H, T, Dh)))
    x = heads.merge(arrays)
    assert x.shape == (B, T, parts * D)
    for part, b, head, t, i in np.ndindex(parts, B, H, T, Dh):
        assert x[b, t, part * D + head * Dh + i] == arrays[part][b, head, t, i]


@settings(max_examples=25, deadline=None, database=None, derandomize=True)
@given(*[st.integers(1, 4)] * 5)
def test_each_undoes_the_other(batch, tokens, count, size, parts):
    x = np.random.default_rng(0).random((batch, tokens, parts * count * size))
    split = heads.split(x, count, parts)
    np.testing.assert_array_equal(heads.merge(split), x)
    again = heads.split(heads.merge(split), count, parts)
    np.testing.assert_array_equal(np.stack(again), np.stack(split))
