"""Call functions of students' files in a child process, and take back what they return.

The parent imports no line of a student's. The child sees a copy of vitnp with the submitted files
in it; it gets arguments and sends arrays, and knows neither answers nor tolerances. Whatever it
does, the worst it can do here is to send other arrays, and to be judged by them.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tutorials.assignments.sandbox import isolation as levels
from tutorials.assignments.sandbox import wire
from tutorials.assignments.sandbox.outcomes import (
    LARGEST_RESULT,
    MOST_PRINTED,
    Outcome,
    Result,
    judge,
    size_of,
)
from tutorials.assignments.sandbox.package_copy import write_copy
from tutorials.assignments.sandbox.wire import OPS, Ref
from vitnp.errors import Error

__all__ = ["OPS", "Call", "Outcome", "Ref", "Result", "run"]

# NumPy stays usable when the folder it came from is no longer searched: nothing else is in reach
START = ("import sys; sys.path.append(sys.argv[2]); import numpy; sys.path.pop(); "
         "sys.path.insert(0, sys.argv[1]); import child; child.main()")
HERE = Path(__file__).parent
MOST_PROCESSES = 64
LONGEST_START = 60.0    # seconds until the child is ready, on a machine with other work to do


@dataclass(frozen=True)
class Call:
    """One call in the child.

    module, function: such as "vitnp.layers.linear", "forward". arguments: a list of arrays,
    numbers, strings, None, ViTConfig, OPS, Ref, and tuples, lists, dicts of these. keep: the name
    under which a Ref finds what it returns. send: of a returned tuple the entries that are sent,
    None for all; the others are described. layout, of all arrays: "plain", "strided" (not
    contiguous) or "read-only".
    """

    module: str
    function: str
    arguments: list
    keep: str | None = None
    send: tuple | None = None
    layout: str = "plain"


def run(files, calls, seconds=10.0, memory=2e9, isolation="none", helpers=None):
    """Run the calls in a child with the submitted files in place, and return the Outcome.

    files: path inside vitnp, such as "layers/linear.py" → text; calls: a list of Calls; seconds:
    of a clock; memory: bytes a process; isolation: one of isolation.LEVELS; helpers: files of ours
    that stand beside the submitted ones. Raises Error where the level does not work here.
    """
    if reason := levels.reason_against(isolation):
        raise Error(f"the isolation {isolation!r} does not work here: {reason}")
    folder = os.path.realpath(tempfile.mkdtemp(prefix="vitnp-"))
    user = levels.other_user(isolation)
    try:
        prepare(folder, files, helpers or {}, calls, user)
        request = make_request(files, calls, seconds, memory, isolation, user)
        command = levels.command(isolation, folder, ["-c", START, folder, levels.SITE])
        scratch = f"{folder}/scratch"
        own = isolation == "bwrap"
        with (tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as results,
              tempfile.TemporaryFile() as printed):
            asked.write(request)
            asked.seek(0)
            process = subprocess.Popen(
                command, stdin=asked, stdout=results, stderr=printed, start_new_session=True,
                cwd=None if own else scratch,
                env=levels.environment("/scratch" if own else scratch))
            code = wait(process, seconds, results, printed)
            return judge(code, seconds, calls, results, printed)
    finally:
        if user is not None:
            leave_nothing(user, everywhere=isolation == "user")
        shutil.rmtree(folder, ignore_errors=True)


def prepare(folder, files, helpers, calls, user):
    """Fill the child's folder: its program, the copy of vitnp, and a place to write.

    A user of the child's own may read it, and no other one.
    """
    modules = {call.module for call in calls}
    submitted = {"vitnp." + path.removesuffix(".py").replace("/", ".") for path in files}
    if any(uses_ops(call.arguments) for call in calls):
        modules.add("vitnp.layers")
    if any(path.startswith("layers/") and "vitnp.layers" in text for path, text in files.items()):
        modules.add("vitnp.layers")             # other layers may be used, as ops has them
    always = {"vitnp.config", "vitnp.backend", "vitnp.errors"}
    write_copy(folder, files, sorted((modules | always) - submitted), helpers)
    for name in ("child.py", "wire.py", "leftovers.py"):
        shutil.copy(HERE / name, folder)
    os.mkdir(f"{folder}/scratch")
    for place, folders, names in os.walk(folder):
        for name in folders + names:
            os.chmod(f"{place}/{name}", 0o755 if name in folders else 0o644)
    if user is not None:
        os.chown(folder, 0, user)
        os.chmod(folder, 0o750)
        os.chown(f"{folder}/scratch", user, user)


def uses_ops(value):
    """Tell whether OPS is among the arguments."""
    if isinstance(value, dict):
        value = list(value.values())
    return value is OPS or isinstance(value, list | tuple) and any(map(uses_ops, value))


def make_request(files, calls, seconds, memory, isolation, user):
    """Return what the child reads, as bytes."""
    arrays, described = [], []
    for call in calls:
        first = len(arrays)
        arguments = wire.encode(list(call.arguments), arrays)
        described.append({"module": call.module, "function": call.function, "keep": call.keep,
                          "send": call.send, "layout": call.layout, "arguments": arguments,
                          "uses": list(range(first, len(arrays)))})
    processes = None if isolation == "none" else MOST_PROCESSES + own_processes(user)
    limits = {"seconds": seconds, "memory": int(memory), "processes": processes,
              "uid": user, "file_size": LARGEST_RESULT}
    return wire.pack({"files": list(files), "calls": described, "limits": limits}, arrays)


def own_processes(user):
    """Return the number of threads that this user runs already: the limit counts them too."""
    if user is not None:
        return 0
    return sum(owner == os.getuid() for _, owner in levels.owners("/proc/[0-9]*/task/[0-9]*"))


def wait(process, seconds, results, printed):
    """Return the exit code of the child, or "time" or "output" where it had to be ended.

    Afterwards its group is ended; a process that left the group is for `leave_nothing`.
    """
    code, pause, started = None, 0.001, False
    end = time.monotonic() + LONGEST_START
    try:
        while code is None:
            code = process.poll()
            if not started and size_of(results):
                started, end = True, time.monotonic() + seconds
            if size_of(printed) > MOST_PRINTED:
                code = "output"
            elif code is None and time.monotonic() > end:
                code = "time"
            elif code is None:
                time.sleep(pause)
                pause = min(2 * pause, 0.02)
    finally:
        end_all(process)
    return code


def end_all(process):
    """Kill the child and its group."""
    if not hasattr(os, "killpg"):
        process.kill()
    else:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    process.wait()


def leave_nothing(user, everywhere):
    """End all processes of a child's own user, and remove what it left for another one to find.

    everywhere: not keys alone, but files and shared memory too, which it shared with others.
    """
    end = time.monotonic() + LONGEST_START
    while time.monotonic() < end:
        line = [levels.PYTHON, "-I", "-S", str(HERE / "leftovers.py"), str(user),
                *["everywhere"] * everywhere]
        subprocess.run(line, capture_output=True, check=False)
        if not any(owner == user for _, owner in levels.owners("/proc/[0-9]*")):
            return
    raise Error(f"processes of the user {user}, a student's, cannot be ended")
