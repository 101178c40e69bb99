"""The gateways on a data folder. Each has a lock on DATA_DIR/gateway-HOST:PORT.lock while it runs, for `run.py doctor`.

The kernel releases the lock of a process that dies. The file has the process id until the gateway is stopped, and is empty then.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

PREFIX, ENDING = "gateway-", ".lock"


class LocalGateway(NamedTuple):
    """A gateway that runs, or that has ended without being stopped, and its lock's file."""

    host: str
    port: int
    is_alive: bool
    file: Path


@contextmanager
def registered(data_dir: Path, host: str, port: int) -> Iterator[None]:
    """List a gateway while it runs. Raises OSError when the folder can't be written."""
    with (data_dir / f"{PREFIX}{host}:{port}{ENDING}").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # a gateway that ends at this port, or `gateways`, has it for a moment
        file.truncate(0)
        with suppress(OSError):  # a full disk: it runs all the same, and is not listed when it dies
            os.write(file.fileno(), str(os.getpid()).encode())
        yield
        file.truncate(0)


def gateways(data_dir: Path) -> list[LocalGateway]:
    """List the gateways that run on this data folder, and those that died. Raises OSError."""
    listed = []
    for path in sorted(data_dir.glob(f"{PREFIX}*{ENDING}")):
        host, _, port = path.name.removeprefix(PREFIX).removesuffix(ENDING).rpartition(":")
        with path.open() as file:
            is_alive = _is_locked(file.fileno())
            if is_alive or file.read():
                listed.append(LocalGateway(host, int(port), is_alive, path))
    return listed


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
