"""How values travel to the child process and back: a line of JSON, then the bytes of the arrays.

No pickle, and no archive: a packed .npz may announce little and hold much. Used on both sides, so
that it imports nothing but NumPy.
"""

import json
import math
from dataclasses import asdict, dataclass, is_dataclass

import numpy as np

TYPES = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8", "<c8",
         "<c16")
LONGEST_LINE = 2**20
PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Ref:
    """What the call kept as `name` returned, or its entry `index`; it never left the child."""

    name: str
    index: int | None = None


@dataclass(frozen=True)
class Textbook:
    """The argument `ops`: the library's layers, with the submitted files in their place."""


@dataclass(frozen=True)
class Text:
    """What is said of a value that cannot be sent, such as "a str"."""

    text: str


OPS = Textbook()


def encode(value, arrays):
    """Return value as JSON's types; its arrays are appended to `arrays` and named by number.

    value: an array, a number, a string, None, Ref, OPS, Text, a configuration (a dataclass), or a
    tuple, list or dict with strings as keys, of such. Raises TypeError for another.
    """
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, PLAIN):
        return {"value": value}
    if isinstance(value, Text):
        return {"text": value.text}
    if isinstance(value, Ref):
        return {"ref": [value.name, value.index]}
    if isinstance(value, Textbook):
        return {"ops": True}
    if isinstance(value, dict):
        return {"dict": {name: encode(entry, arrays) for name, entry in value.items()}}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [encode(entry, arrays) for entry in value]}
    if is_dataclass(value):
        return {"config": asdict(value)}
    raise TypeError(f"values of the type {type(value).__name__} cannot be sent")


def decode(node, arrays, special=None):
    """Return the value that `encode` made this of; Ref, OPS and configurations by special(node).

    Raises ValueError (or one of KeyError, TypeError, IndexError) for what `encode` never makes.
    """
    ((kind, content),) = node.items()
    if kind == "array":
        return arrays[content]
    if kind == "value" and isinstance(content, PLAIN):
        return content
    if kind == "text":
        return Text(str(content))
    if kind == "dict":
        return {name: decode(entry, arrays, special) for name, entry in content.items()}
    if kind in ("list", "tuple"):
        entries = [decode(entry, arrays, special) for entry in content]
        return entries if kind == "list" else tuple(entries)
    if special is None:
        raise ValueError(f"{kind!r} is not expected here")
    return special(kind, content)


def pack(header, arrays):
    """Return one record as bytes: a dict in JSON, and arrays of the TYPES."""
    line = json.dumps(header | {"arrays": [[a.dtype.str, a.shape] for a in arrays]})
    return line.encode() + b"\n" + b"".join(array.tobytes() for array in arrays)


def unpack(stream):
    """Return (header, arrays) of the next record, or None at the end.

    Nothing in it is believed: raises ValueError (or one of its kind) for a damaged record.
    """
    line = stream.readline(LONGEST_LINE)
    if not line:
        return None
    header = json.loads(line)
    arrays = []
    for dtype, shape in header.pop("arrays"):
        if dtype not in TYPES or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"arrays of {dtype!r} and {shape!r} are not sent")
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > 2**31 or len(data := stream.read(size)) != size:
            raise ValueError("an array is not whole")
        arrays.append(np.frombuffer(bytearray(data), dtype).reshape(shape))
    return header, arrays
