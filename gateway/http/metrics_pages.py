"""The metrics pages of several gateways on one port.

Each has its own page at the port that it has alone. The shared port is answered with the pages of all, told apart by the label
`gateway`: a page of whichever gateway accepts the connection would jump between their counters.
"""

from __future__ import annotations

import asyncio
import hmac
from contextlib import suppress

from metrics import exposition
from metrics.exposition import merge

ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared, not bound
TIMEOUT_S = 3.0  # of a page; Prometheus waits for 5 s
KEY = "Bellwire-Gateway-Key"


class MetricsPages:
    """The pages of a gateway and its siblings, whose ports are in the order of their numbers, which begin with 1."""

    def __init__(self, host: str, number: int, ports: list[int], key: str) -> None:
        self.ports = ports
        self.own_port = ports[number - 1]
        self._host = ANY_ADDRESS.get(host, host)
        self._number = number
        self._key = key

    def is_sibling(self, key: str) -> bool:
        """Whether a request is another gateway's of the same supervisor's."""
        return hmac.compare_digest(key.encode(), self._key.encode())

    async def all(self, accept: str) -> tuple[bytes, str]:
        """Return one page of all gateways that answer, and its content type."""
        own, content_type = exposition(accept)
        numbers = [number for number in range(1, len(self.ports) + 1) if number != self._number]
        read = await asyncio.gather(*(self._read(number, accept) for number in numbers))
        pages = {str(self._number): own} | {str(number): page for number, page in zip(numbers, read, strict=True) if page}
        return merge(dict(sorted(pages.items())), "gateway"), content_type

    async def _read(self, number: int, accept: str) -> bytes:
        """Return the page of a sibling, or nothing if it does not answer."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(TIMEOUT_S):
                reader, writer = await asyncio.open_connection(self._host, self.ports[number - 1])
                try:
                    head = f"GET /metrics HTTP/1.0\r\nHost: gateway\r\nAccept: {accept}\r\n{KEY}: {self._key}\r\n\r\n"
                    writer.write(head.encode("latin-1"))
                    status, _, rest = (await reader.read()).partition(b"\r\n")
                    return rest.partition(b"\r\n\r\n")[2] if b" 200 " in status else b""
                finally:
                    writer.close()
        return b""
