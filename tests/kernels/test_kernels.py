"""The fused kernels without a GPU: what a C++ compiler makes of them, against the textbook.

A kernel runs with all its threads, by turns (kernels/cuda_on_host.h). So wrong arithmetic, wrong
indices and lanes that do not meet are found here; races, speed and cuBLAS are not.
"""

import mmap
import sys
from dataclasses import replace

import numpy as np
import pytest
import strict_cupy
from kernels import on_host

from vitnp import gradcheck, kernels, optim
from vitnp.backend import to_host
from vitnp.gradcheck import cases
from vitnp.kernels.cuda import source
from vitnp.kernels.launching import launch
from vitnp.layers import textbook

FUSED = ("layernorm", "softmax", "gelu", "dropout", "heads", "linear", "dot_product_attention",
         "attention")
TOLERANCE = {"float32": 3e-6, "float64": 1e-13}

compiled = pytest.mark.skipif(on_host.COMPILER is None, reason="there is no g++ to compile with")


@pytest.fixture(autouse=True)
def kernels_on_host(monkeypatch):
    """Let a C++ compiler compile what the stand-in for CuPy is given."""
    on_host.use(monkeypatch)


def run(layer, xp, x, dy, arguments):
    """Return y and the gradients of a layer on a library, as NumPy arrays."""
    move = [xp.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
    y, cache = layer.forward(xp.asarray(x), *move)
    gradients = layer.backward(xp.asarray(dy), cache)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    return [to_host(array) for array in (y, *gradients)]


@compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", ((1, 1), (3, 5), (2, 9, 33), (300, 65), (2, 3, 4, 31)),
                         ids=str)
@pytest.mark.parametrize("name", ("layernorm", "softmax", "gelu tanh", "gelu erf", "linear"))
def test_a_kernel_is_its_textbook_twin(name, shape, dtype):
    """Rows shorter and longer than a warp, and more of them than a block or a chunk takes."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    name, *form = name.split()
    n, x = shape[-1], 3.0 * draw(*shape) + 50.0 * (name in ("layernorm", "softmax"))
    arguments = {"layernorm": [draw(n), draw(n)], "linear": [draw(n, 7), draw(7)]}.get(name, form)
    dy = draw(*shape[:-1], 7) if name == "linear" else draw(*shape)
    x = x.astype(dtype)
    expected = run(getattr(textbook, name), np, x, dy, arguments)
    found = run(getattr(kernels.ops(), name), strict_cupy, x, dy, arguments)
    for a, b in zip(expected, found, strict=True):
        assert b.dtype == dtype and b.shape == a.shape
        largest = max(np.abs(a).max(), 1.0)     # rows of one number have the gradient 0
        lost = 10 if name == "layernorm" else 1         # a digit, of numbers with the mean 50
        assert np.abs(a - b).max() <= lost * TOLERANCE[dtype] * largest


@compiled
@pytest.mark.parametrize("form", ("tanh", "erf"))
def test_the_gelu_overflows_nowhere(form):
    x = np.array([-1e4, -100, -30, -1e-30, 0, 1e-30, 30, 100, 1e4], np.float32)
    expected = run(textbook.gelu, np, x, np.ones_like(x), [form])
    found = run(kernels.ops().gelu, strict_cupy, x, np.ones_like(x), [form])
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6)


@compiled
@pytest.mark.parametrize("largest", range(0, 70, 3))
def test_the_softmax_overflows_nowhere(largest):
    """Whichever lane has the maximum, all must take it."""
    x = np.full((2, 70), -900.0, np.float32)
    x[:, largest] = 900.0
    found = run(kernels.ops().softmax, strict_cupy, x, np.ones_like(x), [])[0]
    np.testing.assert_array_equal(found, x > 0)


@compiled
def test_views_with_gaps_are_read_as_they_are():
    """CUDA reads memory, not strides: without a copy it would take the numbers in between."""
    x = np.random.default_rng(0).standard_normal((5, 4, 12))
    for name, arguments in (("softmax", []), ("gelu", ["tanh"]),
                            ("layernorm", [np.ones(12), np.zeros(12)])):
        expected = run(getattr(textbook, name), np, x[:, 1], x[:, 2], arguments)
        device = strict_cupy.asarray(x)
        layer = getattr(kernels.ops(), name)
        moved = [strict_cupy.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
        y, cache = layer.forward(device[:, 1], *moved)
        gradients = layer.backward(device[:, 2], cache)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        for a, b in zip(expected, (y, *gradients), strict=True):
            np.testing.assert_allclose(to_host(b), a, atol=1e-12)


@compiled
@pytest.mark.parametrize("case", [
    case.name for case in cases.all_cases() if not case.name.startswith(("patches", "heads"))])
def test_gradient_check(case, monkeypatch):
    """Every case, also of what is not fused: it is what fused layers meet in a network."""
    (case,) = [c for c in cases.all_cases(strict_cupy, kernels.ops()) if c.name == case]
    with strict_cupy.forbid_host_reads():
        y, cache = case.forward(case.arguments)
        case.backward(strict_cupy.ones_like(y), cache)
    monkeypatch.setattr(gradcheck, "DIRECTIONS", 1)
    monkeypatch.setattr(gradcheck, "ENTRIES", 2)
    results = gradcheck.check(replace(case, sampled=True), np.random.default_rng(1))
    assert results and [result for result in results if not result.passed] == []


@compiled
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("max_norm", (0.0, 0.5, 1e3))
@pytest.mark.parametrize("averaged", (False, True))
def test_adamw_is_its_textbook_twin(dtype, max_norm, averaged):
    rng, n = np.random.default_rng(0), 3001
    groups = [(slice(0, 2000), 1.0, 0.05), (slice(2000, n), 0.5, 0.0)]
    host = [rng.standard_normal(n).astype(dtype), *(np.zeros(n, dtype) for _ in range(2)),
            np.ones(n, dtype)]
    device = [strict_cupy.asarray(buffer) for buffer in host]
    for step in range(1, 6):
        gradients = rng.standard_normal(n).astype(dtype)
        moved, true = strict_cupy.asarray(gradients), strict_cupy.asarray(np.bool_(True))
        norm = optim.global_norm(moved)
        with strict_cupy.forbid_host_reads():
            kernels.adamw(device[0], moved, device[1], device[2], device[3] if averaged else None,
                          norm, true, step, 0.01, groups, max_norm, 0.9)
        if max_norm:
            optim.clip_by_global_norm(gradients, to_host(norm), max_norm)
        optim.adamw(host[0], gradients, host[1], host[2], step, 0.01, groups)
        if averaged:
            optim.average(host[3], host[0], 0.9, groups)
    for a, b in zip(host, device, strict=True):
        assert np.abs(a - to_host(b)).max() <= 3 * TOLERANCE[dtype]


@compiled
@pytest.mark.skipif(sys.platform != "linux", reason="Linux gives memory that nobody touches")
@pytest.mark.parametrize("name", ("softmax_forward", "softmax_backward", "gelu_forward"))
def test_numbers_beyond_two_to_the_31_are_found(name):
    """Only the last block runs, on the only pages of 8 GB that are ever touched."""
    n, rows = 2**20, 2**11 + 1
    no_reserve = 0x4000                         # MAP_NORESERVE of mman.h
    memory = mmap.mmap(-1, 4 * n * rows, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
    numbers = np.frombuffer(memory, np.float32)
    numbers[-n:] = 1.0
    x, count = strict_cupy.ndarray(numbers), len(numbers)
    per_row = name.startswith("softmax")
    size = kernels.WARPS if per_row else kernels.WARPS * kernels.LANES
    grid = -(-(rows if per_row else count) // size)
    arrays = [x] * (3 if name.endswith("backward") else 2)
    last = (rows, n) if per_row else (True, count)
    library = on_host.library(source("float"))
    library.start_at(grid - 1)
    try:
        launch(name, (grid,), *arrays, *last)
    finally:
        library.start_at(0)
    expected = {"softmax_forward": 1 / n, "softmax_backward": 1 - n, "gelu_forward": 0.841192}
    np.testing.assert_allclose(numbers[-8:], expected[name], rtol=1e-4)


def test_fused_layers_replace_their_twins_alone():
    changed = {name for name, layer in vars(kernels.ops()).items()
               if layer is not getattr(textbook, name)}
    assert changed == set(FUSED)
