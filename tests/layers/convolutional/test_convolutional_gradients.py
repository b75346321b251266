"""Every convolutional backward against finite differences."""

import math

import convolutional_cases
import numpy as np
import pytest

from vitnp import gradcheck, params
from vitnp.layers import Ops
from vitnp.layers.convolutional import textbook

CASES = {case.name: case for case in convolutional_cases.all_cases()}


@pytest.mark.parametrize("name", CASES)
def test_backward_is_the_derivative_of_forward(name):
    results = gradcheck.check(CASES[name], np.random.default_rng(1))
    assert results and [result for result in results if not result.passed] == []


def test_every_layer_has_a_case():
    layers = set(vars(textbook)) - set(vars(Ops()))
    assert layers <= {name.split(",")[0] for name in CASES}


def test_no_array_checked_has_two_equal_axes_but_kernels():
    """A transpose or exchanged axis would not show. Blocks have 3 x 3 or 1 x 1 by their nature."""
    for case in CASES.values():
        for path, array in params.flatten(case.arguments).items():
            if not path.startswith(("p/", "params/")) and "1 x 1" not in case.name:
                assert len(set(array.shape)) == array.ndim, (case.name, path, array.shape)


def test_inputs_of_kinks_keep_away_from_them():
    for name in ("relu", "max_pool"):
        values = np.sort(np.append(CASES[name].arguments["x"].ravel(), 0.0))
        assert np.diff(values).min() > 100 * gradcheck.STEP


def test_a_wrong_gradient_of_a_network_fails():
    """The check itself must be able to fail, with sampled entries and directions too."""
    case = CASES["resnet"]

    def backward(dy, cache):
        gradients = case.backward(dy, cache)
        gradients["params"]["blocks"][1]["shortcut"]["weight"][0, 0, 1, 3] *= 1.001
        gradients["images"] *= 1 + 1e-5
        return gradients

    wrong = gradcheck.Case("wrong", case.arguments, case.forward, backward, sampled=True)
    failed = [r.argument for r in gradcheck.check(wrong, np.random.default_rng(1)) if not r.passed]
    assert failed == ["images", "params/blocks/1/shortcut/weight"]
    assert math.isfinite(case.forward(case.arguments)[0].sum())
