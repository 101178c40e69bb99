"""Running the gateway's event loop until a signal stops it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

import peewee

from commands.advice import command_line
from commands.errors import CommandError, PortInUseError, UnreachableError
from conf import Settings

REASONS = {
    errno.EADDRINUSE: "the port is taken",
    errno.EACCES: "this user may not listen there",
    errno.EADDRNOTAVAIL: "this machine does not have the address",
}


def listen(settings: Settings, on_ready: Callable[[], None] | None = None, on_stop: Callable[[], None] | None = None) -> int:
    """Block while the gateway serves, and return its exit status. Raises CommandError when it can't listen."""
    from gateway import server

    try:
        return server.main(settings, on_ready, on_stop)
    except (peewee.OperationalError, peewee.InterfaceError) as error:  # the store went down after the check
        raise UnreachableError(f"the store can't be used ({error}): {command_line('doctor')} says more") from error
    except socket.gaierror as error:
        raise CommandError(f"BELLWIRE_HOST={settings.host!r} is no address of this machine ({error.strerror})") from error
    except OSError as error:
        if error.errno not in REASONS:
            raise
        refusal = PortInUseError if error.errno == errno.EADDRINUSE else CommandError
        raise refusal(
            f"can't listen on {settings.host} port {settings.port}: {REASONS[error.errno]} ({os.strerror(error.errno)}). "
            "Stop what listens there, or set BELLWIRE_PORT or BELLWIRE_HOST"
        ) from error
