"""The child process: it calls a student's functions and sends back what they return.

`sandbox.run` copies this file beside a copy of vitnp that holds the student's files, and starts it
there. It knows no answers: what it sends is data, to be judged by the parent. The student's code
runs in this process and may change anything in it, this module too.
"""

import faulthandler
import importlib
import importlib.machinery
import os
import sys
import traceback
import types
from pathlib import Path

import leftovers
import numpy as np
import wire

HERE = Path(__file__).parent
LARGEST = 2**22     # bytes that one call may send back
# NumPy's own, whatever a file sets for itself when it is loaded
WARNINGS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
LONGEST_LINE = 80   # characters of a student's line that a message repeats


class Skipped(Exception):
    """A call refers to one that failed."""


class Absent(types.ModuleType):
    """A part of vitnp that is not here: it can be imported and named, and not be used.

    A student's file may still import what it needs elsewhere, a command line for instance.
    """

    __path__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__name__}.{name}")

    def __call__(self, *arguments, **named):
        raise RuntimeError(f"{self.__name__} is not there while a file is tested: write it in "
                           "the file, or reach other layers through ops")


class AbsentParts:
    """Finds, after all other finders, the parts of vitnp that are not here."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """Return the spec of an Absent module for a name in vitnp, else None."""
        if name.startswith("vitnp."):
            return importlib.machinery.ModuleSpec(name, AbsentParts, is_package=True)
        return None

    @staticmethod
    def create_module(spec):
        """Return the module of a spec."""
        return Absent(spec.name)

    @staticmethod
    def exec_module(module):
        """Leave it as it is."""


def main():
    """Read the request from standard input, run its calls, and write a record after each."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)                               # what students print stays apart from the results
    sys.stdout.reconfigure(line_buffering=True)     # what was printed before a crash is there
    request, arrays = wire.unpack(sys.stdin.buffer)
    leftovers.fresh_keyring()
    limit(**request["limits"])
    results.write(wire.pack({"status": "started", "message": ""}, []))  # the parent's clock starts
    results.flush()
    # Says where an endless loop was, shortly before the parent ends it
    faulthandler.dump_traceback_later(0.9 * request["limits"]["seconds"], file=2)
    faulthandler.enable(file=2)
    sys.meta_path.append(AbsentParts)
    end = run(request, arrays, results)
    results.write(wire.pack(end, []))
    results.close()
    sys.stdout.flush()
    os._exit(0)                                 # threads of the student's need not end


def limit(seconds, memory, uid, processes, file_size):
    """Limit this process and all that it starts, for good; None leaves a thing as it is."""
    try:
        import resource
    except ImportError:                         # Windows has none of this
        return
    wanted = {"RLIMIT_CPU": int(seconds) + 2, "RLIMIT_AS": memory, "RLIMIT_FSIZE": file_size,
              "RLIMIT_NOFILE": 64, "RLIMIT_CORE": 0, "RLIMIT_NPROC": processes}
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        if kind is None or value is None:
            continue
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):           # macOS knows some, but does not take them
            pass


def run(request, arrays, results):
    """Import the submitted files, make each call, write its record; return the last record."""
    try:
        for path in request["files"]:
            source = (HERE / "vitnp" / path).read_bytes()
            compile(source, path, "exec")
        for path in request["files"]:
            name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            importlib.import_module(f"vitnp.{name}")
    except MemoryError:
        return {"status": "memory", "message": ""}
    except BaseException as error:  # noqa: BLE001  a student's file may raise anything
        return {"status": "syntax", "message": message_of(error, request["files"])}
    kept = {}
    for number, call in enumerate(request["calls"]):
        try:
            record, value = make_call(call, arrays, kept, request["files"])
            sent = []
            encoded = wire.encode(value, sent)
            if sum(array.nbytes for array in sent) > LARGEST:
                record["kind"], sent = "other", []
                encoded = wire.encode(wire.Text(f"more than {LARGEST} bytes"), sent)
            record |= {"number": number, "value": encoded}
            data = wire.pack(record, sent)
        except MemoryError:
            return {"status": "memory", "message": ""}
        results.write(data)
        results.flush()
    return {"status": "ok", "message": ""}


def make_call(call, arrays, kept, files):
    """Return the record of one call, and the value to be sent."""

    def special(kind, content):
        if kind == "ref":
            name, index = content
            if name not in kept:
                raise Skipped(name)
            return kept[name] if index is None else kept[name][index]
        if kind == "config":
            return importlib.import_module("vitnp.config").ViTConfig(**content)
        return importlib.import_module("vitnp.layers").textbook

    try:
        function = find(call["module"], call["function"])
        made = {i: laid_out(arrays[i], call["layout"]) for i in call["uses"]}
        before = [array.tobytes() for array in made.values()]
        with np.errstate(**WARNINGS):
            returned = function(*wire.decode(call["arguments"], made, special))
        after = [array.tobytes() for array in made.values()]
    except MemoryError:
        raise
    except Skipped as skipped:
        text = f"not called, since the call it builds on ({skipped}) failed"
        return {"kind": "skipped", "message": text, "inputs_changed": False}, None
    except BaseException as error:  # noqa: BLE001  a student's function may raise anything
        return failed(error, files), None
    if call["keep"] is not None:
        kept[call["keep"]] = returned
    try:
        kind, value = sendable(returned, call["send"])
    except (RecursionError, ValueError, TypeError) as error:
        kind, value = "other", wire.Text(f"something that cannot be sent ({error})")
    return {"kind": kind, "message": "", "inputs_changed": before != after}, value


def find(module, name):
    """Return a function of a module, or raise AttributeError in one sentence."""
    function = getattr(importlib.import_module(module), name, None)
    if function is None:
        raise AttributeError(f"there is no function {name} in {module.rpartition('.')[2]}.py")
    return function


def failed(error, files):
    """Return the record of a call that raised."""
    if isinstance(error, NotImplementedError):
        kind, message = "not implemented", str(error)
    else:
        kind, message = "error", message_of(error, files)
    return {"kind": kind, "message": message, "inputs_changed": False}


def message_of(error, files):
    """Return "ValueError: what it says (layernorm.py, line 31: y = x @ w)", of a submitted file."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename in files:
        return (f"{type(error).__name__}: {error.msg} "
                f"({error.filename.rpartition('/')[2]}, line {error.lineno})")
    if isinstance(error, SystemExit):
        text = f"it ends the program (SystemExit: {error})"
    folder = str(HERE / "vitnp") + os.sep
    frames = [(frame.filename.removeprefix(folder).replace(os.sep, "/"), frame.lineno, frame.line)
              for frame in traceback.extract_tb(error.__traceback__)
              if frame.filename.startswith(folder)]
    own = [frame for frame in frames if frame[0] in files]
    if not own:
        return text
    file, number, line = own[-1]
    code = f": {line[:LONGEST_LINE]}" if line else ""
    if frames[-1] != own[-1]:
        text += f" [in {frames[-1][0].rpartition('/')[2]}, which it calls]"
    return f"{text} ({file.rpartition('/')[2]}, line {number}{code})"


def laid_out(array, layout):
    """Return a copy of the array: "plain", "strided" (not contiguous) or "read-only".

    A strided one has gaps, and its last axis first in memory: a reshape of it is a copy.
    """
    if layout == "strided" and array.ndim:
        wide = np.full((2 * array.shape[-1], *array.shape[:-1]), 7, array.dtype)
        wide[::2] = np.moveaxis(array, -1, 0)
        return np.moveaxis(wide[::2], 0, -1)
    array = array.copy()
    array.flags.writeable = layout != "read-only"
    return array


def sendable(value, send=None):
    """Return the kind of what a function returned, and what of it can be sent.

    send: the entries of a tuple to be sent, None for all; the others are described.
    """
    if isinstance(value, tuple):
        entries = [plain(entry) if send is None or i in send else wire.Text(describe(entry))
                   for i, entry in enumerate(value)]
        return "tuple", tuple(entries)
    value = wire.Text("None") if value is None else plain(value)
    if isinstance(value, np.ndarray):
        return "array", value
    return ("tree" if isinstance(value, list | dict) else "other"), value


def plain(value):
    """Return a value as arrays of NumPy's own class, None, or tuples, lists and dicts of such."""
    if value is None:
        return None
    if isinstance(value, np.ndarray | np.generic | bool | int | float | complex):
        array = np.array(value, order="C", subok=False)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        return array if array.dtype.str in wire.TYPES else wire.Text(describe(value))
    if isinstance(value, dict):
        return {str(name): plain(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    if isinstance(value, tuple):
        return tuple(plain(entry) for entry in value)
    return wire.Text(describe(value))


def describe(value):
    """Return what a value is, in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} of {value.dtype}"
    if isinstance(value, tuple | list | dict):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"
