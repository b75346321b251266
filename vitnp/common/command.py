"""What all commands share: a parser that answers in one sentence, and the exit codes."""

import argparse
import os
import sys
import traceback

from vitnp.common import mpi
from vitnp.common.gpu_errors import message
from vitnp.common.progress import say
from vitnp.errors import Error


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises Error where argparse would print its usage.

    told_elsewhere: names of options whose empty texts the command refuses in words of its own.
    """

    told_elsewhere = ()

    def __init__(self, *arguments, **named):
        # --batch is no option, though --batch-size is one
        super().__init__(*arguments, allow_abbrev=False, **named)

    def error(self, message):
        """Raise what argparse found wrong."""
        raise Error(f"{message}; --help lists the options")

    def parse_args(self, args=None, namespace=None):
        """Parse, and raise Error for an empty text, as an unset variable of a shell leaves it."""
        options = super().parse_args(args, namespace)
        for name, value in vars(options).items():
            if name in self.told_elsewhere:
                continue
            if value == "" or (isinstance(value, list) and "" in value):
                raise Error(f"{name.replace('_', '-')} is an empty text; give a value, or leave it "
                            "out")
        return options


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
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows only ASCII shows an escape in place of what it does not know
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        mpi.quiet()
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except Error as error:
        mpi.end(2, f"error: {error}")
    except BrokenPipeError:
        # The reader, such as `head`, has enough; what is left must not be written at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + 13         # as if ended by SIGPIPE
    except KeyboardInterrupt as stop:
        if not hasattr(stop, "code"):               # of a run that has saved itself
            mpi.end(130, str(stop) or "stopped")
        say(str(stop))
        code = stop.code
    except Exception as error:
        if message(error):
            mpi.end(2, f"error: {message(error)}")
        if mpi.communicator() is None:
            raise
        mpi.end(1, traceback.format_exc())
    sys.exit(code)
