"""Where the issuer's keys come from: a JWKS address or a file, read at the start, regularly, and when a token names a key that is
not known.

An answer that is late, too large, a redirect or without a usable key changes nothing: the keys that are known go on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from pathlib import Path

from tornado.httpclient import HTTPRequest
from tornado.httputil import HTTPInputError
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from conf.settings import ROOT
from gateway.commit.threads import ThreadPool
from gateway.jwt.keys import Key, KeyFormError, from_file, from_jwks
from jobs.infra.outage import Outage

READ_EVERY_S = 600.0
READ_UNKNOWN_KEY_EVERY_S = 30.0  # when a token names a key that is not known, and after a failure
CONNECT_TIMEOUT_S, TIMEOUT_S = 5.0, 10.0
MAX_BYTES = 256 * 1024


class KeySource:
    """The keys that are known, and how they are read. All methods run on the loop's thread; what takes long is done on `pool`."""

    def __init__(self, place: str, algorithms: Collection[str], pool: ThreadPool) -> None:
        self.keys: tuple[Key, ...] = ()
        self._place = place
        self._algorithms = frozenset(algorithms)
        self._pool = pool
        self._reading: asyncio.Task[None] | None = None
        self._unknown_read_at = float("-inf")  # time.monotonic() of the newest read for a key that was not known
        self._outage = Outage("jwks", "the keys that are known go on; without any, the host's tokens are refused")

    def is_failing(self) -> bool:
        """Return whether the newest attempt to read the keys failed."""
        return self._outage.ongoing

    async def run(self) -> None:
        """Read the keys now and then, until cancelled. No error ends this."""
        while True:
            await self.read()
            await asyncio.sleep(READ_UNKNOWN_KEY_EVERY_S if self.is_failing() else READ_EVERY_S)

    async def read_others(self, tried: tuple[Key, ...]) -> bool:
        """Read the keys because none of `tried` fits, at most every READ_UNKNOWN_KEY_EVERY_S. Return whether there are others."""
        if self._reading is not None:
            await self.read()
        now = time.monotonic()
        if self.keys == tried and now - self._unknown_read_at >= READ_UNKNOWN_KEY_EVERY_S:
            self._unknown_read_at = now
            await self.read()
        return self.keys != tried

    async def read(self) -> None:
        """Read the keys, together with all who wait for the same. Failures are logged."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def _read(self) -> None:
        try:
            keys = await self.fetch()
        except Exception as error:  # of any kind: the next attempt may succeed
            self._outage.record_failure(error, known_keys=len(self.keys))
        else:
            if keys != self.keys:
                self.keys = keys
            self._outage.record_success()
        finally:
            self._reading = None

    async def fetch(self) -> tuple[Key, ...]:
        """Return the keys that are there now. Raises an error of any kind: the address or file is not this process's."""
        found = await (self._from_url() if "://" in self._place else self._pool(_read_file, ROOT / self._place))
        keys = tuple(key for key in found if key.algorithms & self._algorithms)
        if not keys:
            raise KeyFormError("has no key for the algorithms of BELLWIRE_JWT_ALGORITHMS")
        return keys

    async def _from_url(self) -> list[Key]:
        """Read the JWKS at the address. A redirect is an error, as any status but 200."""
        received = bytearray()

        def receive(chunk: bytes) -> None:
            received.extend(chunk)
            if len(received) > MAX_BYTES:
                raise HTTPInputError("the answer is too large")  # the connection ends

        request = HTTPRequest(
            self._place,
            headers={"Accept": "application/jwk-set+json, application/json"},
            connect_timeout=CONNECT_TIMEOUT_S,
            request_timeout=TIMEOUT_S,
            follow_redirects=False,
            decompress_response=False,
            streaming_callback=receive,
        )
        client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=MAX_BYTES)
        try:
            async with asyncio.timeout(TIMEOUT_S + CONNECT_TIMEOUT_S):
                answer = await client.fetch(request)
        finally:
            client.close()
        if answer.code != 200:
            raise KeyFormError(f"the answer is {answer.code}")
        return await self._pool(from_jwks, bytes(received))


def _read_file(path: Path) -> list[Key]:
    """Return the keys of a file. Raises OSError or KeyFormError."""
    with path.expanduser().open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise KeyFormError("is too large")
    return from_file(data)
