"""What all commands share: a parser that answers in one sentence, and the exit codes."""

import argparse
import os
import sys

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
    """Call main(arguments) and exit with its result; an Error is printed, with exit code 2."""
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except BrokenPipeError:
        # The reader, such as `head`, has enough; what is left must not be written at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 128 + 13         # as if ended by SIGPIPE
    except KeyboardInterrupt as stop:
        print(str(stop) or "stopped", file=sys.stderr)
        code = getattr(stop, "code", 130)
    sys.exit(code)
