"""What CuPy itself says, where it is installed; neither of these needs a GPU or its driver.

Every call of CuPy's functions in the package has to fit their signature, and every CUDA kernel has
to compile for the GPUs from Turing to Hopper.
"""

import ast
import inspect
from pathlib import Path

import pytest

import vitnp
from vitnp.kernels.cuda import source

PACKAGE = Path(vitnp.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90")


@pytest.fixture(scope="module")
def cupy():
    return pytest.importorskip("cupy", reason="CuPy is not installed")


def dotted(node):
    """Return "random.default_rng" for the node of xp.random.default_rng, None for others."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    root = node.id if isinstance(node, ast.Name) else getattr(node, "func", None)
    is_xp = root == "xp" or isinstance(root, ast.Name) and root.id == "get_xp"
    return ".".join(reversed(names)) if is_xp and names else None


def problem(name, call, cupy):
    """Return what does not fit in a use of xp's `name`, or None; call: its node, or None."""
    found = cupy
    for part in name.split("."):
        if part in ("cublas", "runtime"):       # need CUDA's libraries to be looked at
            return None
        if not hasattr(found, part):
            return f"CuPy has no {name}"
        found = getattr(found, part)
    if call is None:
        return None
    positional = [argument for argument in call.args if not isinstance(argument, ast.Starred)]
    keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
    if isinstance(found, cupy.ufunc):
        wrong = set(keywords) - {"out", "dtype", "casting"}
        return f"{name} takes no {', '.join(sorted(wrong))}" if wrong else None
    try:
        signature = inspect.signature(found)
    except ValueError:                          # compiled, and without one
        return None
    try:
        signature.bind_partial(*positional, **keywords)
    except TypeError as error:
        return f"{name}: {error}"
    return None


def problems(text, cupy):
    """Return (line, what does not fit) of all uses of xp in a source, and how many there are."""
    tree, found, count = ast.parse(text), [], 0
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        name = dotted(node) if id(node) not in inner else None
        if name and not name.startswith("__"):          # __name__ is every module's
            count += 1
            wrong = problem(name, calls.get(id(node)), cupy)
            found += [(node.lineno, wrong)] if wrong else []
    return found, count


# Arguments of methods that arrays of NumPy take, and those of CuPy do not
NOT_CUPYS = {"where", "initial", "correction", "subok", "mean"}


def refused_methods(text):
    """Return the lines in which a method is called with an argument that CuPy's arrays lack."""
    methods = {"sum", "mean", "var", "std", "max", "min", "any", "all", "prod"}
    return [node.lineno for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            and node.func.attr in methods
            and NOT_CUPYS & {keyword.arg for keyword in node.keywords}]


def test_every_call_fits_cupys_signature(cupy):
    uses = 0
    for path in FILES:
        found, count = problems(path.read_text(), cupy)
        uses += count
        assert found == [], path
    assert uses > 80


def test_no_method_is_called_with_an_argument_that_cupy_lacks():
    found = {path.name: refused_methods(path.read_text()) for path in FILES}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize("line", (
    "xp.vecdot(a, b)", "xp.sum(a, where=b)", "get_xp(a).var(a, correction=1)", "xp.exp(a, where=b)",
    "xp.zeros(3, device='cpu')", "xp.clip(a, min=0)", "xp.random.default_rng(0, 1)",
    "f(xp.errstate)"))
def test_the_scan_sees_what_does_not_fit(cupy, line):
    assert len(problems(line, cupy)[0]) == 1


def test_the_scan_sees_methods():
    assert refused_methods("a.sum(axis=0)\na.sum(where=b)\nxp.max(a, initial=0)") == [2, 3]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("ctype", ("float", "double"))
def test_the_kernels_compile_without_a_gpu(cupy, ctype, architecture):
    try:
        from cupy_backends.cuda.libs import nvrtc

        nvrtc.getVersion()
    except (ImportError, RuntimeError):
        pytest.skip("CUDA's compiler is not installed: pip install nvidia-cuda-nvrtc")
    program = nvrtc.createProgram(source(ctype), "kernels.cu", [], [])
    try:
        nvrtc.compileProgram(program, [f"--gpu-architecture={architecture}", "-std=c++17"])
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    finally:
        nvrtc.destroyProgram(program)
