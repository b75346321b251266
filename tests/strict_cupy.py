"""A strict stand-in for CuPy, for machines without a GPU: `import strict_cupy as xp`.

NumPy does the arithmetic, so values, dtypes and views are NumPy's; what CuPy refuses is refused:
mixing with NumPy arrays, calls of NumPy functions, names and arguments that CuPy does not have.
Where CuPy silently makes the program wait for the GPU, a read back is counted or HostSync raised.
Some things that CuPy allows are refused too, such as np.exp(array) and NumPy arrays as indices.
"""

import contextlib
import inspect
from types import SimpleNamespace

import numpy as np

_SCALARS = (bool, int, float, complex, np.generic)

# Methods of NumPy's arrays. Missing are @= and __index__, which CuPy has not: range(array) raises.
_OPERATORS = """add radd iadd sub rsub isub mul rmul imul truediv rtruediv itruediv floordiv
    rfloordiv ifloordiv mod rmod imod pow rpow ipow and rand iand or ror ior xor rxor ixor
    lshift rlshift ilshift rshift rrshift irshift
    matmul rmatmul eq ne lt le gt ge neg pos abs invert"""
_CONVERSIONS = "reshape transpose astype view copy"
_READS = "item tolist __bool__ __int__ __float__ __complex__ __repr__ __str__"
_ATTRIBUTES = "shape dtype ndim size itemsize nbytes strides T"

_UFUNCS = """add subtract multiply divide true_divide negative power sqrt square exp expm1 log log1p
    tanh sin cos maximum minimum abs absolute sign isfinite isinf isnan logical_and logical_or
    logical_not equal not_equal less less_equal greater greater_equal floor ceil rint reciprocal
    copysign"""

# CuPy's parameters in CuPy's order, shortened at the end → functions. Those before the slash are
# required, and reach NumPy by position because their names differ; the others by their name.
_FUNCTIONS = {
    "shape / dtype order": "zeros ones empty", "shape fill_value / dtype order": "full",
    "a / dtype": "zeros_like ones_like ascontiguousarray", "prototype / dtype": "empty_like",
    "a fill_value / dtype": "full_like", "start / stop step dtype": "arange",
    "start stop / num endpoint retstep dtype axis": "linspace", "N / M k dtype order": "eye",
    "tup / axis out dtype casting": "concatenate stack",
    "ary indices_or_sections / axis": "split array_split",
    "a indices / axis out": "take", "a indices axis /": "take_along_axis",
    "a / axis dtype out keepdims": "sum prod mean argmax argmin",
    "a / axis dtype out ddof keepdims": "var std",
    "a / axis out keepdims": "max min amax amin any all",
    "a / axis dtype out": "cumsum", "a / axis kind": "sort argsort",
    "a / offset axis1 axis2 dtype out": "trace", "a b / axes": "tensordot",
    "a b / out": "matmul dot outer", "a b /": "vdot inner",
    "a b / max_work": "shares_memory may_share_memory",
    "a / axes": "transpose", "a axis1 axis2 /": "swapaxes", "a source destination /": "moveaxis",
    "a newshape / order": "reshape", "a / order": "ravel", "array shape /": "broadcast_to",
    "a axis /": "expand_dims", "a / axis": "squeeze flip", "a repeats / axis": "repeat",
    "A reps /": "tile", "a shift / axis": "roll", "a a_min a_max / out": "clip",
    "array pad_width / mode constant_values": "pad", "dst src / casting where": "copyto",
}
_METHODS = "sum mean var std max min any all argmax cumsum dot take swapaxes squeeze ravel"
_CONSTANTS = "float32 float64 int32 int64 uint8 bool_ pi inf nan newaxis"
_ARRAYS = {"a", "b", "x", "ary", "array", "A", "prototype", "dst"}
_ARRAYS_OR_SCALARS = {"fill_value", "indices", "a_min", "a_max", "src", "where", "out"}


class HostSync(AssertionError):
    """What would make the program wait for the GPU where it must not."""


host_reads = SimpleNamespace(count=0, forbidden=False)


@contextlib.contextmanager
def forbid_host_reads():
    """Raise HostSync for each read back to the host inside the with block."""
    before, host_reads.forbidden = host_reads.forbidden, True
    try:
        yield
    finally:
        host_reads.forbidden = before


class ndarray:
    """Hold an array of the pretended device; the loops at the end of this file add to it."""

    __slots__ = ("_host",)
    # With None, NumPy's functions raise and its operators leave the work to the methods here, so
    # that np.float32(2) * array works and np_array * array reaches the refusal.
    __array_ufunc__ = None
    __hash__ = None
    __reduce__ = None           # no pickling: in CuPy it is a read back that nobody sees

    def __init__(self, host):
        """Wrap a NumPy array, shared and not copied."""
        if host.dtype.char not in "?bhilqBHILQefdFD":           # CuPy has no objects, no text
            raise ValueError(f"Unsupported dtype {host.dtype}")
        self._host = host

    def __array__(self, dtype=None, copy=None):
        """Refuse to become a NumPy array unasked."""
        raise TypeError("a device array does not turn into a NumPy array by itself; use .get()")

    def __array_function__(self, function, types, args, kwargs):
        """Refuse NumPy's functions, which CuPy would run and so hide the wrong module."""
        raise TypeError(f"numpy.{function.__name__} got a device array; call xp's")

    @property
    def flags(self):
        """Return the two flags of the memory layout."""
        flags = self._host.flags
        return SimpleNamespace(c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous)

    def __getitem__(self, index):
        """Return a view, 0-d too, or a copy for an index with integer arrays."""
        return _wrap(self._host[_index(index)])

    def __setitem__(self, index, value):
        """Copy a device array or a scalar into a part of this array."""
        self._host[_index(index)] = _operand(value)

    def __len__(self):
        """Return the length of the first axis, which needs no read."""
        return len(self._host)

    def __iter__(self):
        """Return an iterator over the views along the first axis."""
        return iter([self[i] for i in range(len(self))])

    def get(self):
        """Read back: return a NumPy array with memory of its own."""
        if host_reads.forbidden:
            raise HostSync("a device array was read back to the host where that is forbidden")
        host_reads.count += 1
        return self._host.copy()

    def __format__(self, spec):
        """Read back to print."""
        return format(self.get(), spec)


def _wrap(result):
    """Return what NumPy returned, with each array and NumPy scalar in it as a device array."""
    if isinstance(result, np.ndarray | np.generic):
        return ndarray(np.asarray(result))
    if isinstance(result, list | tuple):
        return type(result)([_wrap(part) for part in result])
    return result


def _operand(value):
    """Return what NumPy may compute with for a device array or a scalar, and refuse all else."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, _SCALARS):
        return value
    raise TypeError(f"Unsupported type {type(value)}")


def _index(index):
    """Return an index for NumPy, with an Ellipsis, which keeps the result an array."""
    parts, ellipsis = [], [...]
    for part in index if isinstance(index, tuple) else (index,):
        if isinstance(part, bool | np.bool_) or isinstance(part, ndarray) and part.dtype == bool:
            raise HostSync("a boolean mask as index waits for the GPU; use where")
        if part is Ellipsis:
            ellipsis = []
        plain = part is None or part is Ellipsis or isinstance(part, slice)
        parts.append(part if plain else _operand(part))
    return tuple(parts + ellipsis)


def _argument(name, value):
    """Return what NumPy gets for the parameter `name`, or refuse the value."""
    if name == "tup":
        return [_argument("a", part) for part in value]
    if name in _ARRAYS_OR_SCALARS:
        return None if value is None else _operand(value)
    if isinstance(value, ndarray) != (name in _ARRAYS) or isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)} as {name}")
    return value._host if isinstance(value, ndarray) else value


def _function(numpy_function, parameters):
    """Return a function that has CuPy's parameters and computes with NumPy's function."""
    required, optional = [part.split() for part in parameters.split("/")]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in required]
                                  + [inspect.Parameter(name, kind, default=None)
                                     for name in optional])

    def function(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        hosts = {name: _argument(name, value) for name, value in given.items()}
        result = numpy_function(*[hosts.pop(name) for name in required], **hosts)
        return _wrap(result) if given.get("out") is None else given["out"]

    function.__signature__ = signature
    return function


def _ufunc(numpy_ufunc):
    """Return an elementwise function of device arrays and scalars."""
    def function(*operands, out=None, dtype=None):
        if isinstance(out, tuple):
            (out,) = out
        values = [_operand(value) for value in operands]
        result = numpy_ufunc(*values, out=_argument("out", out), dtype=dtype)
        return _wrap(result) if out is None else out

    return function


def _method(numpy_method, operands):
    """Return the method that runs NumPy's; operands: whether its arguments may be arrays."""
    def method(self, *args, **kwargs):
        if operands:
            args = [_operand(value) for value in args]
        result = numpy_method(self._host, *args, **kwargs)
        return self if result is self._host else _wrap(result)

    return method


def _attribute(name):
    """Return the property that reads an attribute of the wrapped array."""
    return property(lambda self: _wrap(getattr(self._host, name)))


def _read(numpy_method):
    """Return a method that answers with what is read back."""
    return lambda self: numpy_method(self.get())


def array(obj, dtype=None, copy=True):
    """Return a device array with memory of its own; with copy=False a fitting one as it is."""
    if isinstance(obj, ndarray):
        return obj.astype(obj.dtype if dtype is None else dtype, copy=copy)
    return ndarray(np.array(obj, dtype))        # __array__ refuses lists of device arrays


def asarray(a, dtype=None):
    """Return `a` itself where it is a device array of that dtype, and a copy otherwise."""
    return array(a, dtype, copy=False)


def asnumpy(a):
    """Read a device array back to the host."""
    return a.get()


def where(condition, x=None, y=None):
    """Choose elements of x or y; the form with one argument waits for the GPU."""
    if x is None or y is None:
        raise HostSync("where with one argument waits for the GPU")
    return _wrap(np.where(_operand(condition), _operand(x), _operand(y)))


def einsum(subscripts, *operands, dtype=None, optimize=False):
    """Sum products of elements by Einstein's convention."""
    values = [_argument("a", operand) for operand in operands]
    return _wrap(np.einsum(subscripts, *values, dtype=dtype, optimize=optimize))


class _Generator:
    """Draw device arrays by the few methods that CuPy's generator has; its numbers are others."""

    def __init__(self, seed=None):
        """Start a stream of numbers."""
        self._rng = np.random.default_rng(seed)

    def random(self, size=None, dtype=np.float64):
        """Draw from [0, 1)."""
        return _wrap(np.asarray(self._rng.random(size, dtype)))

    def standard_normal(self, size=None, dtype=np.float64):
        """Draw from the normal distribution with mean 0 and variance 1."""
        return _wrap(np.asarray(self._rng.standard_normal(size, dtype)))

    def uniform(self, low=0.0, high=1.0, size=None, dtype=np.float64):
        """Draw from [low, high)."""
        return _wrap(np.asarray(self._rng.uniform(low, high, size), dtype))

    def integers(self, low, high=None, size=None, dtype=np.int64, endpoint=False):
        """Draw whole numbers from [low, high)."""
        return _wrap(self._rng.integers(low, high, size, dtype, endpoint))


for _name in _ATTRIBUTES.split():
    setattr(ndarray, _name, _attribute(_name))
for _name in _OPERATORS.split():
    setattr(ndarray, f"__{_name}__", _method(getattr(np.ndarray, f"__{_name}__"), operands=True))
ndarray.fill = _method(np.ndarray.fill, operands=True)
for _name in _CONVERSIONS.split():
    setattr(ndarray, _name, _method(getattr(np.ndarray, _name), operands=False))
for _name in _READS.split():
    setattr(ndarray, _name, _read(getattr(np.ndarray, _name)))
for _name in _UFUNCS.split():
    globals()[_name] = _ufunc(getattr(np, _name))
for _parameters, _names in _FUNCTIONS.items():  # from here on sum, any and others are these
    for _name in _names.split():
        globals()[_name] = _function(getattr(np, _name), _parameters)
for _name in _METHODS.split():
    setattr(ndarray, _name, globals()[_name])
for _name in _CONSTANTS.split():
    globals()[_name] = getattr(np, _name)
linalg = SimpleNamespace(norm=_function(np.linalg.norm, "x / ord axis keepdims"))
random = SimpleNamespace(default_rng=_Generator, Generator=_Generator)
