"""What a command says when it will not do a thing."""


class CommandError(Exception):
    """The command was refused. Its text is for the person at the terminal: what is wrong, and what to do. Exit status 2."""
