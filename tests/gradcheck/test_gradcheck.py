"""Every backward against finite differences, and that the check itself can fail."""

import math
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from vitnp import gradcheck, params
from vitnp.gradcheck import __main__ as gradcheck_command
from vitnp.gradcheck import cases
from vitnp.layers import textbook

CASES = {case.name: case for case in cases.all_cases()}


def run(case):
    return gradcheck.check(case, np.random.default_rng(1))


@pytest.mark.parametrize("name", CASES)
def test_backward_is_the_derivative_of_forward(name):
    results = run(CASES[name])
    assert results and all(result.error < 1e-6 for result in results)
    assert [result for result in results if not result.passed] == []


def test_every_layer_has_a_case():
    layers = set(vars(textbook))
    checked = {name.split(",")[0].split()[0] for name in CASES}
    assert layers <= checked


def test_no_array_checked_has_two_equal_axes():
    """A transpose or exchanged axis would not show. The out matrix is D x D by its nature."""
    for case in CASES.values():
        for path, array in params.flatten(case.arguments).items():
            if not path.endswith("attention/out/weight") and not path.endswith("p/out/weight"):
                assert len(set(array.shape)) == array.ndim, (case.name, path, array.shape)


def broken(name, change):
    """Return the results of a case whose gradients pass through `change`, a tree's function."""
    case = CASES[name]
    return run(replace(case, backward=lambda dy, cache: change(case.backward(dy, cache))))


@pytest.mark.parametrize("change", (
    lambda g: g | {"x": 0 * g["x"]},
    lambda g: g | {"x": -g["x"]},
    lambda g: g | {"x": g["x"] * (1 + 1e-5)},
    lambda g: g | {"x": g["x"] * math.nan},
    lambda g: g | {"gamma": g["gamma"][::-1]},
    lambda g: g | {"gamma": g["gamma"][None]},
    lambda g: {"x": g["x"], "gamma": g["gamma"]},
))
def test_a_wrong_gradient_fails(change):
    failed = [result.argument for result in broken("layernorm", change) if not result.passed]
    assert len(failed) == 1


def test_a_wrong_gradient_fails_in_a_sampled_network():
    def change(gradients):
        gradients["params"]["blocks"][1]["norm2"]["gamma"][3] *= 1.001
        return gradients

    failed = [r for r in broken("vit token, tanh, learned positions", change) if not r.passed]
    assert [result.argument for result in failed] == ["params/blocks/1/norm2/gamma"]


def test_the_key_bias_is_reported_as_zero_and_must_be():
    results = {r.argument: r for r in run(CASES["attention"])}
    assert results["p/qkv/bias (keys)"].verdict == "zero, as expected"
    assert results["p/qkv/bias (queries)"].verdict == "ok"

    def change(gradients):
        gradients["p"]["qkv"]["bias"][13] += 1e-3
        return gradients

    failed = [r.argument for r in broken("attention", change) if not r.passed]
    assert failed == ["p/qkv/bias (keys)"]


def test_a_layer_replaced_in_ops_is_the_one_that_is_checked():
    def backward(dy, cache):
        dx, dgamma, dbeta = textbook.layernorm.backward(dy, cache)
        return dx, dgamma, 2 * dbeta

    mine = SimpleNamespace(forward=textbook.layernorm.forward, backward=backward)
    with_mine = cases.all_cases(ops=replace(textbook, layernorm=mine))
    failed = {r.argument for case in with_mine if case.name in ("layernorm", "block")
              for r in run(case) if not r.passed}
    assert failed == {"beta", "p/norm1/beta", "p/norm2/beta"}


def test_arguments_are_as_before_after_a_check():
    case = CASES["attention"]
    before = {path: array.copy() for path, array in params.flatten(case.arguments).items()}
    run(case)
    for path, array in params.flatten(case.arguments).items():
        np.testing.assert_array_equal(array, before[path])


@pytest.mark.parametrize(("arguments", "code", "said"), (
    (["--only", "softmax"], 0, "1 gradients checked, 0 failed"),
    (["--only", "convolution"], 2, "error: no layer is called 'convolution'"),
    (["--device", "tpu"], 2, "error: unknown device 'tpu'"),
))
def test_command(arguments, code, said):
    done = subprocess.run([sys.executable, "-m", "vitnp.gradcheck", *arguments],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert said in (done.stdout if code == 0 else done.stderr)
    assert "Traceback" not in done.stderr


def test_command_exits_with_1_when_a_layer_is_wrong(monkeypatch, capsys):
    monkeypatch.setattr(textbook.softmax, "backward", lambda dy, cache: 0 * dy)
    assert gradcheck_command.main(["--only", "softmax"]) == 1
    assert "FAILED" in capsys.readouterr().out
