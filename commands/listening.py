"""Running the gateway's event loop until a signal stops it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress

import peewee

from commands.advice import command_line
from commands.errors import CommandError, PortInUseError, UnreachableError
from conf import Settings
from conf.settings import PREFIX

REASONS = {
    errno.EADDRINUSE: "the port is taken",
    errno.EACCES: "this user may not listen there",
    errno.EADDRNOTAVAIL: "this machine does not have the address",
}


def with_port(settings: Settings) -> Settings:
    """Return the settings with a free port in the place of 0, so that all addresses have it; those in mails of the worker, too."""
    if settings.port != 0:
        return settings
    from tornado.netutil import bind_sockets

    with suppress(OSError):  # `listen` explains why
        sockets = bind_sockets(0, settings.host)
        port = sockets[0].getsockname()[1]
        for each in sockets:
            each.close()
        os.environ[f"{PREFIX}PORT"] = str(port)
        return settings.model_copy(update={"port": port})
    return settings


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
