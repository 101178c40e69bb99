"""A host for fault runs: it requests notifications, imports the history that it has, and reads the log by a webhook."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from tests.journeys.clients import PAUSE_S, Caller
from tests.journeys.cluster import ROOT, Cluster
from tests.waiting import until_async

WORKER = """
import sys
from commands.line import main
from jobs.consumers import host_notices
from jobs.hooks import delivery
from jobs.queue import scheduler
scheduler.LEASE_S, scheduler.RENEW_S = 1.0, 0.2  # soon after a kill another worker delivers to webhooks
delivery.FIRST_RETRY_S = 0.05
host_notices.RECEIVERS_PER_READ, host_notices.RECEIVERS_PER_TRANSACTION = 6, 4  # a kill falls between two
sys.exit(main(["worker"]))
"""
SINGLE, GROUPED = "order.shipped", "order.noted"
TYPES = {
    SINGLE: {"words": {"en": {"title": "Order {{ key }} left"}}},
    GROUPED: {"words": {"en": {"title": "Order {{ key }}", "title_more": "{{ n }} orders"}}, "group_by": []},
}
CONVERSATIONS_PER_FILE, MESSAGES_PER_CONVERSATION = 30, 3  # some ten transactions of the command


class Audience(NamedTuple):
    """The part of a call that says who is notified, and who that is."""

    field: dict[str, Any]
    users: frozenset[int]


class Notifier(Caller):
    """Requests notifications, some of them twice, and some for a little later. Two notifiers make the same calls at a time."""

    def __init__(self, cluster: Cluster, admin: int, audiences: Sequence[Audience], chance: random.Random) -> None:
        super().__init__(cluster, admin, chance)
        self.requested: dict[str, tuple[str, str, frozenset[int]]] = {}  # key -> (event, type, receivers)
        self._audiences = audiences

    async def notify_until(self, enough: Callable[[], bool]) -> None:
        """Request notifications until `enough()`."""
        while not enough():
            await self._notify(f"order {len(self.requested)}")
        self.close()

    async def _notify(self, key: str) -> None:
        chance = random.Random(key)  # the other notifier chooses the same
        kind, audience = chance.choice(list(TYPES)), chance.choice(self._audiences)
        body = {"type": kind, **audience.field, "values": {"key": key}, "dedupe": key}
        if chance.random() < 0.3:
            body["not_before"] = (datetime.now(UTC) + timedelta(milliseconds=300)).isoformat()
        answers = {await self._event(body) for _ in range(chance.choice((1, 1, 2)))}
        assert len(answers) == 1, "a repeated call was another event"
        self.requested[key] = (answers.pop(), kind, audience.users)
        await asyncio.sleep(PAUSE_S * self._chance.random() * 5)

    async def _event(self, body: dict[str, Any]) -> str:
        answer = await self.call("POST", "/admin/notify", body)
        assert answer.status == 202, answer
        return str(answer.body["event"])


class Importer(Caller):
    """Imports conversations over HTTP and by the command. A call or command that was interrupted is repeated."""

    def __init__(self, cluster: Cluster, admin: int, members: Sequence[int], folder: Path, chance: random.Random) -> None:
        super().__init__(cluster, admin, chance)
        self.bodies: dict[str, list[str]] = {}  # of the messages of each conversation, in order
        self.killed = 0
        self._members = members
        self._folder = folder
        self._command: subprocess.Popen[bytes] | None = None

    async def call_until(self, enough: Callable[[], bool]) -> None:
        """Import a conversation in each call, until `enough()`. Every other call is repeated."""
        number = 0
        while not enough():
            lines = self._lines([f"call-{number}"], 10)
            for _ in range(1 + number % 2):
                answer = await self.call("POST", "/admin/import", "\n".join(lines).encode())
                assert (answer.status, answer.body["refused"]) == (200, []), answer
            number += 1
            await asyncio.sleep(PAUSE_S * 15 * self._chance.random())
        self.close()

    async def run_until(self, enough: Callable[[], bool]) -> None:
        """Run the command on a file after the other, each to its end, until `enough()`."""
        number = 0
        while not enough():
            file = self._folder / f"history-{number}.jsonl"
            keys = [f"file-{number}-{n}" for n in range(CONVERSATIONS_PER_FILE)]
            file.write_text("\n".join(self._lines(keys, MESSAGES_PER_CONVERSATION)))
            while (ended := await self._run(file)) != 0:
                assert ended == -signal.SIGKILL, self._cluster.logged()
                self.killed += 1
            number += 1
            size = len(self.bodies)
            await until_async(lambda size=size: len(self.bodies) > size + 5 or enough())  # the calls import, too

    async def _run(self, file: Path) -> int:
        self._command = self._cluster.run(ROOT / "run.py", "import", file, "--source", "file", port=0)
        return await asyncio.to_thread(self._command.wait)

    @property
    def runs(self) -> bool:
        """Whether the command runs."""
        return self._command is not None and self._command.poll() is None

    def kill(self) -> None:
        """Kill the command, if it still runs."""
        if self._command is not None and self.runs:
            self._command.kill()

    def _lines(self, keys: Iterable[str], messages: int) -> list[str]:
        """Conversations with these keys, and then the messages of all of them in turn."""
        talks = {key: [f"old words {key} {n}" for n in range(messages)] for key in keys}
        self.bodies.update(talks)
        made: list[dict[str, Any]] = [
            {"conversation": {"key": key, "kind": "group", "title": key, "members": self._members}} for key in talks
        ]
        for n in range(messages):
            at = f"2024-05-01T10:00:{n:02d}Z"
            sender = self._members[n % len(self._members)]
            for key, bodies in talks.items():
                said = {"key": bodies[n], "conversation": key, "sender": sender, "body": bodies[n], "at": at}
                made.append({"message": said})
        return [json.dumps(line) for line in made]


async def whole_log(caller: Caller) -> list[dict[str, Any]]:
    """Read the whole log of a gateway."""
    events: list[dict[str, Any]] = []
    cursor, more = "begin", True
    while more:
        answer = await caller.call("GET", f"/admin/log?cursor={cursor}&limit=1000&timeout=0")
        assert answer.status == 200, answer
        events += answer.body["events"]
        cursor, more = answer.body["cursor"], answer.body["more"]
    return events


def by_conversation(events: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Events by the conversation that they are about, or else by their stream, in the order of each."""
    queues: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        about = event["data"].get("id" if event["type"].startswith("conversation.") else "conversation")
        queues[event["stream"] if about is None else f"conversation:{about}"].append(event)
    return queues


def receivers(requested: Iterable[tuple[str, str, frozenset[int]]], kind: str) -> Collection[tuple[int, str]]:
    """(user, event) of each notification that was requested of a type."""
    return [(user, event) for event, of_kind, users in requested if of_kind == kind for user in users]
