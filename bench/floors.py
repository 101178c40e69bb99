"""What plain Tornado does with nothing behind it: the floor that every ratio is measured against.

`POST /echo` decodes a JSON object of about 200 bytes and answers as many. `POST /send` and `GET /poll` are a long-poll
hub that keeps its waiters in a dictionary: no store, no accounts, no limits, no metrics.
Run as a process of its own: `python -m bench.floors PORT`.
"""

import asyncio
import json
import sys
from collections import defaultdict
from typing import Any

import tornado.web
import uvloop

from bench.client import raise_open_files

KEPT_A_USER = 100  # messages; a reader further behind loses some, and the benchmark would count them


class Handler(tornado.web.RequestHandler):
    """Answers JSON."""

    def answer(self, body: object) -> None:
        """Finish with `body` as JSON."""
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(body))


class Echo(Handler):
    """Decode, encode, answer."""

    def post(self) -> None:
        """Answer what was sent."""
        sent = json.loads(self.request.body)
        self.answer({"ok": True, "to": sent["to"], "body": sent["body"], "client_id": sent["client_id"]})


class Hub:
    """Messages and waiting polls by user, in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self.last = 0
        self.messages: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
        self.waiters: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def put(self, user: str, message: dict[str, object]) -> int:
        """Keep a message, wake its reader, return its number."""
        self.last += 1
        kept = self.messages[user]
        kept.append({**message, "number": self.last})
        del kept[:-KEPT_A_USER]
        for waiter in self.waiters.pop(user, ()):
            if not waiter.done():
                waiter.set_result(None)
        return self.last

    def after(self, user: str, cursor: int) -> list[dict[str, object]]:
        """Return what came after `cursor`, a number."""
        return [message for message in self.messages.get(user, ()) if int(str(message["number"])) > cursor]


class Send(Handler):
    """Hand a message to the hub."""

    def initialize(self, hub: Hub) -> None:
        """Take the hub."""
        self.hub = hub

    def post(self) -> None:
        """Answer the message's number."""
        sent = json.loads(self.request.body)
        self.answer({"number": self.hub.put(str(sent["to"]), sent), "body": sent["body"]})


class Poll(Handler):
    """Wait for a message."""

    def initialize(self, hub: Hub) -> None:
        """Take the hub."""
        self.hub = hub
        self.waiter: asyncio.Future[None] | None = None

    async def get(self) -> None:
        """Answer what came after `cursor`, at once or when it comes, or empty after `timeout` seconds."""
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


def _no_log(handler: tornado.web.RequestHandler) -> None:
    """Write no access log."""


async def serve(port: int) -> None:
    """Serve on the loopback until the process is stopped."""
    hub = {"hub": Hub()}
    routes: list[Any] = [("/echo", Echo), ("/send", Send, hub), ("/poll", Poll, hub)]
    application = tornado.web.Application(routes, log_function=_no_log)
    application.listen(port, "127.0.0.1", backlog=4096)  # the default of 128 refuses half of 10,000 polls
    await asyncio.Event().wait()


if __name__ == "__main__":
    raise_open_files()
    uvloop.run(serve(int(sys.argv[1])))
