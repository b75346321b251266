"""The stand-in for CuPy: what would go unnoticed on a GPU is refused or counted here."""

import copy
import inspect
import operator
import pickle

import numpy as np
import pytest
import strict_cupy as xp

from vitnp.backend import get_xp

HOST = np.arange(6, dtype=np.float32).reshape(2, 3)
OWN_NAMES = {"HostSync", "host_reads", "forbid_host_reads"}
HELPERS = {"contextlib", "inspect", "np", "SimpleNamespace"}     # what the file itself imports
READS = {
    "get": lambda a: a.get(), "item": lambda a: a.item(), "tolist": lambda a: a.tolist(),
    "asnumpy": xp.asnumpy, "float": float, "int": int, "bool": bool, "complex": complex,
    "repr": repr, "str": str, "format": lambda a: f"{a:.3f}", "if": lambda a: 1 if a > 0 else 0,
}
ARITHMETIC = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]


def device():
    return xp.asarray(HOST)


def values(array):
    """Return what the stand-in wraps, after checking that it wraps."""
    assert type(array) is xp.ndarray
    return array.get()


def same(array, expected):
    expected = np.asarray(expected)
    assert array.dtype == expected.dtype and array.shape == expected.shape
    np.testing.assert_array_equal(values(array), expected)


def test_the_backend_finds_the_stand_in():
    assert get_xp(device(), device()[0, 0]) is xp


@pytest.mark.parametrize("call", (
    np.exp, np.sum, np.asarray, np.array, np.shape, np.concatenate, np.linalg.norm, np.isfinite,
    np.copy, lambda a: np.add(HOST, a), lambda a: np.asarray([a[0, 0], a[0, 1]]),
    lambda a: np.matmul(a.T, a), lambda a: HOST.dot(a.T), lambda a: np.where(a > 0, a, 0),
    lambda a: np.copyto(HOST.copy(), a), lambda a: HOST.copy().__setitem__(0, a[0]),
    lambda a: np.frombuffer(a), lambda a: memoryview(a), lambda a: np.float32(a[0, 0]),
    lambda a: range(a[0, 0].astype("int64")), lambda a: np.zeros(a[0].astype("int64")),
))
def test_numpy_takes_no_device_array(call):
    with pytest.raises(TypeError):
        call(device())


def test_no_door_is_left_that_numpy_tries_before_array():
    doors = ("__array_interface__", "__array_struct__", "__array_wrap__", "__buffer__",
             "__dlpack__", "__index__", "data", "ctypes")
    assert not [door for door in doors if hasattr(device(), door)]


@pytest.mark.parametrize("other", (HOST, np.array(2.0), [1.0, 2.0, 3.0], (1.0,), None),
                         ids=("array", "0-d", "list", "tuple", "None"))
@pytest.mark.parametrize("name", ARITHMETIC + COMPARISONS + ["matmul"])
def test_operators_refuse_all_but_device_arrays_and_scalars(name, other):
    function = getattr(operator, name)
    with pytest.raises(TypeError):
        function(device(), other)
    with pytest.raises(TypeError):
        function(other, device())


@pytest.mark.parametrize("change", (operator.iadd, operator.imul, operator.isub, operator.itruediv))
def test_in_place_operators_refuse_a_mixture_on_either_side(change):
    with pytest.raises(TypeError):
        change(device(), HOST)
    with pytest.raises(TypeError):
        change(HOST.copy(), device())


@pytest.mark.parametrize("scalar", (2, 2.5, True, np.float32(2.5), np.float64(2.5), np.int64(2)),
                         ids=lambda scalar: type(scalar).__name__)
@pytest.mark.parametrize("name", ARITHMETIC + COMPARISONS)
def test_operators_take_scalars_on_both_sides_with_numpys_dtype(name, scalar):
    function, positive = getattr(operator, name), HOST + 1
    same(function(xp.asarray(positive), scalar), function(positive, scalar))
    same(function(scalar, xp.asarray(positive)), function(scalar, positive))


def test_a_float64_array_of_no_dimension_is_not_weak():
    """A Python scalar keeps float32; a 0-d array must not, or a GPU run would change precision."""
    assert (device() * 2.0).dtype == np.float32
    assert (device() * xp.asarray(2.0)).dtype == np.float64


def test_operators_of_device_arrays_give_numpys_values():
    a, b = device(), device() + 1
    same(a @ b.T, HOST @ (HOST + 1).T)
    same(-a, -HOST)
    same(abs(a - 3), abs(HOST - 3))
    same((a > 1) & ~(b > 3) | (a == 0) ^ (b != 1),
         (HOST > 1) & ~(HOST + 1 > 3) | (HOST == 0) ^ (HOST + 1 != 1))


@pytest.mark.parametrize("name", ("iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow"))
def test_in_place_operators_change_the_array_and_its_views(name):
    change, a, expected = getattr(operator, name), device(), HOST.copy()
    row, corner = a[1], a[1, 2]
    assert change(a, 2.0) is a
    change(expected, 2.0)
    same(a, expected)
    same(row, expected[1])
    change(corner, 3.0)
    change(expected[1, 2:], 3.0)
    same(a, expected)


def test_in_place_operators_do_not_change_the_dtype_unasked():
    with pytest.raises(TypeError):
        operator.iadd(xp.arange(3), 0.5)


@pytest.mark.parametrize("function", (
    lambda m: m.exp(HOST), lambda m: m.exp([1.0]), lambda m: m.add(m.ones(3), [1.0, 2.0, 3.0]),
    lambda m: m.sum(HOST), lambda m: m.sum([1.0]), lambda m: m.concatenate([m.ones(3), HOST[0]]),
    lambda m: m.stack([[1.0], [2.0]]), lambda m: m.matmul(m.ones((3, 2)), HOST),
    lambda m: m.where(HOST > 1, m.ones((2, 3)), 0.0), lambda m: m.clip(m.ones(3), 0, HOST[0]),
    lambda m: m.einsum("ij->i", HOST), lambda m: m.take(m.ones(6), np.array([0])),
    lambda m: m.exp(m.ones((2, 3)), out=HOST.copy()), lambda m: m.copyto(m.ones((2, 3)), HOST),
    lambda m: m.full_like(HOST, 1.0), lambda m: m.full((2, 3), HOST), lambda m: m.linalg.norm(HOST),
    lambda m: m.sum(m.ones((2, 3)), out=HOST[0, 0:1]), lambda m: m.ones(3).fill(np.array(1.0)),
    lambda m: m.ones(3).dot(HOST[0]), lambda m: m.array([m.ones(3), m.ones(3)]),
))
def test_functions_take_no_host_arrays(function):
    with pytest.raises(TypeError):
        function(xp)


def test_shapes_and_axes_are_no_arrays_of_either_kind():
    number, a = xp.asarray(1), device()
    for call in (lambda: xp.zeros(number), lambda: a.sum(axis=number), lambda: a.reshape(number, 6),
                 lambda: xp.repeat(a, number), lambda: xp.arange(number), lambda: a[:number],
                 lambda: xp.broadcast_to(a, (number, 2, 3)), lambda: xp.roll(a, number),
                 lambda: xp.zeros(HOST[0].astype("int64"))):
        with pytest.raises(TypeError):
            call()


def test_fill_values_and_bounds_may_be_device_arrays():
    a, two = device(), xp.asarray(2.0)
    same(xp.full(3, two), np.full(3, 2.0))
    same(xp.full_like(a, two), np.full_like(HOST, 2.0))
    same(xp.clip(a, None, a[0, 1]), np.clip(HOST, None, 1))


def test_boolean_masks_and_one_argument_where_are_refused():
    a = device()
    for call in (lambda: a[a > 1], lambda: a[0, a[0] > 1], lambda: a[True], lambda: a[a[0, 0] > 1],
                 lambda: operator.setitem(a, a > 1, 0.0), lambda: xp.where(a > 1)):
        with pytest.raises(xp.HostSync):
            call()
    same(xp.where(a > 1, a, 0.0), np.where(HOST > 1, HOST, 0.0))


@pytest.mark.parametrize("index", ([0, 1], np.array([0, 1]), (0, [1, 2]), (np.array(1), 0)),
                         ids=("list", "array", "list inside", "0-d array inside"))
def test_indices_from_the_host_are_refused(index):
    with pytest.raises(TypeError):
        device()[index]
    with pytest.raises(TypeError):
        device()[index] = 0.0


def test_indexing_keeps_the_class_and_shares_memory_as_numpy_does():
    a = device()
    for index in (0, -1, (0, 1), slice(1, None), (..., 2), (None, slice(None), 1), np.int64(1)):
        same(a[index], HOST[index])
        assert xp.shares_memory(a[index], a)
    columns = xp.asarray(np.array([2, 0]))
    same(a[:, columns], HOST[:, [2, 0]])
    assert not xp.shares_memory(a[:, columns], a)
    a[0, 1:] = xp.zeros(2)
    a[1][0] = 7.0
    a[1, columns[:1]] = 8
    same(a, np.array([[0, 0, 0], [7, 4, 8]], np.float32))
    with pytest.raises(TypeError):
        a[0] = HOST[0]
    with pytest.raises(TypeError):
        a[0] = [1.0, 2.0, 3.0]


def test_iteration_gives_rows_and_needs_no_read():
    a = device()
    with xp.forbid_host_reads():
        rows = list(a)
        assert len(a) == len(rows) == 2
    rows[1][:] = 0.0
    same(a[1], np.zeros(3, np.float32))
    with pytest.raises(TypeError):
        iter(a[0, 0])


@pytest.mark.parametrize("name", READS)
def test_each_read_back_is_counted_once_and_can_be_forbidden(name):
    corner = device()[1, 2]
    before = xp.host_reads.count
    READS[name](corner)
    assert xp.host_reads.count == before + 1
    with pytest.raises(xp.HostSync), xp.forbid_host_reads():
        READS[name](corner)
    assert xp.host_reads.count == before + 1
    READS[name](corner)                     # allowed again although the block was left by raising


def test_forbidding_twice_ends_with_the_outer_block():
    with xp.forbid_host_reads():
        with xp.forbid_host_reads():
            pass
        with pytest.raises(xp.HostSync):
            float(device()[0, 0])


def test_read_backs_are_no_hidden_views():
    a = device()
    a.get()[:] = 9.0
    same(a, HOST)


def test_no_read_back_hides_in_pickling_or_takes_arguments():
    for call in (pickle.dumps, copy.copy, copy.deepcopy, lambda a: a.item(0), hash):
        with pytest.raises(TypeError):
            call(device())


def test_asarray_copies_host_arrays_and_leaves_device_arrays():
    host = HOST.copy()
    a, b = xp.asarray(host), xp.array(host, dtype="float32")
    host[:] = 9.0
    same(a, HOST)
    same(b, HOST)
    assert xp.asarray(a) is a and xp.asarray(a, "float32") is a
    assert not xp.shares_memory(xp.array(a), a)
    same(xp.asarray(a, xp.float64), HOST.astype(np.float64))
    with pytest.raises(ValueError):
        xp.asarray(["text"])


@pytest.mark.parametrize("name", ("sum", "mean", "max", "min", "var", "std", "argmax", "any",
                                  "all"))
@pytest.mark.parametrize("options", ({}, {"axis": 0}, {"axis": -1, "keepdims": True}),
                         ids=("all", "axis", "keepdims"))
def test_reductions_stay_on_the_device(name, options):
    expected = getattr(np, name)(HOST, **options)
    same(getattr(xp, name)(device(), **options), expected)
    same(getattr(device(), name)(**options), expected)


@pytest.mark.parametrize("call", (
    lambda a: xp.sum(a, where=a > 0), lambda a: a.sum(initial=0), lambda a: a.max(initial=0),
    lambda a: a.var(correction=1), lambda a: xp.exp(a, where=a > 0), lambda a: xp.clip(a, min=0),
    lambda a: xp.zeros(3, device="cpu"), lambda a: xp.clip(a, 0), lambda a: a.mean(0, axis=0),
    lambda a: xp.random.default_rng(0).integers(9, size=2, dtype="int64", shape=2),
))
def test_arguments_that_cupy_lacks_are_refused(call):
    with pytest.raises(TypeError):
        call(device())


@pytest.mark.parametrize("name", ("vecdot", "matvec", "errstate", "block", "insert", "unstack",
                                  "einsum_path", "geomspace", "nanpercentile", "frompyfunc"))
def test_names_that_cupy_lacks_are_missing(name):
    with pytest.raises(AttributeError):
        getattr(xp, name)


def test_the_generator_has_cupys_methods_only():
    rng = xp.random.default_rng(0)
    for name in ("normal", "shuffle", "permutation", "choice", "spawn", "bit_generator"):
        assert not hasattr(rng, name)
    draws = {"random": rng.random((2, 3), dtype=xp.float32), "uniform": rng.uniform(-1, 1, (2, 3)),
             "standard_normal": rng.standard_normal((2, 3), dtype=xp.float32),
             "integers": rng.integers(0, 5, (2, 3))}
    for array in draws.values():
        assert type(array) is xp.ndarray and array.shape == (2, 3)
    assert draws["random"].dtype == draws["standard_normal"].dtype == np.float32
    for scalar in (rng.random(), rng.uniform(), rng.standard_normal(), rng.integers(5)):
        assert type(scalar) is xp.ndarray and scalar.shape == ()
    same(xp.random.default_rng(1).random(4), xp.random.default_rng(1).random(4).get())


def test_views_share_memory_and_copies_do_not():
    a = device()
    for view in (a.T, a.reshape(6), a.transpose(1, 0), a.swapaxes(0, 1), a.ravel(), a.view("int32"),
                 xp.transpose(a), xp.reshape(a, (3, 2)), xp.expand_dims(a, 0), xp.split(a, 2)[1],
                 xp.broadcast_to(a, (4, 2, 3)), a[None].squeeze(0), xp.moveaxis(a, 0, 1)):
        assert type(view) is xp.ndarray and xp.shares_memory(view, a)
    for other in (a.copy(), a.astype("float32"), xp.concatenate([a, a]), xp.stack([a, a]), a + 0):
        assert type(other) is xp.ndarray and not xp.shares_memory(other, a)
    assert a.astype("float32", copy=False) is a


def test_out_is_filled_and_returned():
    a, row = device(), xp.empty(3, xp.float32)
    for returned in (xp.exp(a, out=a), xp.negative(a, out=(a,)), xp.clip(a, -3.0, 0.0, out=a)):
        assert returned is a
    same(a, np.clip(-np.exp(HOST), -3.0, 0.0))
    assert xp.sum(a, axis=0, out=row) is row
    same(row, np.clip(-np.exp(HOST), -3.0, 0.0).sum(0))
    square = xp.empty((2, 2), xp.float32)
    assert xp.matmul(a, a.T, out=square) is square
    same(square, (a @ a.T).get())


def test_attributes_are_plain_and_need_no_read():
    with xp.forbid_host_reads():
        a = device()
        assert (a.shape, a.dtype, a.ndim, a.size) == ((2, 3), np.float32, 2, 6)
        assert (a.itemsize, a.nbytes, a.strides) == (4, 24, (12, 4))
        assert a.flags.c_contiguous and a.T.flags.f_contiguous and not a.T.flags.c_contiguous


# What the stand-in promises about CuPy, against CuPy itself, which needs no GPU for that.

def offered():
    return {name for name in vars(xp) if not name.startswith("_")} - HELPERS - OWN_NAMES


def test_every_offered_name_exists_in_cupy():
    cupy = pytest.importorskip("cupy")
    assert not [name for name in offered() if not hasattr(cupy, name)]
    methods = set(dir(xp.ndarray)) - {"__slots__", "__module__", "_host"}
    assert not [name for name in methods if not hasattr(cupy.ndarray, name)]
    generator = {name for name in dir(xp.random.Generator) if not name.startswith("_")}
    assert not [name for name in generator if not hasattr(cupy.random.Generator, name)]


def test_parameters_have_cupys_names_and_order():
    cupy = pytest.importorskip("cupy")
    pairs = {name: (getattr(xp, name), getattr(cupy, name)) for name in offered()}
    pairs["norm"] = (xp.linalg.norm, cupy.linalg.norm)
    compared = 0
    for name, (ours, cupys) in pairs.items():
        if not hasattr(ours, "__signature__") or name in ("matmul", "pad"):
            continue                        # those two end in *args or **kwargs, which say nothing
        compared += 1
        names = list(inspect.signature(ours).parameters)
        assert names == list(inspect.signature(cupys).parameters)[:len(names)], name
    assert compared > 50
