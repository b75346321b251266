"""The diagnosis: it names the mistake from the numbers alone."""

import json
from dataclasses import replace
from pathlib import Path

import blind
import numpy as np
import pytest

from tutorials.assignments import checking, starter, tasks
from tutorials.assignments.checking import bank, diagnosis, faults, oracles, relations
from tutorials.assignments.tasks import planting
from vitnp import Error

MODULES = [module for task in tasks.TASKS for module in task.modules]
SIZES = {"B": 3, "T": 9, "H": 2, "Dh": 5, "D": 10}


@pytest.mark.parametrize("module", MODULES)
def test_every_known_mistake_can_be_planted_and_has_kinds_that_exist(module):
    """The bank must follow the library: each right text occurs once in it."""
    known = bank.known(module)
    assert len(known) >= 10
    for mistake in known:
        assert set(mistake.kinds) <= set(relations.KINDS), mistake.sentence
        compile(mistake.text, module, "exec")


def consequences(module, sentence):
    """Return the first Answer about a module, and what the mistake with this sentence gives."""
    answer = oracles.answers(module)[0]
    mistake = next(one for one in bank.known(module) if sentence in one.sentence)
    return answer, bank.consequences(mistake, answer, "plain", "backward")


@pytest.mark.parametrize(("module", "sentence", "kind"), [
    ("layers.layernorm", "paths through mean and variance are both missing", relations.PROJECTION),
    ("layers.layernorm", "gamma stands outside", relations.GAMMA),
    ("layers.softmax", "only the diagonal", relations.PROJECTION),
    ("layers.linear", "dweight is transposed", relations.TRANSPOSE),
    ("layers.gelu", "density of the erf form is used for", relations.TANH),
    ("layers.dot_product_attention", "is missing in dq", relations.FACTOR),
])
def test_a_known_mistake_is_named_from_its_numbers(module, sentence, kind):
    answer, found = consequences(module, sentence)
    wrong = [name for name, value in answer.gradients.items()
             if faults.is_wrong(found[name], value)]
    likely = diagnosis.of_values(answer, "plain", "backward", found, wrong)
    assert sentence in likely[0].sentence and kind in likely[0].kinds


def relation(change):
    true = np.random.default_rng(0).standard_normal((3, 9, 10))
    return relations.relation("dx", change(true), true, SIZES)[0]


def test_sign_and_factors_are_named_whatever_the_layer():
    assert relation(lambda x: -x) == relations.Likely(
        (relations.SIGN,), "dx has the wrong sign")
    third = relation(lambda x: x / 3)
    assert relations.MEAN in third.kinds and "0.333333 (1/B" in third.sentence
    root = relation(lambda x: -x * np.sqrt(5))
    assert root.kinds == (relations.SIGN, relations.FACTOR) and "-√Dh" in root.sentence
    assert "zero everywhere" in relation(lambda x: 0 * x).sentence


def test_shapes_tell_of_missing_sums_and_exchanged_axes():
    dy = np.random.default_rng(0).standard_normal((3, 9, 10))
    summed = relations.relation("dbias", dy, dy.sum(axis=(0, 1)), SIZES)[0]
    assert summed.kinds == (relations.MISSING_SUM,)
    assert summed.sentence == "dbias is not summed over all images and tokens: its sum is right"
    heads = np.random.default_rng(0).standard_normal((3, 2, 9, 5))
    swapped = relations.relation("y", heads.swapaxes(1, 2), heads, SIZES)[0]
    assert relations.SWAPPED in swapped.kinds


def test_only_the_first_image_is_seen():
    answer = oracles.answers("layers.linear")[0]
    true = answer.gradients["dx"]
    mine = np.where(np.arange(3)[:, None, None] == 0, true, 2 * true + 1)
    (likely,) = diagnosis.of_values(answer, "plain", "backward",
                                    answer.gradients | {"dx": mine}, ["dx"])
    assert likely == relations.Likely((relations.FIRST,),
                                      "in dx only the first image is right")


@pytest.mark.parametrize(("task", "right", "wrong", "likely"), [
    # The first step of AdamW: both mistakes give ten times the first mean
    ("10-adamw", "        w -= rate / correction1 * m /",
     "        m /= correction1\n        w -= rate * m /",
     ["the first mean is divided by its correction in place: the buffer has to stay as it is"]),
    ("10-adamw", "m *= beta1", "m *= 0.9",
     ["β₁, β₂ and eps are arguments: use beta1, beta2 and eps, not the usual numbers"]),
    ("05-layernorm", "return dx, dgamma, dbeta", "return dgamma, dbeta, dx",
     [("the arrays are right, in another order: dgamma in the place of dx, dbeta in the place of "
      "dgamma, dx in the place of dbeta; the order is dx, dgamma, dbeta")]),
    ("05-layernorm", "(centred * centred).mean(axis=-1, keepdims=True)",
     "(x * x).mean(axis=-1, keepdims=True) - x.mean(axis=-1, keepdims=True) ** 2",
     [("digits are lost where the mean is large: compute the variance from x - mean, not as "
      "mean(x²) - mean(x)²")]),
    # Several mistakes of the bank raise this error; the line tells which it is
    ("07-one-head", 'dk = dscores.swapaxes(-1, -2) @ cache["scaled"]',
     'dk = dscores @ cache["scaled"]',
     ["dscores is not transposed in dk: dk = dscoresᵀ q",
      "the transposes of dq and dk are exchanged: dq = dscores k, dk = dscoresᵀ q"]),
    ("07-one-head", "weights, softmax = ops.softmax.forward(scores)",
     "weights = softmax = ops.softmax(scores)",
     [("a layer such as ops.softmax has two functions: y, cache = ops.softmax.forward(x) and "
      "dx = ops.softmax.backward(dy, cache)")]),
    ("07-one-head", "weights, softmax = ops.softmax.forward(scores)",
     "weights = softmax = ops.softmax.forward(scores)",
     [("the forward of a layer returns two values, its result and its cache: "
      "y, cache = ops.softmax.forward(x)")]),
    ("07-one-head", 'ops.softmax.backward(dweights, cache["softmax"])',
     "ops.softmax.backward(dweights, list(cache))",
     [("the backward of a layer needs the cache that its own forward returned: "
      "dx = ops.softmax.backward(dy, cache)")]),
])
def test_what_the_numbers_leave_open_is_told_from_the_rest(task, right, wrong, likely):
    """The likely mistakes are these, and no others beside them."""
    module = tasks.find(task).modules[0]
    text = planting.plant(starter.library_text(module), [(right, wrong)])
    message = checking.check_task(task, {tasks.find(task).files[0]: text}).message
    told = [line.removeprefix("likely: ") for line in message.split("\n") if "likely: " in line]
    assert told == likely, message


@pytest.mark.parametrize(("right", "wrong", "told"), [
    ('"weights": weights', '"weights": dropped',
     'cache["weights"] has wrong values (in the case: with dropout)'),
    ("weights, softmax = ops.softmax.forward(scores)",
     ("weights = 2.718281828459045 ** scores\n"
     "    weights = softmax = weights / weights.sum(axis=-1, keepdims=True)"),
     "(in the case: scores around 900)"),
])
def test_attention_is_asked_where_dropout_and_large_scores_matter(right, wrong, told):
    text = planting.plant(starter.library_text("layers.dot_product_attention"), [(right, wrong)])
    report = checking.check_task("07-one-head", {"dot_product_attention.py": text})
    assert told in report.message, report.message


def test_numbers_of_the_message():
    true = np.ones((2, 3))
    mine = true.copy()
    mine[1, 2] = 1.5
    assert faults.comparison(mine, true) == (
        ", shape (2, 3): 1 of 6 numbers are wrong, relative error 0.5; the worst at [1, 2]: "
        "yours 1.5, right 1")
    assert faults.is_wrong(np.full((2, 3), np.nan), true)
    assert not faults.is_wrong(true + 1e-10, true) and faults.is_wrong(true[0], true)


def test_a_text_of_another_form_is_refused():
    with pytest.raises(Error, match="neither - nor"):
        planting.read("sign: wrong\n-a\nb")
    with pytest.raises(Error, match="occurs 2 times, not once"):
        planting.plant("a a", [("a", "b")])
    assert planting.read("x: y\n-a\n+b\n-c\n+\n\nz: w\n-d") == [
        ("x: y", [("a", "b"), ("c", "")]), ("z: w", [("d", "")])]


ANSWERS = [json.loads(line) for line in
           (Path(__file__).parent / "answers.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("row", ANSWERS, ids=lambda row: row["name"])
def test_answers_as_students_write_them_get_the_right_verdict(row):
    report = blind.judge(row)
    assert report.status == ("passed" if row["right"] else "wrong"), report.message


@pytest.mark.parametrize(("name", "told"), [
    ("misleading_A2", "queries is ignored"),
    ("misleading_A7", "its arguments are (q, k, v, ops, rate=0.0, rng=None), in this order"),
    ("misleading_A11", "its arguments are (x, heads, parts), in this order"),
    ("misleading_B3", "not cut to the first `queries` tokens"),
    ("misleading_B4", "each call needs a cache, and a name, of its own"),
    ("wrong_block_passes", "rng is not handed on to ops.attention"),
])
def test_messages_that_misled_name_the_mistake(name, told):
    guesses = blind.guesses(blind.judge(next(row for row in ANSWERS if row["name"] == name)))
    assert told in guesses[0]


@pytest.mark.parametrize(("wrong", "told"), [
    ("_ ** -1.5", ["std^-3"]), ("centred * (variance", ["the -1/2 of the derivative"]),
    (("dnormalised = dy\n", "+ dvariance * 2.0 * centred / D", ""),
     ["gamma is forgotten in dx", "path through the variance is missing"]),
])
def test_mistakes_in_a_derivation_step_by_step_are_named(wrong, told):
    """Two at once, too; the text is a student's, not the library's."""
    text = (bank.MISTAKES / "layernorm_steps.txt").read_text("utf-8").partition("\n====")[0]
    changes = {"_ ** -1.5": ("(variance + eps) ** -1.5", "std ** -1.5"),
               "centred * (variance": ("centred * -0.5 * (variance", "centred * (variance")}
    if isinstance(wrong, tuple):
        pairs = [("dnormalised = dy * gamma\n", wrong[0]), (wrong[1], wrong[2])]
    else:
        pairs = [changes[wrong]]
    message = checking.check_task("05-layernorm", {"layernorm.py": planting.plant(
        text, pairs)}).message
    assert all(f"likely: {word}" in message or word in message for word in told), message


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_the_right_gradients_are_those_of_finite_differences(module):
    """The library's backward is what answers are held against."""
    for answer in oracles.answers(module):
        if not answer.gradients or "large" in answer.question.title:
            continue
        question = replace(answer.question, variant=True)
        numeric = oracles.gradients(question, oracles.library(question), answer.dy)
        for name, right in answer.gradients.items():
            assert right is None or not faults.is_wrong(numeric[name], right, 1e-6), name


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_every_known_mistake_gives_something_wrong(module):
    """A mistake that changes no answer would be a sentence about nothing."""
    for mistake in bank.known(module):
        seen = False
        for answer in oracles.answers(module):
            for form in {"plain", "float32"} & set(answer.question.forms):
                bound = faults.FLOAT32_TOLERANCE if form == "float32" else faults.TOLERANCE
                for side in ("forward", "backward") if answer.gradients else ("forward",):
                    right = answer.outputs if side == "forward" else answer.gradients
                    given = bank.consequences(mistake, answer, form, side)
                    seen |= isinstance(given, str) or any(
                        value is not None and faults.is_wrong(given.get(name), value, bound)
                        for name, value in right.items())
        assert seen, mistake.sentence
