"""Kernels get what they declare: CuPy hands over bytes, whatever they mean."""

import numpy as np
import pytest
import strict_cupy
from kernels import on_host

from vitnp import kernels, params
from vitnp.common.randomness import generator
from vitnp.config import ViTConfig
from vitnp.kernels.launching import checked, parameters
from vitnp.layers import textbook
from vitnp.runs.recipe import Recipe

compiled = pytest.mark.skipif(on_host.COMPILER is None, reason="there is no g++ to compile with")


@pytest.fixture(autouse=True)
def kernels_on_host(monkeypatch):
    on_host.use(monkeypatch)


def test_declarations_are_read_as_they_stand():
    found = {label: (str(dtype), is_array) for label, dtype, is_array
             in parameters("adamw", "float32")}
    assert found["params"] == found["norm"] == ("float32", True)
    assert found["finite"] == ("bool", True) and found["rate"] == ("float32", False)
    assert found["n"] == ("int64", False) and len(found) == 16
    assert parameters("dropout", "float64")[3:5] == [
        ("rate", np.dtype("float32"), False), ("scale", np.dtype("float64"), False)]


@pytest.mark.parametrize("dtype", ("float32", "float64"))
@pytest.mark.parametrize("value", (1, 0.5, np.float64(0.5), np.float32(0.5), np.int64(2),
                                   np.float16(2)), ids=repr)
def test_any_number_becomes_the_declared_type(value, dtype):
    found = checked("adamw", "rate", np.dtype(dtype), False, value, strict_cupy.ndarray)
    assert type(found) is np.dtype(dtype).type and found == value


@pytest.mark.parametrize(("kind", "value"), (
    ("float32", "1"), ("float32", None), ("float32", np.ones(1)), ("float32", 1j),
    ("float32", True), ("int64", 2.5), ("int64", np.float64(2)), ("int64", True), ("bool", 1),
    ("bool", 0.0), ("float32", strict_cupy.ones(1))), ids=repr)
def test_what_is_no_such_number_is_refused(kind, value):
    with pytest.raises(TypeError, match="the kernel adamw takes a number of"):
        checked("adamw", "x", np.dtype(kind), False, value, strict_cupy.ndarray)


@pytest.mark.parametrize("value", (
    np.ones(3), [1.0], 1.0, np.float64(1), None, strict_cupy.ones((4, 4))[:, 1],
    strict_cupy.ones(3, "float32")), ids=lambda value: type(value).__name__)
def test_other_arrays_and_arrays_with_gaps_are_refused(value):
    with pytest.raises(TypeError, match="takes an array without gaps of float64 as x"):
        checked("adamw", "x", np.dtype("float64"), True, value, strict_cupy.ndarray)


@compiled
def test_a_numpy_number_as_rate_takes_the_same_step():
    """It had 8 bytes for 4, and all that came after it was read 4 bytes too early."""
    found = []
    for rate in (1e-3, np.float64(1e-3), next(iter(np.logspace(-3, -2, 2)))):
        buffers = [strict_cupy.zeros(100, "float32") for _ in range(3)]
        gradients, true = strict_cupy.ones(100, "float32"), strict_cupy.asarray(np.bool_(True))
        kernels.adamw(buffers[0], gradients, *buffers[1:], None, gradients[0], true, 1, rate,
                      [(slice(0, 100), 1.0, 0.0)], 0.0, 0.0)
        found.append(buffers[0].get())
    np.testing.assert_allclose(found[0], -1e-3, rtol=1e-4)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_recipes_and_configurations_turn_numpy_numbers_into_pythons():
    recipe = Recipe(learning_rate=np.float64(1e-3), epochs=np.int64(2), dropout=np.float32(0.5))
    assert [type(value) for value in (recipe.learning_rate, recipe.epochs, recipe.dropout)] == [
        float, int, float]
    config = ViTConfig.named("micro/4", image_size=8, eps=np.float64(1e-5), dropout=np.float64(0.1))
    assert type(config.eps) is type(config.dropout) is float
    x = np.ones((2, 3), np.float32)
    assert textbook.dropout.forward(x, config.dropout, generator(0, "dropout"))[0].dtype == x.dtype


@compiled
@pytest.mark.parametrize("count", (1, 15, 16, 17, 33))
def test_gradients_reach_their_places_in_one_launch_a_few(count):
    rng = np.random.default_rng(0)
    shapes = {f"part/{i}": (i + 1, 3) for i in range(count)}
    expected = params.views(params.allocate(shapes, np.float32, np), shapes)
    found = params.views(params.allocate(shapes, np.float32, strict_cupy), shapes)
    for first in (True, False, False):
        gradients = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
        params.add(expected, params.nest(gradients), first)
        moved = {name: strict_cupy.asarray(array.T.copy()).T for name, array in gradients.items()}
        kernels.add_gradients(found, params.nest(moved), first)
    for name, array in params.flatten(found).items():
        np.testing.assert_array_equal(array.get(), params.flatten(expected)[name])
    with pytest.raises(ValueError, match="gradient of part/0 has shape"):
        kernels.add_gradients(found, params.nest({"part/0": strict_cupy.ones(3, "float32")}))


@compiled
@pytest.mark.parametrize("per_image", (False, True))
@pytest.mark.parametrize("dtype", ("float32", "float64"))
def test_dropout_drops_what_its_textbook_twin_drops(dtype, per_image):
    x = strict_cupy.asarray(np.random.default_rng(0).standard_normal((5, 7, 9)).astype(dtype))
    results = []
    for layer in (textbook.dropout, kernels.ops().dropout):
        rng, found = generator(0, "dropout", xp=strict_cupy), []
        for _ in range(2):                                  # each draw is another
            y, cache = layer.forward(x, 0.3, rng, per_image)
            found += [y.get(), layer.backward(x, cache).get()]
        results.append(found)
    for plain, fused in zip(*results, strict=True):
        np.testing.assert_allclose(fused, plain, rtol=1e-6)
    assert (results[0][0] != results[0][2]).any() and (results[0][0] == 0).any()


@compiled
def test_heads_are_split_and_merged_as_by_their_twins():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 5, 24))
    for parts in (1, 2, 3):
        expected = textbook.heads.split(x, 2, parts)
        found = kernels.ops().heads.split(strict_cupy.asarray(x), 2, parts)
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(b.get(), a)
        np.testing.assert_array_equal(kernels.ops().heads.merge(found).get(), x)
