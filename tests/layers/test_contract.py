"""What every layer promises, whatever it computes."""

import naive
import numpy as np
import pytest
from contract import arrays, draw_dy, mapped, run

from vitnp import params
from vitnp.gradcheck import cases

CASES = {case.name: case for case in cases.all_cases()}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array):
    """Return equal values that lie two apart in memory."""
    wide = np.full((*array.shape, 2), np.nan, array.dtype)
    wide[..., 0] = array
    return wide[..., 0]


def assert_same_bits(actual, expected):
    assert actual.keys() == expected.keys()
    for path, gradient in expected.items():
        assert actual[path].tobytes() == gradient.tobytes(), path


@every_case
def test_arguments_dy_and_cache_stay_unchanged(case):
    """Work in place on what belongs to another shows only in the next use of it."""
    arguments = mapped(case.arguments, np.copy)
    y, cache = case.forward(arguments)
    dy = draw_dy(y)
    watched = [*arrays(arguments), y, dy, *arrays(cache)]
    kept = [array.copy() for array in watched]
    case.backward(dy, cache)
    for array, before in zip(watched, kept, strict=True):
        np.testing.assert_array_equal(array, before)
    for array, before in zip(arrays(arguments), arrays(case.arguments), strict=True):
        np.testing.assert_array_equal(array, before)


@every_case
def test_arguments_and_dy_may_be_read_only(case):
    y, gradients = run(case, case.arguments)
    y_again, again = run(case, mapped(case.arguments, read_only), read_only(draw_dy(y)))
    assert y_again.tobytes() == y.tobytes()
    assert_same_bits(again, gradients)


@every_case
def test_backward_twice_gives_the_same_bits(case):
    y, cache = case.forward(case.arguments)
    first = mapped(params.flatten(case.backward(draw_dy(y), cache)), np.copy)
    assert_same_bits(params.flatten(case.backward(draw_dy(y), cache)), first)


@every_case
def test_a_forward_in_between_changes_nothing(case):
    """A layer that keeps values outside its cache takes those of the last forward."""
    y, cache = case.forward(case.arguments)
    expected = mapped(params.flatten(case.backward(draw_dy(y), cache)), np.copy)
    kept = y.copy()
    _, cache = case.forward(case.arguments)
    case.forward(mapped(case.arguments, lambda array: 0.5 - 1.3 * array))
    assert_same_bits(params.flatten(case.backward(draw_dy(y), cache)), expected)
    np.testing.assert_array_equal(y, kept)


@every_case
@pytest.mark.parametrize("change", (np.asfortranarray, strided))
def test_the_order_in_memory_does_not_matter(case, change):
    y, gradients = run(case, case.arguments)
    y_again, again = run(case, mapped(case.arguments, change), change(draw_dy(y)))
    naive.close(y_again, y)
    for path, gradient in gradients.items():
        naive.close(again[path], gradient)


@every_case
def test_float32_stays_float32_and_is_close_to_float64(case):
    """One float64 constant or mask, and the rest of the network doubles its work unseen."""
    arguments = mapped(case.arguments, lambda array: array.astype(np.float32))
    y, cache = case.forward(arguments)
    dy = draw_dy(y)
    gradients = params.flatten(case.backward(dy, cache))
    assert {array.dtype.name for array in [y, *gradients.values()]} == {"float32"}
    floats = [array for array in arrays(cache) if array.dtype.kind == "f"]
    assert {array.dtype.name for array in floats} <= {"float32"}
    expected_y, expected = run(case, mapped(arguments, np.float64), dy.astype(np.float64))
    naive.close(y, expected_y, atol=1e-5)
    for path, gradient in expected.items():
        naive.close(gradients[path], gradient, atol=2e-5)


@every_case
def test_gradients_have_the_shapes_and_types_of_their_arguments(case):
    """A gradient with the batch's axis left would broadcast, and train something else."""
    _, gradients = run(case, case.arguments)
    arguments = params.flatten(case.arguments)
    assert gradients.keys() == arguments.keys()
    for path, argument in arguments.items():
        assert gradients[path].shape == argument.shape
        assert gradients[path].dtype == argument.dtype


@every_case
def test_a_zero_dy_gives_zero_gradients(case):
    y, cache = case.forward(case.arguments)
    for gradient in arrays(case.backward(np.zeros_like(y), cache)):
        assert not gradient.any()


@every_case
def test_backward_is_linear_in_dy(case):
    y, cache = case.forward(case.arguments)
    one, other = draw_dy(y), draw_dy(y, seed=1)
    of_one, of_other, of_double, of_sum = (
        params.flatten(case.backward(dy, cache)) for dy in (one, other, 2 * one, one + other))
    for path, gradient in of_one.items():
        np.testing.assert_array_equal(of_double[path], 2 * gradient)
        naive.close(of_sum[path], gradient + of_other[path])


@every_case
def test_gradients_share_no_memory_with_arguments_cache_or_each_other(case):
    """A caller adds to gradients in place; sharing with dy, a layer's to hand on, is allowed."""
    arguments = mapped(case.arguments, np.copy)
    y, cache = case.forward(arguments)
    gradients = arrays(case.backward(draw_dy(y), cache))
    for i, gradient in enumerate(gradients):
        others = [*arrays(arguments), *arrays(cache), *gradients[:i]]
        assert not any(np.shares_memory(gradient, other) for other in others)
