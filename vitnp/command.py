"""What all commands share: a parser that answers in one sentence, and the exit codes."""

import argparse
import sys

from vitnp.errors import Error


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises Error where argparse would print its usage."""

    def error(self, message):
        """Raise what argparse found wrong."""
        raise Error(f"{message}; --help lists the options")


def run(main):
    """Call main(arguments) and exit with its result; an Error is printed, with exit code 2."""
    try:
        code = main(sys.argv[1:])
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130
    sys.exit(code)
