"""Listening: running the gateway's event loop until a signal stops it, and the sockets of several gateways."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import peewee
from tornado.netutil import bind_sockets

from commands.advice import command_line
from commands.errors import CommandError, PortInUseError, UnreachableError
from commands.gateways import Listening
from conf import Settings
from conf.settings import PREFIX

if TYPE_CHECKING:
    from gateway.supervised import Supervised

logger = logging.getLogger("serve")

BACKLOG = 4096  # as of gateway/server.py
SPREADS = sys.platform == "linux"  # connections over the sockets of one port; elsewhere SO_REUSEPORT gives all to one of them

REASONS = {
    errno.EADDRINUSE: "the port is taken",
    errno.EACCES: "this user may not listen there",
    errno.EADDRNOTAVAIL: "this machine does not have the address",
}


def with_port(settings: Settings) -> Settings:
    """Return the settings with a free port in the place of 0, so that all addresses have it; those in mails of the worker, too."""
    if settings.port != 0:
        return settings
    with suppress(OSError):  # `listen` explains why
        sockets = bind_sockets(0, settings.host)
        port = sockets[0].getsockname()[1]
        for each in sockets:
            each.close()
        os.environ[f"{PREFIX}PORT"] = str(port)
        return settings.model_copy(update={"port": port})
    return settings


def listen(
    settings: Settings,
    on_ready: Callable[[], None] | None = None,
    on_stop: Callable[[], None] | None = None,
    supervised: Supervised | None = None,
) -> int:
    """Block while the gateway serves, and return its exit status. Raises CommandError when it can't listen."""
    from gateway import server

    with _refusals(settings):
        return server.main(settings, on_ready, on_stop, supervised)


def open_sockets(settings: Settings, count: int, *, any_port: bool) -> list[Listening]:
    """Open the sockets of several gateways. Each has the next port after the shared one for itself, or any free one.

    Raises CommandError when the shared port can't be listened on.
    """
    with _refusals(settings):
        for probe in bind_sockets(settings.port, settings.host):  # those below would share the port with a stranger's
            probe.close()
        if not SPREADS:
            shared = bind_sockets(settings.port, settings.host, backlog=BACKLOG)
        return [
            Listening(
                bind_sockets(settings.port, settings.host, backlog=BACKLOG, reuse_port=True) if SPREADS else shared,
                *_own_sockets(settings.host, 0 if any_port else settings.port + number),
            )
            for number in range(1, count + 1)
        ]


def _own_sockets(host: str, port: int) -> tuple[list[socket.socket], int]:
    try:
        sockets = bind_sockets(port, host)
    except (OSError, OverflowError):  # of another program, or there is no such port
        logger.warning("port_in_use: a gateway listens on another port than %d", port)
        sockets = bind_sockets(0, host)
    return sockets, sockets[0].getsockname()[1]


@contextmanager
def _refusals(settings: Settings) -> Iterator[None]:
    """Turn the errors of a gateway's start into CommandError."""
    try:
        yield
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
