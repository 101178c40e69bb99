"""The errors by which a command refuses to run. Their exit statuses say what a restart can mend."""

REFUSED, UNREACHABLE, PORT_IN_USE = 2, 3, 4  # systemd starts a unit again after 3


class CommandError(Exception):
    """The command refuses to run because of a setting, an argument or the current state. The text says what is wrong and what to
    do."""

    status = REFUSED


class UnreachableError(CommandError):
    """The store can't be reached, or is newer than this code."""

    status = UNREACHABLE


class PortInUseError(CommandError):
    """Another process listens on the port."""

    status = PORT_IN_USE


class NoStoreError(CommandError):
    """There is no store, and the command creates none by itself."""
