"""What is wrong with one result of a student's function, as a message."""

from dataclasses import replace

import numpy as np

from tutorials.assignments.checking import diagnosis, oracles
from tutorials.assignments.checking.relations import OVERWRITTEN

FORM_WORDS = {"plain": "", "strided": ", arguments that are not contiguous",
              "read-only": ", arguments that are read-only", "float32": ", in float32"}
# Of the largest entry of an array
TOLERANCE, FLOAT32_TOLERANCE = 1e-9, 2e-4
COARSE = 1e-6       # what is closer is a matter of digits
EXACT = ("the numbers of array afterwards", "the gradients afterwards")
LATER = {
    "again": "called twice with one cache: it changes an array of the cache in place",
    "other": "called with other values: something is kept from call to call",
    "other backward": "called with other values: something is kept from call to call; all that "
                      "backward needs belongs into the cache that forward returns",
    "late": "called after another forward: what it needs was overwritten; keep it in the cache "
            "that forward returns, and nowhere else",
}
FEW_DIGITS = ("likely: the formula is right and digits are lost: something is computed in float32, "
              "by an approximation, or by finite differences; float64 is checked to 1e-9")
SHOWN = 3                                       # of the wrong arrays, so many in full


class Fault(Exception):
    """Why a function is not right; judged is False where it was not written or not called.

    kinds: the kinds of mistake that the message names; spoils: whether a forward's numbers are
    wrong, so that the backward after it cannot be judged.
    """

    def __init__(self, message, kinds=(), judged=True, spoils=True):
        super().__init__(message)
        self.kinds, self.judged, self.spoils = tuple(kinds), judged, spoils


def examine(answer, step, result, diagnose=True):
    """Raise Fault unless the result of one call is right; step: see checking.Step.

    diagnose: whether the likely mistake is looked for, which takes time.
    """
    form, what, question = step.form, step.what, answer.question
    where = f" (in the case: {question.title}{FORM_WORDS[form]})"
    if result.kind == "not implemented":
        raise Fault(f"not written yet: {result.message}", judged=False)
    if what == "entry":
        examine_entry(answer, result, where)
    elif what == "returned":
        examine_returned(answer, result)
    elif what in LATER:
        examine_later(answer.other if what.startswith("other") else answer, result, what)
    elif result.kind == "skipped":
        raise Fault(f"could not be called{where}: {result.message}")
    else:
        examine_first(answer, form, what, result, where, diagnose)


def examine_first(answer, form, side, result, where, diagnose):
    """Raise Fault unless the result of a forward, or of a backward right after it, is right."""
    question = answer.question
    if result.kind == "error":
        raise error_fault(answer, form, side, result.message, where, diagnose)
    if isinstance(result.value, str) and result.value == "None":
        raise Fault(f"returns nothing{where}: is there a return at its end?")
    try:
        found = oracles.read(question, side, result.value)
    except (oracles.Unfit, RecursionError) as unfit:
        raise Fault(f"{unfit}{where}") from None
    right = answer.outputs if side == "forward" else answer.gradients
    dtype = np.dtype(np.float32 if form == "float32" else np.float64)
    examine_kinds(found, right, dtype, where, question.told)
    examine_exact(found, right, dtype, where)
    examine_values(answer, form, side, found, right, where, diagnose)
    if result.inputs_changed and not question.called:
        names = "dy" if side == "backward" else " or ".join(question.arguments)
        raise Fault(f"changes its argument {names} in place{where}: it belongs to the caller, who "
                    "needs it again; work on a copy", (OVERWRITTEN,), spoils=False)


def error_fault(answer, form, side, message, where, diagnose):
    """Return the Fault of a function that raised."""
    if form == "read-only" and ("read-only" in message or "readonly" in message):
        return Fault(f"writes into an argument that belongs to the caller{where}; work on a copy: "
                     f"{message}", (OVERWRITTEN,))
    likely = diagnosis.of_crash(answer, form, side, message) if diagnose else []
    told = "".join(f"\nlikely: {one.sentence}" for one in likely)
    return Fault(f"stops with {message}{where}{told}", [kind for one in likely
                                                         for kind in one.kinds])


def examine_entry(answer, result, where):
    """Raise Fault unless the cache holds an array by its public name."""
    names = "".join(f'["{name}"]' for name in answer.question.entry)
    found = result.value
    if result.kind == "error" or not isinstance(found, np.ndarray):
        raise Fault(f"the cache has no array cache{names}{where}; see the docstring of forward",
                    spoils=False)
    if is_wrong(found, answer.entry, TOLERANCE):
        told = comparison(found, answer.entry, TOLERANCE)
        if found.shape == answer.entry.shape and not found.all() and answer.entry.all():
            told += "\nlikely: these are the weights after their dropout; keep those before it"
        raise Fault(f"cache{names} has wrong values{where}{told}", spoils=False)


def examine_returned(answer, result):
    """Raise Fault where what a forward returned was overwritten by a later call."""
    question = replace(answer.question, backward=None)          # it is looked at without its cache
    if not all_right(answer, question, "forward", result):
        raise Fault("right the first time, but the next call writes into the array that was "
                    "returned; make a new one at each call", (OVERWRITTEN,), spoils=False)


def examine_later(answer, result, what):
    """Raise Fault where a function is no longer right that was right the first time."""
    side = "forward" if what == "other" else "backward"
    if result.kind == "error" or not all_right(answer, answer.question, side, result):
        told = f"stops with {result.message}" if result.kind == "error" else "it is wrong"
        raise Fault(f"right the first time, but {told} when it is {LATER[what]}", (OVERWRITTEN,))


def all_right(answer, question, side, result):
    """Tell whether all that a call returned is right."""
    right = answer.outputs if side == "forward" else answer.gradients
    try:
        found = oracles.read(question, side, result.value)
    except (oracles.Unfit, RecursionError):
        return False
    return not any(value is not None and is_wrong(found.get(name), value, question.tolerance)
                   for name, value in right.items())


def examine_kinds(found, right, dtype, where, told):
    """Raise Fault unless all arrays are there, of the right type, and finite."""
    missing = [name for name in right if name not in found]
    if missing:
        raise Fault(f"{missing[0]} is missing in what is returned{where}")
    for name, value in found.items():
        if name not in right:
            raise Fault(f"{name} is returned, but there is no such argument{where}")
        if right[name] is None:
            if value is not None:
                raise Fault(f"{name} must be None where that part is absent{where}")
            continue
        if not isinstance(value, np.ndarray):
            raise Fault(f"{name} is no array but {oracles.described(value)}{where}")
        if value.dtype != dtype and value.dtype.kind != "f":
            raise Fault(f"{name} is an array of {value.dtype}, not of {dtype}{where}")
        if value.shape == right[name].shape and not np.isfinite(value).all():
            bad = np.argwhere(~np.isfinite(value))[0].tolist()
            raise Fault(f"{name} holds {value[tuple(bad)]} at {bad}{where}: a division by zero, an "
                        "exp of a large number, or the root or log of a negative one?"
                        + (f"\nlikely: {told}" if told else ""))
        if value.dtype != dtype:
            raise Fault(f"{name} is {value.dtype} where the arguments are {dtype}{where}: an array "
                        "or NumPy number of another type is mixed in; use Python floats")


def examine_exact(found, right, dtype, where):
    """Raise Fault where an array of the caller's is not left as it was."""
    for name in EXACT:
        if name in right and not np.array_equal(found[name], right[name].astype(dtype)):
            raise Fault(f"{name} are not what they were before, to the last digit{where}: "
                        "keep a copy, and write it back", (OVERWRITTEN,))


def examine_values(answer, form, side, found, right, where, diagnose):
    """Raise Fault with the numbers and the likely mistake where shapes or values are wrong."""
    tolerance = FLOAT32_TOLERANCE if form == "float32" else answer.question.tolerance
    wrong = [name for name, value in right.items()
             if value is not None and is_wrong(found[name], value, tolerance)]
    if not wrong:
        return
    lines = [f"wrong{where}"]
    lines += [f"{name}{comparison(found[name], right[name], tolerance)}" for name in wrong[:SHOWN]]
    if wrong[SHOWN:]:
        lines.append(f"wrong too: {', '.join(wrong[SHOWN:])}")
    rest = [name for name, value in right.items() if value is not None and name not in wrong]
    if rest:
        lines.append(f"right: {', '.join(rest)}")
    if form != "float32" and not any(is_wrong(found[name], right[name], COARSE) for name in wrong):
        raise Fault("\n".join([*lines, FEW_DIGITS]))
    likely = diagnosis.of_values(answer, form, side, found, wrong) if diagnose else []
    lines += [f"likely: {one.sentence}" for one in likely]
    raise Fault("\n".join(lines), [kind for one in likely for kind in one.kinds])


def is_wrong(found, right, tolerance=TOLERANCE):
    """Tell whether an array is not right: by its shape, or by its largest error."""
    if not isinstance(found, np.ndarray) or found.shape != right.shape:
        return True
    return not np.abs(found - right).max(initial=0.0) <= bound(right, tolerance)


def bound(right, tolerance):
    """Return the largest error that is allowed; where all should be zero, rounding is."""
    zero = 2e-11 if tolerance == FLOAT32_TOLERANCE else 1e-13
    return max(tolerance * float(np.abs(right).max(initial=0.0)), zero)


def comparison(found, right, tolerance=TOLERANCE):
    """Return shapes, share of wrong entries, relative error, and the worst entry, as text."""
    if found.shape != right.shape:
        return f" has the shape {found.shape}; right is {right.shape}"
    size, error = max(np.abs(right).max(), 1e-7), np.abs(found - right)
    worst = np.unravel_index(int(error.argmax()), error.shape)
    count = int((error > bound(right, tolerance)).sum())
    place = f" at {list(map(int, worst))}" if right.ndim else ""
    return (f", shape {found.shape}: {count} of {right.size} numbers are wrong, relative error "
            f"{error.max() / size:.2g}; the worst{place}: yours {found[worst]:.6g}, right "
            f"{right[worst]:.6g}")
