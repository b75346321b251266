"""The check: what it finds, what it must not refuse, and what it says of files that do not work."""

import pytest
import table

from tutorials.assignments import __main__ as command_line
from tutorials.assignments import checking, starter, tasks
from tutorials.assignments import train as train_command
from tutorials.assignments.checking import oracles
from vitnp import Error

SOFTMAX, LINEAR = starter.library_text("layers.softmax"), starter.library_text("layers.linear")
LAYERNORM = starter.library_text("layers.layernorm")


def check_linear(forward=None, backward=None, before=""):
    """Check a linear.py in which one function has another body, and return the Report."""
    text = before + LINEAR
    if forward is not None:
        text += f"\n\ndef forward(x, weight, bias):\n    {forward}\n"
    if backward is not None:
        text += ("\n\nright = backward\n\n\ndef backward(dy, cache):\n"
                 f"    dx, dweight, dbias = right(dy, cache)\n    {backward}\n")
    return checking.check_task("04-linear", {"linear.py": text})


@pytest.mark.parametrize(("body", "told"), [
    ("return None", "returns nothing"),
    ("return x @ weight + bias",
     "forward must return two values, y and the cache; yours returns one array of the shape"),
    ("return (x @ weight + bias).tolist(), x", "y is no array"),
    ("return (x @ weight + bias) / 0.0, x", "a division by zero"),
    ("return (x @ weight + bias).astype(int), x", "y is an array of int64, not of float64"),
    ("return unknown, x", "NameError: name 'unknown' is not defined (linear.py, line "),
    ("raise NotImplementedError('later')", "not written yet: later"),
])
def test_a_wrong_forward_is_told_and_backward_waits(body, told):
    report = check_linear(forward=body)
    forward, backward = report.verdicts
    assert told in forward.message, forward.message
    assert not forward.passed and backward.passed is None
    assert backward.message == "not judged: forward comes first"


@pytest.mark.parametrize(("body", "told"), [
    # x of the caller's is moved and moved back by too much; what backward needs is right
    ("weight += 1.0\n    return x @ (weight - 1.0) + bias, (x, weight - 1.0)", "in place"),
    ("return (x @ weight + bias) * np.float64(1.0), (x, weight)",
     "y is float64 where the arguments are float32"),
    ("return x @ weight + bias * (len(x) > 1), (x, weight)", "(in the case: a batch of one)"),
])
def test_the_backward_is_judged_where_the_plain_forward_is_right(body, told):
    forward, backward = check_linear(forward=body, before="import numpy as np\n").verdicts
    assert forward.passed is False and told in forward.message, forward.message
    assert backward.passed is True, backward.message


def test_a_missing_file_costs_its_own_functions_alone():
    report = checking.check_task("04-softmax-cross-entropy", {"softmax.py": SOFTMAX})
    assert [verdict.passed for verdict in report.verdicts] == [True, True, None, None]
    assert report.share == 0.5 and report.status == "missing"
    assert report.note == "cross_entropy.py is not there"


def test_float64_is_checked_to_more_digits_than_float32_has():
    text = SOFTMAX.replace("xp.exp(x - x.max(axis=-1, keepdims=True))",
                           "xp.exp((x - x.max(axis=-1, keepdims=True)).astype('float32'))"
                           ".astype(x.dtype)")
    assert text != SOFTMAX
    report = checking.check_task("04-softmax-cross-entropy", {"softmax.py": text})
    assert "digits are lost" in report.verdicts[0].message


@pytest.mark.parametrize(("module", "right", "wrong", "told"), [
    ("layers.block", "ops, rng, queries)", "ops, None, queries)",
     "rng is not handed on to ops.attention"),
    ("layers.block", "ops, rng, queries)", "ops, rng)", "queries is not handed on"),
    ("layers.block", "config, ops, rng)\n    branch, cache[\"depth2\"]",
     "config, ops)\n    branch, cache[\"depth2\"]", "rng is not handed on to ops.mlp"),
    ("layers.block", 'norm1["beta"], config.eps)', 'norm1["beta"])',
     "eps is not "),
    ("layers.block", "(dnormed, cache[\"norm2\"])", "(dnormed, cache[\"norm1\"])",
     "cache of the first one"),
    ("layers.mlp", "ops.gelu.forward(hidden, config.gelu)", "ops.gelu.forward(hidden)",
     "the GELU has not the form"),
    ("layers.mlp", "dhidden = ops.gelu.backward(dhidden, cache[\"gelu\"])", "pass", "GELU"),
    ("layers.attention", "q, k, v, ops, config.attention_dropout, rng)",
     "q, k, v, ops, config.attention_dropout)", "the dropout of the attention weights is missing"),
    ("layers.attention", "x[:, :queries], weight", "x, weight", "queries is ignored"),
    ("layers.cross_entropy", "* (1.0 - smoothing) + smoothing / K", "", "smoothing is "),
])
def test_each_argument_that_is_handed_on_or_ignored_shows(module, right, wrong, told):
    source = starter.library_text(module)
    assert source.count(right) == 1
    task = next(task for task in tasks.TASKS if module in task.modules)
    sources = {task.file_of(module): source.replace(right, wrong)}
    message = checking.check_task(task.name, sources).message
    assert told in message, message


@pytest.mark.parametrize(("body", "told"), [
    ("pass", "returns nothing"),
    ("return dx, dweight", "backward must return 3 values, dx, dweight, dbias; yours returns 2"),
    ("return dx", "yours returns one array"),
    ("return dx, dweight, None", "dbias is no array"),
    ("return dx, dweight, dbias * float('nan')", "dbias holds nan"),
    ("return dx, dweight, dbias.astype('float32')", "dbias is float32"),
    ("dy *= 0.0\n    return dx, dweight, dbias", "changes its argument dy in place"),
    ("cache[0][...] = 0.0\n    return dx, dweight, dbias",
     "when it is called twice with one cache"),
])
def test_a_wrong_backward_is_told(body, told):
    forward, backward = check_linear(backward=body).verdicts
    assert forward.passed and backward.passed is False
    assert told in backward.message, backward.message
    assert "see tutorials/04_linear_softmax_cross_entropy.md, line " in backward.message


def test_what_is_kept_outside_of_the_cache_is_found():
    text = LINEAR.replace("def forward", "KEPT = []\n\n\ndef forward").replace(
        "    rows = x.reshape(-1, x.shape[-1])                           # (rows, in)\n    y =",
        "    KEPT[:] = [x, weight]\n    rows = x.reshape(-1, x.shape[-1])\n    y =").replace(
        "x, weight = cache", "x, weight = KEPT")
    assert text.count("KEPT") == 3
    report = checking.check_task("04-linear", {"linear.py": text})
    assert "what it needs was overwritten" in report.message
    assert report.verdicts[1].kinds == ("overwritten cache",)


def test_files_that_cannot_be_loaded_and_loops_without_end(monkeypatch):
    for text, told in (("def forward(:\n", "SyntaxError"), ("import nothing_like_it\n", "nothing"),
                       ("assert 1 > 2, 'no'\n",
                        "AssertionError: no (linear.py, line 1: assert 1 > 2, 'no')")):
        report = checking.check_task("04-linear", {"linear.py": text})
        assert report.status == "wrong" and told in report.message, report.message
        assert [verdict.passed for verdict in report.verdicts] == [False, None]
    monkeypatch.setattr(checking, "SECONDS", 3.0)
    report = check_linear(backward="while True: pass")
    assert [verdict.passed for verdict in report.verdicts] == [True, False]
    assert "loop without an end" in report.message and "linear.py, line" in report.message


def test_what_is_printed_is_shown_and_does_not_disturb(capsys, tmp_path):
    (tmp_path / "linear.py").write_text(LINEAR + "\nprint('hello')\n")
    assert command_line.main(["check", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{'04-linear':<32}passed\n") and told.endswith("1 of 1 passed\n")
    assert "linear:forward: the library's own text, which brings no points" in told
    (tmp_path / "softmax.py").write_text(SOFTMAX)
    assert command_line.main(["check", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "missing\n    cross_entropy.py is not there" in told and "1 of 2 passed" in told
    (tmp_path / "linear.py").write_text("print('hello')\n" + LINEAR.replace("y += bias", "pass"))
    assert command_line.main(["check", str(tmp_path), "04-linear"]) == 1
    told = capsys.readouterr().out
    assert "it printed:\n        hello" in told and "likely: the bias is not added" in told
    (tmp_path / "linear.py").write_text(
        "for i in range(50): print('line', i)\n" + LINEAR.replace("y += bias", "pass"))
    assert command_line.main(["check", str(tmp_path), "04-linear"]) == 1
    told = capsys.readouterr().out
    assert "line 39\n        … and 10 lines more" in told and "line 40" not in told


def test_mistakes_in_calling_the_check(tmp_path):
    with pytest.raises(Error, match="there is no folder"):
        command_line.main(["check", str(tmp_path / "none")])
    with pytest.raises(Error, match="holds no file of a task; begin with"):
        command_line.main(["check", str(tmp_path)])
    (tmp_path / "linear.py").write_bytes(b"\xff\xfe")
    with pytest.raises(Error, match="not text in UTF-8"):
        command_line.main(["check", str(tmp_path)])
    with pytest.raises(Error, match="is a file; give the folder that it is in"):
        command_line.main(["check", str(tmp_path / "linear.py")])
    (tmp_path / "linear.py").unlink()
    (tmp_path / "linear.py").mkdir()
    with pytest.raises(Error, match="linear.py cannot be read: Is a directory"):
        command_line.main(["check", str(tmp_path)])


def test_seeds_ask_with_other_values_and_sizes():
    shapes = set()
    for seed in (0, 1, 2, 3):
        answer = oracles.answers("layers.linear", seed)[0]
        shapes.add(answer.question.arguments["x"].tobytes())
        for question in oracles.questions("layers.block", seed):
            sizes = question.sizes
            letters = [sizes[letter] for letter in ("B", "T", "H", "Dh", "D", "F")]
            assert len(set(letters)) == len(letters), sizes
    assert len(shapes) == 4
    wrong = LINEAR.replace("y += bias", "pass")
    for seed in (1, 2):
        assert not checking.check_task("04-linear", {"linear.py": wrong}, seed).passed


def test_training_takes_the_layers_that_pass(tmp_path, monkeypatch, capsys):
    (tmp_path / "layernorm.py").write_text(LAYERNORM)
    (tmp_path / "linear.py").write_text(LINEAR.replace("y += bias", "pass"))
    taken = []

    def train(recipe, out, ops):
        taken.append(ops)
        raise Error("enough")

    monkeypatch.setattr("vitnp.training.loop.train", train)
    monkeypatch.setattr("vitnp.parallel.lanes.prepare_process", lambda: None)
    with pytest.raises(Error, match="enough"):
        command_line.main(["train", str(tmp_path), "--epochs", "1"])
    told = capsys.readouterr().out
    assert f"{'layernorm':<24}yours" in told and f"{'linear':<24}the library's" in told
    assert taken[0].layernorm.__file__ == str(tmp_path / "layernorm.py")
    assert taken[0].linear.__name__ == "vitnp.layers.linear"
    with pytest.raises(Error, match=r"layernorm.py, line 1: ZeroDivisionError.*get_xp"):
        (tmp_path / "layernorm.py").write_text("1 / 0")
        train_command.guarded(lambda: train_command.load(tmp_path, "layers.layernorm"), tmp_path)


def test_wrong_and_right_answers_are_enough_and_can_be_planted():
    found = list(table.submissions())
    assert sum(kind != "" for _, kind, _, _ in found) >= 150
    assert sum(kind == "" for _, kind, _, _ in found) >= 25
    asked = {table.module_of(file) for file, _, _, _ in found}
    assert asked == {module for task in tasks.TASKS for module in task.modules}


@pytest.mark.slow
def test_wrong_answers_are_caught_and_named_and_right_ones_accepted():
    assert table.main([]) == 0
