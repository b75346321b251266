"""What all commands share: a parser that answers in one sentence, and the exit codes."""

import argparse
import sys
import traceback

from vitnp.common import mpi
from vitnp.common.gpu_errors import message
from vitnp.errors import Error


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises Error where argparse would print its usage."""

    def error(self, message):
        """Raise what argparse found wrong."""
        raise Error(f"{message}; --help lists the options")


def check_counts(options, *names):
    """Raise Error unless each of these parsed options is at least 1, or None."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise Error(f"--{name.replace('_', '-')} is {value}; "
                        "it must be a whole number of at least 1")


def run(main):
    """Call main(arguments) and exit with its result; an Error is printed, with exit code 2.

    So are the exceptions of a GPU that is full or lost, and of too little memory.
    """
    try:
        mpi.quiet()
        code = main(sys.argv[1:])
    except Error as error:
        mpi.end(2, f"error: {error}")
    except KeyboardInterrupt as stop:
        if not hasattr(stop, "code"):               # of a run that has saved itself
            mpi.end(130, str(stop) or "stopped")
        print(stop, file=sys.stderr)
        code = stop.code
    except Exception as error:
        if message(error):
            mpi.end(2, f"error: {message(error)}")
        if mpi.communicator() is None:
            raise
        mpi.end(1, traceback.format_exc())
    sys.exit(code)
