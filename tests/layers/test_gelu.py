"""GELU: both forms, their derivatives and erf, against exact values."""

import math
from pathlib import Path

import naive
import numpy as np
import pytest

from vitnp.errors import Error
from vitnp.layers import gelu

EXACT = np.load(Path(__file__).parents[1] / "fixtures" / "gelu.npz")
FORMS = ("tanh", "erf")
X = np.random.default_rng(4).standard_normal((3, 7, 10))


def value_and_derivative(x, form):
    y, cache = gelu.forward(x, form)
    return y, gelu.backward(np.ones_like(x), cache)


@pytest.mark.parametrize("form", FORMS)
def test_forward_equals_loops(form):
    naive.close(gelu.forward(X, form)[0], naive.gelu(X, form))


def test_the_default_is_the_authors_tanh_form():
    np.testing.assert_array_equal(gelu.forward(X)[0], gelu.forward(X, "tanh")[0])


@pytest.mark.parametrize("form", FORMS)
def test_float64_is_exact_to_1e_14(form):
    y, dx = value_and_derivative(EXACT["x"], form)
    naive.close(y, EXACT[f"gelu_{form}"], atol=1e-15)
    naive.close(dx, EXACT[f"dgelu_{form}"], atol=1e-14)


@pytest.mark.parametrize(("form", "bound", "derivative_bound"),
                         (("tanh", 2e-7, 6e-7), ("erf", 2e-7, 2e-7)))
def test_float32_errors_relative_to_the_larger_of_1_and_x(form, bound, derivative_bound):
    """Measured 1.4e-7 and 3.7e-7 for tanh (its cube loses more), 1.2e-7 and 1.0e-7 for erf."""
    size = np.maximum(1.0, np.abs(EXACT["x"]))
    y, dx = value_and_derivative(EXACT["x"].astype(np.float32), form)
    assert y.dtype == dx.dtype == np.float32
    assert (np.abs(y - EXACT[f"gelu_{form}"]) / size).max() < bound
    assert (np.abs(dx - EXACT[f"dgelu_{form}"]) / size).max() < derivative_bound


@pytest.mark.parametrize("form", FORMS)
def test_backward_multiplies_the_derivative_by_dy(form):
    dy = np.random.default_rng(5).standard_normal(X.shape)
    _, cache = gelu.forward(X, form)
    naive.close(gelu.backward(dy, cache), dy * value_and_derivative(X, form)[1])


@pytest.mark.parametrize(("dtype", "sizes"), (
    (np.float16, (100,)), (np.float32, (100, 1e4, 1e13, 1e30, 1e36)),
    (np.float64, (100, 1e4, 1e13, 1e30, 1e36))))
@pytest.mark.parametrize("form", FORMS)
def test_far_from_zero_it_is_the_identity_or_zero_without_overflow(form, dtype, sizes):
    """PyTorch gives these too, but in float32 NaN for the tanh form's slope from 1e30 on."""
    x = np.array(sizes, dtype)
    y, dx = value_and_derivative(np.concatenate([x, -x]), form)
    assert y.dtype == dx.dtype == dtype
    np.testing.assert_array_equal(y, np.concatenate([x, 0 * x]))
    np.testing.assert_array_equal(dx, np.concatenate([np.ones_like(x), 0 * x]))


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
@pytest.mark.parametrize("form", FORMS)
def test_near_zero_half_passes(form, dtype):
    x = np.array([-1e-36, 0.0, 1e-36], dtype)
    y, dx = value_and_derivative(x, form)
    np.testing.assert_array_equal(y, x / 2)
    np.testing.assert_array_equal(dx, np.full(3, 0.5, dtype))


def test_another_form_is_refused():
    with pytest.raises(Error, match="there is no GELU 'quick'; possible are tanh and erf"):
        gelu.forward(X, "quick")


@pytest.mark.parametrize("form", FORMS)
def test_gelu_of_x_minus_that_of_minus_x_is_x(form):
    x = EXACT["x"]
    naive.close(gelu.forward(x, form)[0] - gelu.forward(-x, form)[0], x)


def test_the_two_forms_differ_by_what_is_known():
    """Both forms from one branch would differ by nothing, a wrong constant makes it more."""
    values, slopes = zip(*(value_and_derivative(EXACT["x"], form) for form in FORMS), strict=True)
    assert 4.5e-4 < np.abs(values[0] - values[1]).max() < 4.8e-4
    assert 8.5e-4 < np.abs(slopes[0] - slopes[1]).max() < 8.8e-4


def test_erf_equals_the_mathematical_library():
    x = np.concatenate([np.linspace(-7, 7, 2801), 10.0 ** -np.arange(1, 9), [-30.0, 0.0, 1e4]])
    exact = np.array([math.erf(value) for value in x])
    assert np.abs(gelu.erf(x) - exact).max() < 1e-15
    in_float32 = gelu.erf(x.astype(np.float32))
    assert in_float32.dtype == np.float32
    assert np.abs(in_float32 - exact).max() < 5e-7


def test_erf_is_odd_and_leaves_its_argument_alone():
    x = np.linspace(0, 7, 50)
    kept = x.copy()
    np.testing.assert_array_equal(gelu.erf(-x), -gelu.erf(x))
    np.testing.assert_array_equal(x, kept)
