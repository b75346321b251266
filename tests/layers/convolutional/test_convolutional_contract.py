"""What every convolutional layer promises, whatever it computes."""

import convolutional_cases
import naive
import numpy as np
import pytest
import strict_cupy
from contract import arrays, draw_dy, mapped, run

from vitnp import params
from vitnp.backend import to_device

CASES = {case.name: case for case in convolutional_cases.all_cases()}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@every_case
def test_nothing_that_belongs_to_another_is_changed_or_shared(case):
    arguments = mapped(case.arguments, np.copy)
    y, cache = case.forward(arguments)
    dy = draw_dy(y)
    watched = [*arrays(arguments), y, dy, *arrays(cache)]
    kept = [array.copy() for array in watched]
    gradients = arrays(case.backward(dy, cache))
    for array, before in zip(watched, kept, strict=True):
        np.testing.assert_array_equal(array, before)
    for i, gradient in enumerate(gradients):
        others = [*arrays(arguments), *arrays(cache), *gradients[:i]]
        assert not any(np.shares_memory(gradient, other) for other in others)


@every_case
def test_backward_twice_and_a_forward_in_between_change_nothing(case):
    y, cache = case.forward(case.arguments)
    first = mapped(params.flatten(case.backward(draw_dy(y), cache)), np.copy)
    case.forward(mapped(case.arguments, lambda array: 0.5 - 1.3 * array))
    again = params.flatten(case.backward(draw_dy(y), cache))
    for path, gradient in first.items():
        np.testing.assert_array_equal(again[path], gradient)


@every_case
def test_the_order_in_memory_does_not_matter(case):
    y, _ = case.forward(case.arguments)
    dy = draw_dy(y)
    _, gradients = run(case, case.arguments, dy)
    y_again, again = run(case, mapped(case.arguments, np.asfortranarray), np.asfortranarray(dy))
    naive.close(y_again, y, atol=1e-11)
    for path, gradient in gradients.items():
        naive.close(again[path], gradient, atol=1e-11)


@every_case
def test_float32_stays_float32_and_is_close_to_float64(case):
    arguments = mapped(case.arguments, lambda array: array.astype(np.float32))
    y, cache = case.forward(arguments)
    dy = draw_dy(y)
    gradients = params.flatten(case.backward(dy, cache))
    floats = [array for array in arrays(cache) if array.dtype.kind == "f"]
    assert {array.dtype.name for array in [y, *gradients.values(), *floats]} == {"float32"}
    expected_y, expected = run(case, mapped(arguments, np.float64), dy.astype(np.float64))
    naive.close(y, expected_y, atol=1e-4)
    for path, gradient in expected.items():
        naive.close(gradients[path], gradient, atol=1e-4)


@every_case
def test_backward_is_linear_in_dy(case):
    y, cache = case.forward(case.arguments)
    one, other = draw_dy(y), draw_dy(y, seed=1)
    of_one, of_other, of_sum = (
        params.flatten(case.backward(dy, cache)) for dy in (one, other, 2 * one + other))
    for path, gradient in of_one.items():
        assert gradient.shape == params.flatten(case.arguments)[path].shape
        naive.close(of_sum[path], 2 * gradient + of_other[path], atol=1e-11)


@every_case
def test_on_a_device_nothing_is_read_back_and_all_is_the_same(case):
    """The stand-in for CuPy refuses each of NumPy's functions and conversions."""
    y, cache = case.forward(case.arguments)
    dy = draw_dy(y)
    expected = params.flatten(case.backward(dy, cache))
    there = mapped(case.arguments, lambda array: to_device(array, strict_cupy))
    with strict_cupy.forbid_host_reads():
        found, cache = case.forward(there)
        gradients = params.flatten(case.backward(to_device(dy, strict_cupy), cache))
    naive.close(found.get(), y)
    for path, gradient in expected.items():
        naive.close(gradients[path].get(), gradient, atol=1e-11)
