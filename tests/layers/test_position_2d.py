"""Positions from a row and a column."""

import naive
import numpy as np
import pytest

from vitnp.layers import position_2d

rng = np.random.default_rng(10)
ROW, COLUMN = rng.standard_normal((3, 12)), rng.standard_normal((2, 12))


@pytest.mark.parametrize("token", (True, False))
def test_forward_equals_loops(token):
    naive.close(position_2d.forward(ROW, COLUMN, token)[0],
                naive.position_2d(ROW, COLUMN, token))


def test_patches_are_counted_row_by_row_as_they_are_cut():
    """Rows and columns exchanged would give (0, 0), (1, 0), (2, 0), … on this grid."""
    position, _ = position_2d.forward(100.0 * np.arange(3)[:, None], np.arange(2.0)[:, None], False)
    assert position.ravel().tolist() == [0, 1, 100, 101, 200, 201]


def test_the_class_token_has_the_position_zero():
    with_token, _ = position_2d.forward(ROW, COLUMN, True)
    without, _ = position_2d.forward(ROW, COLUMN, False)
    assert not with_token[0].any()
    np.testing.assert_array_equal(with_token[1:], without)


@pytest.mark.parametrize("token", (True, False))
def test_the_gradient_of_a_row_is_the_sum_over_its_patches(token):
    position, cache = position_2d.forward(ROW, COLUMN, token)
    dposition = rng.standard_normal(position.shape)
    expected_row, expected_column = np.zeros(ROW.shape), np.zeros(COLUMN.shape)
    for patch in range(6):
        expected_row[patch // 2] += dposition[patch + token]
        expected_column[patch % 2] += dposition[patch + token]
    drow, dcolumn = position_2d.backward(dposition, cache)
    naive.close(drow, expected_row)
    naive.close(dcolumn, expected_column)
