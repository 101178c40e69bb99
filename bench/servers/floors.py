"""The floors: plain Tornado without a store, the comparison of most ratios.

`POST /echo` decodes a JSON object of about 200 bytes and answers with as many. `POST /send` and `GET /poll` are a long-poll
hub that keeps its waiters in a dictionary: no store, no accounts, no limits, no metrics. `POST /upload` writes the
bytes that it receives to a file as they come; with `?fsync=1` it answers when they are on disk.
It runs as a process of its own: `python -m bench.servers.floors PORT`.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import tornado.web
import uvloop

from bench.servers.bellwire import ROOT, wait_for
from bench.servers.processes import free_port, launch, listens, raise_open_files, stop

MESSAGES_PER_USER = 100  # a reader further behind loses some, and the benchmark counts them as lost


class Handler(tornado.web.RequestHandler):
    """Answer with JSON."""

    def answer(self, body: object) -> None:
        """Finish with `body` as JSON."""
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(body))


class Echo(Handler):
    """Decode, encode, answer."""

    def post(self) -> None:
        """Answer with the request's fields."""
        sent = json.loads(self.request.body)
        self.answer({"ok": True, "to": sent["to"], "body": sent["body"], "client_id": sent["client_id"]})


class Hub:
    """Messages and waiting polls by user, in memory."""

    def __init__(self) -> None:
        self.last = 0
        self.messages: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
        self.waiters: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def append(self, user: str, message: dict[str, object]) -> int:
        """Store a message, wake its reader, return its number."""
        self.last += 1
        kept = self.messages[user]
        kept.append({**message, "number": self.last})
        del kept[:-MESSAGES_PER_USER]
        for waiter in self.waiters.pop(user, ()):
            if not waiter.done():
                waiter.set_result(None)
        return self.last

    def after(self, user: str, cursor: int) -> list[dict[str, object]]:
        """Return the user's messages after `cursor`, a number."""
        return [message for message in self.messages.get(user, ()) if int(str(message["number"])) > cursor]


class Send(Handler):
    """Store a message in the hub."""

    def initialize(self, hub: Hub) -> None:
        """Keep the hub."""
        self.hub = hub

    def post(self) -> None:
        """Answer with the message's number."""
        sent = json.loads(self.request.body)
        self.answer({"number": self.hub.append(str(sent["to"]), sent), "body": sent["body"]})


class Poll(Handler):
    """Wait for a message."""

    def initialize(self, hub: Hub) -> None:
        """Keep the hub."""
        self.hub = hub
        self.waiter: asyncio.Future[None] | None = None

    async def get(self) -> None:
        """Answer with the messages after `cursor`: at once, when one comes, or empty after `timeout` seconds."""
        user, cursor = self.get_query_argument("user"), int(self.get_query_argument("cursor"))
        found = self.hub.after(user, cursor)
        if not found:
            loop = asyncio.get_running_loop()
            self.waiter = loop.create_future()
            self.hub.waiters[user].add(self.waiter)
            timer = loop.call_later(float(self.get_query_argument("timeout")), self.on_connection_close)
            await self.waiter
            timer.cancel()
            found = self.hub.after(user, cursor)
        self.answer({"messages": found, "cursor": found[-1]["number"] if found else cursor})

    def on_connection_close(self) -> None:
        """End the wait."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


@tornado.web.stream_request_body
class Upload(tornado.web.RequestHandler):
    """Write a file, and remove it."""

    def prepare(self) -> None:
        """Create the file."""
        self.file = tempfile.TemporaryFile()  # noqa: SIM115

    def data_received(self, chunk: bytes) -> None:
        """Write the next bytes."""
        self.file.write(chunk)

    def post(self) -> None:
        """Answer 201."""
        self.file.flush()
        if self.get_query_argument("fsync", ""):
            os.fsync(self.file.fileno())
        self.file.close()
        self.set_status(201)
        self.finish(b"{}")


def _no_log(handler: tornado.web.RequestHandler) -> None:
    """Write no access log."""


async def serve(port: int) -> None:
    """Serve on the loopback until the process is stopped."""
    hub = {"hub": Hub()}
    routes: list[Any] = [("/echo", Echo), ("/send", Send, hub), ("/poll", Poll, hub), ("/upload", Upload)]
    application = tornado.web.Application(routes, log_function=_no_log)
    application.listen(port, "127.0.0.1", backlog=4096)  # the default of 128 refuses half of 10,000 polls
    await asyncio.Event().wait()


class Floor(NamedTuple):
    """A running floor."""

    port: int
    process: subprocess.Popen[bytes]


@contextmanager
def floor() -> Iterator[Floor]:
    """Run the floors' server."""
    port = free_port()
    with tempfile.TemporaryFile() as output:
        process = launch(
            [sys.executable, "-m", "bench.servers.floors", str(port)], ROOT, output, {**os.environ, "TMPDIR": tempfile.gettempdir()}
        )
        try:
            wait_for(lambda: listens(port), [process], output)
            yield Floor(port, process)
        finally:
            stop(process)


if __name__ == "__main__":
    raise_open_files()
    uvloop.run(serve(int(sys.argv[1])))
