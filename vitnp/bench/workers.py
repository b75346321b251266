"""The parent's side of a worker process: start it, ask it, and tell its end in one sentence."""

import contextlib
import dataclasses
import json
import signal
import subprocess
import sys
import tempfile

from vitnp.errors import Error

# As NumPy, PyTorch, JAX and CuPy say it, in lower case
NO_MEMORY = ("memoryerror", "allocate memory", "out of memory", "memory ran out", "memory left")
PATIENCE = 2.0          # seconds in which a worker should notice that it is no longer needed


def command_of(setting):
    """Return the command line of the worker for a cases.Setting."""
    return [sys.executable, "-m", "vitnp.bench.worker", json.dumps(dataclasses.asdict(setting))]


@contextlib.contextmanager
def worker(name, command):
    """Yield a function ask(request) and the first answer of a process that lives in the block.

    A process that ends before it has answered raises Error.
    """
    with (tempfile.TemporaryFile() as complaints,
          subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                           stderr=complaints, encoding="utf-8") as process):
        def ask(**request):
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps(request), file=process.stdin, flush=True)
            return hear()

        def hear():
            line = process.stdout.readline()
            if not line.endswith("\n"):
                code = process.wait()
                complaints.seek(0)
                raise Error(last_words(name, code, complaints.read().decode(errors="replace")))
            return json.loads(line)

        try:
            yield ask, hear()
        finally:
            end(process)


def end(process):
    """Let a process go home, or kill it where it does not go."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()


def last_words(name, code, complaints):
    """Return why the process of an engine ended, in one sentence."""
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    last = lines[-1] if lines else "it gave no reason"
    no_memory = any(words in last.lower() for words in NO_MEMORY)
    if no_memory or code == -signal.SIGKILL:
        return (f"the process of {name} ended, most likely because memory ran out; "
                "try a smaller --batch-size")
    mistakes = [line for line in lines if line.startswith("error: ")]
    if code == 2 and mistakes:
        return mistakes[-1].removeprefix("error: ")
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    return f"the process of {name} ended {how}: {last}"
