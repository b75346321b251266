"""The MLP: against loops, and its two dropouts."""

from dataclasses import replace

import naive
import numpy as np
import pytest

from vitnp.gradcheck.cases import SIZES, drawing, parameters
from vitnp.layers import mlp, textbook

draw = drawing(np)
P = parameters(SIZES, draw)["blocks"][0]["mlp"]
X, DY = draw((3, 7, 12)), draw((3, 7, 12))
B, T, D, F = 3, 7, 12, 10


@pytest.mark.parametrize("form", ("tanh", "erf"))
def test_forward_equals_loops_in_both_forms_of_the_gelu(form):
    """The forms differ by 4.7e-4, so that one in place of the other shows."""
    y, _ = mlp.forward(X, P, replace(SIZES, gelu=form), textbook)
    naive.close(y, naive.mlp(X, P, form))


def test_each_token_is_thought_about_alone():
    """A change of one token must not change the others."""
    changed = X.copy()
    changed[1, 3] += 1.0
    y, y_changed = (mlp.forward(x, P, SIZES, textbook)[0] for x in (X, changed))
    differs = np.abs(y - y_changed).max(axis=-1) > 1e-9
    assert differs[1, 3]
    assert differs.sum() == 1


def test_both_dropouts_are_where_the_authors_have_them():
    dropout = naive.ScalingDropout()
    config = replace(SIZES, dropout=0.2, attention_dropout=0.3)
    y, _ = mlp.forward(X, P, config, replace(textbook, dropout=dropout), "generator")
    assert dropout.calls == [((B, T, F), 0.2, "generator", False),
                             ((B, T, D), 0.2, "generator", False)]
    naive.close(y, naive.mlp(X, P, SIZES.gelu, factors=(2.0, 3.0)))


def test_backward_passes_both_dropouts():
    """With factors 2 and 3 in place of masks, scaled weights without dropout say the same."""
    _, cache = mlp.forward(X, P, SIZES, replace(textbook, dropout=naive.ScalingDropout()))
    dx, dp = mlp.backward(DY, cache)
    scaled = {"in": P["in"], "out": {"weight": 6 * P["out"]["weight"],
                                     "bias": 3 * P["out"]["bias"]}}
    expected, expected_dp = mlp.backward(DY, mlp.forward(X, scaled, SIZES, textbook)[1])
    naive.close(dx, expected)
    naive.close(dp["in"]["weight"], expected_dp["in"]["weight"])
    naive.close(dp["in"]["bias"], expected_dp["in"]["bias"])
    naive.close(dp["out"]["weight"], 6 * expected_dp["out"]["weight"])
    naive.close(dp["out"]["bias"], 3 * expected_dp["out"]["bias"])


def test_dropout_happens_in_training_and_not_in_evaluation():
    config = replace(SIZES, dropout=0.4)
    plain, _ = mlp.forward(X, P, SIZES, textbook)
    np.testing.assert_array_equal(mlp.forward(X, P, config, textbook)[0], plain)
    trained, _ = mlp.forward(X, P, config, textbook, np.random.default_rng(0))
    assert abs((trained == 0).mean() - 0.4) < 0.1
    kept = trained != 0
    assert np.abs(trained[kept] * 0.6 - plain[kept]).max() > 0.01   # the dropout before it
