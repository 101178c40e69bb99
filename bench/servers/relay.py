"""A mail relay that waits before it accepts each mail, as `python -m bench.servers.relay PORT DELAY_S`."""

import asyncio
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from bench.servers.bellwire import ROOT, wait_for
from bench.servers.processes import free_port, launch, listens, stop


@contextmanager
def relay(delay_s: float) -> Iterator[dict[str, str]]:
    """Run a relay that needs `delay_s` for each mail; yield the settings with which Bellwire sends by it."""
    port = free_port()
    with tempfile.TemporaryFile() as output:
        process = launch([sys.executable, "-m", "bench.servers.relay", str(port), str(delay_s)], ROOT, output)
        try:
            wait_for(lambda: listens(port), [process], output)
            yield {"BELLWIRE_EMAIL_URL": f"smtp://127.0.0.1:{port}", "BELLWIRE_EMAIL_FROM": "Bellwire <bellwire@example.org>"}
        finally:
            stop(process)


class _Handler:
    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s

    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:
        await asyncio.sleep(self._delay_s)
        return "250 OK"


def serve(port: int, delay_s: float) -> None:
    """Accept mail until SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # before there are threads, which inherit the mask
    controller = Controller(_Handler(delay_s), "127.0.0.1", port, server_hostname="relay.example.org")
    controller.start()
    signal.sigwait({signal.SIGTERM})
    controller.stop()


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
