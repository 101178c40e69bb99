"""A mail server in a process of its own, which takes as long over each mail as it is told to, and notes what it took.

Run as `python -m bench.relay PORT DELAY_S FILE`; each line of the file is a mail: when it was taken, to whom it went, its bytes.
"""

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from bench.processes import free_port, launch, stop
from bench.server import ROOT, all_of, wait_for

LOOK_S = 0.2  # between two looks at the file: each costs the loads a bit of a core


class Taken(NamedTuple):
    """A mail that the relay answered 250 to, at a time.monotonic()."""

    at: float
    receiver: str
    size: int


class Relay:
    """A running relay."""

    def __init__(self, port: int, file: Path) -> None:
        """Name its port and the file that it writes."""
        self.port, self._file = port, file

    @property
    def settings(self) -> dict[str, str]:
        """The environment that has Bellwire send by it."""
        return {"BELLWIRE_EMAIL_URL": f"smtp://127.0.0.1:{self.port}", "BELLWIRE_EMAIL_FROM": "Bellwire <bellwire@example.org>"}

    def taken(self) -> list[Taken]:
        """Return the mails that it took, in order."""
        lines = [line.split() for line in self._file.read_text().splitlines()]
        return [Taken(float(at), receiver, int(size)) for at, receiver, size in lines]

    async def wait(self, count: int, limit_s: float) -> list[Taken]:
        """Return all mails when there are so many, or what there is after the limit."""
        for _ in range(int(limit_s / LOOK_S)):
            if len(self.taken()) >= count:
                break
            await asyncio.sleep(LOOK_S)
        return self.taken()


@contextmanager
def relay(delay_s: float) -> Iterator[Relay]:
    """Run a relay that takes `delay_s` over each mail."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bellwire-bench-relay-") as path, tempfile.TemporaryFile() as tx:
        file = Path(path) / "taken"
        process = launch([sys.executable, "-m", "bench.relay", str(port), str(delay_s), str(file)], ROOT, tx)
        try:
            wait_for(file.exists, [process], lambda: all_of(tx))  # it is made when the relay listens
            yield Relay(port, file)
        finally:
            stop(process)


class _Handler:
    """Takes everything, after a while."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self.file: TextIO | None = None

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        assert self.file is not None
        assert envelope.content is not None
        self.file.write(f"{time.monotonic()} {envelope.rcpt_tos[0]} {len(envelope.content)}\n")
        return "250 OK"


def serve(port: int, delay_s: float, file: str) -> None:
    """Take mail until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # before there are threads, which inherit it
    handler = _Handler(delay_s)
    controller = Controller(handler, "127.0.0.1", port, server_hostname="relay.example.org")
    controller.start()
    with open(file, "w", buffering=1) as handler.file:
        signal.sigwait({signal.SIGTERM})
        controller.stop()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
