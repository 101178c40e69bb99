"""The error by which a command refuses to run."""


class CommandError(Exception):
    """The command refuses to run, with exit status 2. The text says what is wrong and what to do."""
