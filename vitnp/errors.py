"""The one class for mistakes that a user can mend."""


class Error(ValueError):
    """A user's mistake in one sentence: what came, what is possible, what to do.

    Commands print it to stderr and exit with 2.
    """
