"""Promises about the code itself: its size, its layers, and who imports whom."""

import ast
import io
import tokenize
from pathlib import Path

import vitnp

PACKAGE = Path(vitnp.__file__).parent
FILES = {str(path.relative_to(PACKAGE)): path.read_text() for path in PACKAGE.rglob("*.py")}

# Each room may import what stands further down, never what stands further up
ORDER = (
    ("__main__",),
    ("study",),
    ("train", "pretrain", "evaluate", "predict", "visualize", "bench"),
    ("training",),
    ("analysis",),
    ("runs",),
    ("model",),
    ("parallel", "gradcheck", "checkpoint"),
    ("networks",),
    ("kernels",),
    ("vit",),
    ("variants",),
    ("config",),
    ("layers",),
    ("trained", "data", "optim", "positions", "initial_values"),
    ("backend", "params", "common"),
    ("errors",),
)
LEVEL = {part: level for level, parts in enumerate(ORDER) for part in parts}
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
           tokenize.ENDMARKER}


def lines_of_code(source):
    """Return the number of lines that are neither blank, comment nor docstring."""
    lines, docstrings = set(), set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines - docstrings)


def imports(source):
    """Return the parts of vitnp that a file imports, anywhere in it."""
    parts = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "vitnp":
            path = node.module.split(".")[1:]
            parts |= {path[0]} if path else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            parts |= {alias.name.split(".")[1] for alias in node.names
                      if alias.name.startswith("vitnp.")}
    return parts


def test_lines_are_counted_as_promised():
    source = ('"""Doc\nstring."""\n\n# comment\nx = (1,  # why\n     2)\n\n\n'
              'def f():\n    "Doc."\n    return """a\nb"""\n')
    assert lines_of_code(source) == 5


def test_the_part_to_be_read_is_under_1000_lines():
    """The layers, vit and what they stand on, and two files cut off from vit and gradcheck.

    The convolutional layers are an addition, which a reader of the ViT does not need.
    """
    read = ["vit.py", "config.py", "backend.py", "params.py", "optim.py", "gradcheck/__init__.py",
            "gradcheck/cases.py"]
    read += [name for name in FILES if name.startswith("layers") and "convolutional" not in name]
    total = sum(lines_of_code(FILES[name]) for name in read)
    assert total < 1000, total
    assert max(len(line) for name in read for line in FILES[name].splitlines()) <= 100


def test_no_file_is_longer_than_300_lines():
    assert {name for name, source in FILES.items() if len(source.splitlines()) > 300} == set()


def test_imports_point_one_way():
    for name, source in FILES.items():
        part = name.split("/")[0].removesuffix(".py")
        if part == "__init__":
            continue
        for imported in imports(source) - {part, "__version__"}:
            lower = LEVEL[imported] > LEVEL[part]
            beside = LEVEL[imported] == LEVEL[part] and part not in ("layers", "data")
            assert lower or beside, f"{name} imports vitnp.{imported}"


def test_every_part_has_a_place_in_the_order():
    parts = {name.split("/")[0].removesuffix(".py") for name in FILES} - {"__init__"}
    assert parts == set(LEVEL)


def test_layers_reach_each_other_only_through_ops():
    for name, source in FILES.items():
        if name.startswith("layers/") and not name.endswith("__init__.py"):
            assert imports(source) <= {"backend", "errors"}, name


def test_only_the_backend_imports_cupy():
    assert [name for name, source in FILES.items() if "import cupy" in source] == ["backend.py"]


def test_every_layer_has_forward_and_backward_side_by_side():
    from vitnp.layers import textbook

    for name, layer in vars(textbook).items():
        functions = [n.name for n in ast.parse(FILES[f"layers/{name}.py"]).body
                     if isinstance(n, ast.FunctionDef)]
        pair = ["split", "merge"] if name == "heads" else ["forward", "backward"]
        assert functions[:2] == pair, name
        assert all(getattr(layer, function).__doc__ for function in pair)


def test_public_functions_and_classes_are_documented():
    for name, source in FILES.items():
        tree = ast.parse(source)
        classes = [item for item in tree.body if isinstance(item, ast.ClassDef)]
        for node in tree.body + [method for item in classes for method in item.body]:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{name}: {node.name}"
