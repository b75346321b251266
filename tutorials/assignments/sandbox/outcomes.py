"""What became of a child process: its results, read without believing them, and one sentence."""

import os
import re
import signal
from dataclasses import dataclass
from typing import Any

from tutorials.assignments.sandbox import wire

LARGEST_RESULT, MOST_PRINTED = 2**25, 2**20     # bytes
LONGEST_TEXT, LONGEST_MESSAGE = 4000, 600       # characters that a report repeats
CUT = f"… cut after {LONGEST_TEXT} characters"
KINDS = ("array", "tuple", "tree", "other", "error", "not implemented", "skipped")
OUT_OF_TIME = (-24, 128 + 24)   # SIGXCPU: the processor was used for longer than that
WAS_RUNNING = re.compile(r'^  File "[^"]*/vitnp/([^"]+)", line (\d+) in (\w+)', re.MULTILINE)
FATAL = re.compile(r"^(Timeout \(|Fatal Python error: )", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What one call returned.

    kind: "array", "tuple" (of arrays, None, descriptions, dicts and lists), "tree" (dict or list),
    "other" (value describes it), "error", "not implemented", or "skipped", where a Ref of it
    failed; then the message says more, with the student's own line. inputs_changed is the child's
    word: whether arrays among the arguments hold something else afterwards.
    """

    kind: str
    value: Any = None
    message: str = ""
    inputs_changed: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a child.

    status: "ok" (also where a function raised), "syntax" (a file cannot be imported), "time",
    "memory", "output" (too much was printed) or "crash"; message: one sentence.
    results: one for each call, in order; with another status than "ok" the last may be missing.
    """

    status: str
    message: str
    printed: str
    results: list


def judge(code, seconds, calls, results, printed):
    """Return the Outcome of a child that has ended."""
    results.seek(0)
    printed.seek(0)
    text = clean(printed.read(MOST_PRINTED).decode("utf-8", "replace"), MOST_PRINTED)
    place, text = split_traceback(text)
    end, found = read_results(results, len(calls))
    if code in ("time", *OUT_OF_TIME):
        status, message = "time", (f"it ran for more than {seconds:g} seconds and was ended; look "
                                   "for a loop without an end")
    elif code == "output":
        status, message = "output", (f"it printed more than {MOST_PRINTED} characters and was "
                                     "ended; take the prints out")
    elif end is not None and end["status"] == "memory":
        status, message = "memory", "it needed more memory than it may have"
    elif end is not None and end["status"] in ("ok", "syntax"):
        status, message = end["status"], clean(end["message"], LONGEST_MESSAGE)
    else:
        status, message = "crash", how_it_ended(code)
    if place and status in ("time", "crash"):
        message += f" ({place})"
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}\n{CUT}"
    return Outcome(status, message, text, found)


def how_it_ended(code):
    """Return one sentence on a child that ended before it was done."""
    number = -code if code < 0 else code - 128
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"it ended before it was done, with the exit code {code}"
    return f"it crashed ({name})"


def split_traceback(text):
    """Return which line was running when the time was up or it crashed, and the text before."""
    found = FATAL.search(text)
    if not found:
        return "", text
    running = WAS_RUNNING.search(text, found.start())
    place = running and f"{running[1].rpartition('/')[2]}, line {running[2]}, in {running[3]}"
    return place or "", text[:found.start()]


def read_results(stream, count):
    """Return the child's last record, or None, and the Results before it; damage ends the list."""
    found = []
    if size_of(stream) > LARGEST_RESULT:
        return None, found
    try:
        wire.unpack(stream)                     # "started"
        while len(found) <= count and (record := wire.unpack(stream)):
            header, arrays = record
            if "status" in header:
                whole = header["status"] != "ok" or len(found) == count
                return ({"status": str(header["status"]), "message": str(header["message"])}
                        if whole else None), found
            if header["number"] != len(found) or header["kind"] not in KINDS:
                break
            value = wire.decode(header["value"], arrays)
            found.append(Result(header["kind"], texts(value), clean(header["message"]),
                                bool(header["inputs_changed"])))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError,
            MemoryError):
        pass                                    # forged or cut off: what came before it counts
    return None, found


def texts(value):
    """Return the value with the descriptions in it as strings."""
    if isinstance(value, wire.Text):
        return clean(value.text)
    if isinstance(value, dict):
        return {name: texts(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(texts(entry) for entry in value)
    return value


def clean(text, longest=LONGEST_MESSAGE):
    """Return a child's text without what a terminal would obey, and not too long."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in str(text)[:longest])


def size_of(file):
    """Return the bytes that a file has by now."""
    return os.fstat(file.fileno()).st_size
