"""The child process: what goes in, what comes back, and how each kind of failure is told."""

import io
import json
import tempfile

import hostility
import numpy as np
import pytest

from tutorials.assignments import sandbox
from tutorials.assignments.sandbox import OPS, Call, Ref, outcomes, package_copy, wire
from vitnp import Error, ViTConfig, layers

LINEAR = "vitnp.layers.linear"


def run(source, *calls, **options):
    """Run calls of functions of a submitted linear.py: pairs (function, arguments) or Calls."""
    calls = [call if isinstance(call, Call) else Call(LINEAR, *call) for call in calls]
    return sandbox.run({"layers/linear.py": source}, calls, **options)


def test_values_arrive_and_come_back_as_they_are():
    source = ("import numpy as np\n"
              "def same(*values): return list(values)\n"
              "def kinds(*values): return [type(value).__name__ for value in values] == "
              "['ndarray', 'dict', 'list', 'tuple', 'str', 'NoneType', 'ViTConfig']\n"
              "def width(config): return config.width, config.image_size\n")
    tree = {"in": {"weight": np.array([[np.nan, -0.0]])}, "list": [np.zeros((0, 3), np.float32)]}
    outcome = run(source, ("same", [tree, np.arange(3), 2.5, None, np.array(1 + 2j)]),
                  ("kinds", [np.ones(2), {}, [], (), "a", None, ViTConfig()]),
                  ("width", [ViTConfig(width=12, heads=3)]))
    assert outcome.status == "ok" and outcome.printed == ""
    same, kinds, width = outcome.results
    assert same.kind == "tree"
    value = same.value
    assert value[0]["in"]["weight"].tobytes() == tree["in"]["weight"].tobytes()
    assert value[0]["list"][0].shape == (0, 3) and value[0]["list"][0].dtype == np.float32
    assert value[1].dtype == np.int64 and value[2] == 2.5 and value[3] is None
    assert value[4] == 1 + 2j
    assert kinds.value == np.array(True) and kinds.kind == "array"
    assert width.kind == "tuple" and width.value[0] == 12


def test_what_a_call_keeps_stays_in_the_child_and_is_referred_to():
    source = ("class Cache: pass\n"
              "def forward(x):\n    cache = Cache(); cache.x = x\n    return 2 * x, cache\n"
              "def backward(dy, cache): return dy * cache.x\n"
              "def both(pair): return pair[0]\n")
    x = np.arange(3.0)
    outcome = run(source, Call(LINEAR, "forward", [x], keep="a", send=(0,)),
                  ("backward", [x, Ref("a", 1)]), ("both", [Ref("a")]))
    forward, backward, both = outcome.results
    assert forward.kind == "tuple" and forward.value[1] == "a Cache"
    assert (forward.value[0] == 2 * x).all() and (backward.value == x * x).all()
    assert (both.value == 2 * x).all()


def test_layouts_and_changed_inputs():
    source = ("import numpy as np\n"
              "def flags(x): return np.array([x.flags.c_contiguous, x.flags.writeable])\n"
              "def change(x): x[0] = 9\n")
    x = np.arange(6.0).reshape(2, 3)
    outcome = run(source, Call(LINEAR, "flags", [x]), Call(LINEAR, "flags", [x], layout="strided"),
                  Call(LINEAR, "flags", [x], layout="read-only"), Call(LINEAR, "change", [x]),
                  Call(LINEAR, "change", [x], layout="read-only"))
    plain, strided, fixed, changed, refused = outcome.results
    assert plain.value.tolist() == [True, True] and strided.value.tolist() == [False, True]
    assert fixed.value.tolist() == [True, False]
    assert changed.inputs_changed and not plain.inputs_changed
    assert changed.kind == "other" and changed.value == "None"
    assert refused.kind == "error"
    assert "read-only (linear.py, line 3: def change(x)" in refused.message


def test_subclasses_are_stripped_and_what_is_no_number_is_described():
    source = ("import numpy as np\n"
              "class Lying(np.ndarray):\n    def tobytes(self): return b''\n"
              "def lying(): return np.ones(2).view(Lying)\n"
              "def objects(): return np.array([{}, []], object)\n"
              "def text(): return 'passed'\n"
              "def endless():\n    a = []; a.append(a)\n    return a\n")
    lying, objects, text, endless = run(
        source, *((name, []) for name in ("lying", "objects", "text", "endless"))).results
    assert type(lying.value) is np.ndarray and lying.value.tolist() == [1.0, 1.0]
    assert objects.value == "an array (2,) of object" and text.value == "a str"
    assert {objects.kind, text.kind, endless.kind} == {"other"}


def test_failures_are_told_with_the_students_own_line():
    source = ("def forward(x):\n    y = helper(x)\n    return y\n"
              "def helper(x):\n    return x @ x.no_such\n"
              "def leave():\n    raise SystemExit(0)\n"
              "def later(): raise NotImplementedError('yours to write')\n")
    outcome = run(source, Call(LINEAR, "forward", [np.ones(2)], keep="a"),
                  ("later", []), ("missing", []), ("later", [Ref("a", 1)]), ("leave", []))
    kinds = [result.kind for result in outcome.results]
    assert kinds == ["error", "not implemented", "error", "skipped", "error"]
    messages = [result.message for result in outcome.results]
    assert messages[0].endswith("(linear.py, line 5: return x @ x.no_such)")
    assert messages[1] == "yours to write"
    assert messages[2] == "AttributeError: there is no function missing in linear.py"
    assert "ends the program" in messages[4]


@pytest.mark.parametrize(("source", "told"), [
    ("def forward(x:\n    return x\n", "SyntaxError: '(' was never closed (linear.py, line 1)"),
    ("import numpy as np\nnp.no_such\n", "(linear.py, line 2: np.no_such)"),
    ("x = 'a\0b'\n", "null bytes"),
])
def test_files_that_cannot_be_loaded(source, told):
    outcome = run(source, ("forward", [1.0]))
    assert outcome.status == "syntax" and told in outcome.message and outcome.results == []


def test_a_loop_without_end_is_ended_and_its_line_named():
    source = ("def fine(): return 1.0\n"
              "def forward():\n    print('here')\n    while True:\n        pass\n")
    outcome = run(source, ("fine", []), ("forward", []), ("fine", []), seconds=1.0)
    assert outcome.status == "time" and len(outcome.results) == 1
    assert "(linear.py, line " in outcome.message and "in forward" in outcome.message
    assert outcome.printed == "here\n"


def test_what_ends_the_child():
    crash = run("import ctypes\ndef forward(): ctypes.string_at(0)\n", ("forward", []))
    assert crash.status == "crash" and "(linear.py, line 2, in forward)" in crash.message
    left = run("import os\ndef forward(): os._exit(0)\n", ("forward", []))
    assert left.status == "crash" and left.results == []


def test_all_cores_at_once_are_time_too():
    """Threads may use up the processor's time before the clock's."""
    for code in (-24, 152):
        with tempfile.TemporaryFile() as results, tempfile.TemporaryFile() as printed:
            assert outcomes.judge(code, 1.0, [], results, printed).status == "time"


@pytest.mark.skipif(not hasattr(sandbox.os, "setsid"), reason="this system limits no memory")
def test_too_much_memory():
    source = "import numpy as np\ndef forward(): return [np.empty(10**7) for _ in range(50)]\n"
    assert run(source, ("forward", []), memory=1e9).status == "memory"


def test_too_much_printed_is_no_report():
    source = "def forward():\n    while True: print('x' * 10**4)\n"
    outcome = run(source, ("forward", []))
    assert outcome.status == "output"
    kept, _, mark = outcome.printed.rpartition("\n")
    assert len(kept) == outcomes.LONGEST_TEXT and mark == outcomes.CUT


def test_what_is_printed_cannot_command_a_terminal():
    outcome = run("def forward(): print('\\x1b[2J red')\n", ("forward", []))
    assert outcome.printed == "\ufffd[2J red\n"


def test_ops_are_the_librarys_layers_with_the_submitted_ones_in_place():
    source = "def forward(x, weight, bias): return x + 100.0, None\n"
    config = ViTConfig(width=4, heads=2, mlp_width=6)
    p = {"in": {"weight": np.ones((4, 6)), "bias": np.ones(6)},
         "out": {"weight": np.ones((6, 4)), "bias": np.ones(4)}}
    outcome = run(source, Call("vitnp.layers.mlp", "forward", [np.ones((1, 2, 4)), p, config, OPS],
                               send=(0,)))
    assert outcome.results[0].value[0].shape == (1, 2, 4)
    assert (outcome.results[0].value[0] > 100.0).all()


def test_the_copy_holds_the_submitted_text_alone(tmp_path):
    """Neither another file nor bytecode tells the solution, and what is not needed is absent."""
    package_copy.write_copy(tmp_path, {"layers/layernorm.py": "mine = 1\n"},
                            ["vitnp.layers.layernorm"], {})
    files = {str(path.relative_to(tmp_path / "vitnp")): path.read_text()
             for path in tmp_path.rglob("*") if path.is_file()}
    assert files["layers/layernorm.py"] == "mine = 1\n"
    assert set(files) == {"__init__.py", "backend.py", "errors.py", "layers/__init__.py",
                          "layers/layernorm.py"}
    lines = [line.strip() for line in hostility.HONEST.splitlines() if "gamma" in line]
    assert not any(line in text for text in files.values() for line in lines)


def test_with_ops_the_copy_holds_every_layer_and_the_submitted_one(tmp_path):
    package_copy.write_copy(tmp_path, {"layers/layernorm.py": "mine = 1\n"},
                            ["vitnp.layers", "vitnp.layers.block"], {"exam.py": ""})
    names = {path.stem for path in (tmp_path / "vitnp" / "layers").iterdir()}
    assert set(vars(layers.textbook)) <= names
    assert (tmp_path / "vitnp/layers/layernorm.py").read_text() == "mine = 1\n"
    assert not (tmp_path / "vitnp/gradcheck/__init__.py").exists()


def record(arrays, data=b"", **header):
    """Return a stream with one record."""
    line = json.dumps(header | {"arrays": arrays}).encode() + b"\n"
    return io.BytesIO(line + data)


@pytest.mark.parametrize("stream", [
    record([["<f8", [10**12]]]), record([["|O", [1]]], b"12345678"), record([["<f8", [-1]]]),
    record([["<f8", [2]]], b"1234"), record([["<f8", [0, 10**30]]]), record([["<f8", [True]]]),
    record([["<f8", "ab"]]), record([["<f8"]]), io.BytesIO(b"[1]\n"), io.BytesIO(b"\xff\n"),
    io.BytesIO(b"[" * 10**5 + b"\n"), io.BytesIO(b'{"arrays": 5}\n'), io.BytesIO(b"{}"),
])
def test_damaged_records_are_refused(stream):
    expected = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
    with pytest.raises(expected):
        wire.unpack(stream)


@pytest.mark.parametrize("node", [
    {"array": 5}, {"array": "a"}, {"ops": True}, {"ref": ["a", 0]}, {"config": {}},
    {"value": [1]}, {}, {"list": 5}, {"dict": []}, [], {"array": 0, "list": []},
])
def test_values_that_are_never_sent_are_refused(node):
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError, IndexError)):
        wire.decode(node, [np.ones(1)])


def test_an_unknown_isolation_is_one_sentence():
    with pytest.raises(Error, match="there is no isolation 'docker'; possible are bwrap"):
        run("", ("forward", []), isolation="docker")


def test_imports_of_what_is_not_there_harm_only_when_used():
    """A student's file may still have the library's imports, of today or of before."""
    source = ("import vitnp\nfrom vitnp import Error, command, nothing_like_it\n"
              "from vitnp.common import command as parsing\nimport vitnp.old.place as old\n"
              "from vitnp.errors import Error as Real\n"
              "def forward(x): return x\n"
              "def uses(): return old.thing(1)\n"
              "def main(): parsing.run(forward)\n")
    used = run(source, ("forward", [np.ones(2)]), ("uses", []))
    assert used.status == "ok" and used.results[0].value.tolist() == [1.0, 1.0]
    assert "vitnp.old.place.thing is not there while a file is tested" in used.results[1].message


def test_a_submission_does_not_choose_what_of_the_library_is_there():
    source = ("import glob, os\nfrom vitnp import vit, optim\n"
              "def found():\n"
              "    top = os.path.dirname(os.path.dirname(__file__))\n"
              "    return {os.path.relpath(path, top): 1.0 for path in "
              "glob.glob(top + '/**/*.py', recursive=True)}\n")
    for path in ("layers/linear.py", "network.py"):
        call = Call("vitnp." + path[:-3].replace("/", "."), "found", [])
        names = set(sandbox.run({path: source}, [call]).results[0].value)
        assert not {"vit.py", "optim.py", "layers/attention.py"} & names


def test_a_layer_may_use_the_other_layers():
    source = ("from vitnp.layers import softmax\n"
              "def forward(x): return softmax.forward(x)[0]\n")
    outcome = sandbox.run({"layers/cross_entropy.py": source},
                          [Call("vitnp.layers.cross_entropy", "forward", [np.zeros((1, 2))])])
    assert outcome.results[0].value.tolist() == [[0.5, 0.5]]


def test_numpys_warnings_are_its_own_whatever_a_file_sets():
    source = ("import numpy as np\nnp.seterr(all='raise')\n"
              "def forward(x): return np.exp(x)\n")
    assert run(source, ("forward", [np.array([-1000.0])])).results[0].value.tolist() == [0.0]


def test_an_error_within_a_layer_is_told_with_the_line_that_calls_it():
    source = ("def forward(x, ops): return ops.dropout.forward(x, None, 1)\n")
    (result,) = sandbox.run({"layers/mlp.py": source},
                            [Call("vitnp.layers.mlp", "forward", [np.ones(2), OPS])],
                            helpers={"layers/dropout.py": "def forward(x, rate, rng):\n"
                                     "    return x * (1 - rate)\n"}).results
    assert "[in dropout.py, which it calls] (mlp.py, line 1: def forward" in result.message
