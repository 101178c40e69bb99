"""Gateways, workers and an import are killed at random moments under load: the host's notifications, its webhook and its import.

JOURNEY_ROUNDS=40 runs for minutes.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest

from models.store.database import rows
from tests.jobs.hooks.receiver import Receiver
from tests.journeys.clients import PAUSE_S, Caller, Sender
from tests.journeys.cluster import Cluster, drained, rounds, seed
from tests.journeys.host import (
    GROUPED,
    SINGLE,
    TYPES,
    WORKER,
    Audience,
    Importer,
    Notifier,
    by_conversation,
    receivers,
    whole_log,
)
from tests.models.people import group
from tests.waiting import until, until_async

pytestmark = pytest.mark.timeout(3_600)

FAULTS = ("gateway", "worker", "worker", "import")
GATEWAYS = WORKERS = 2
TOPIC = "doc-7"
LONGEST_IMPORT_S = 0.4  # of the command, about


class PacedSender(Sender):
    """Waits after each message."""

    async def send(self) -> None:
        await super().send()
        await asyncio.sleep(PAUSE_S * 3 * self._chance.random())


class Host:
    """The host's programs on a cluster, and the faults that happen to it."""

    def __init__(self, cluster: Cluster, receiver: Receiver, folder: Path, chance: random.Random) -> None:
        self.cluster, self.receiver, self.chance = cluster, receiver, chance
        (self.admin,) = cluster.people("root", role="admin")
        users = cluster.people(*(f"user{n}" for n in range(15)))
        crew, self.fans = users[:6], users[3:12]
        conversation = group(*crew)
        audiences = [
            Audience({"to": users}, frozenset(users)),
            Audience({"role": "user"}, frozenset(users)),
            Audience({"topic": TOPIC}, frozenset(self.fans)),
            Audience({"conversation": conversation}, frozenset(crew)),
        ]
        targets: list[dict[str, int]] = [{"conversation": conversation}, {"to": users[9]}]
        self.senders = [PacedSender(cluster, user, targets, chance) for user in users[:2]]
        self.notifiers = [Notifier(cluster, self.admin, audiences, chance) for _ in range(2)]
        self.importer = Importer(cluster, self.admin, users[:3], folder, chance)
        self.happened = Counter[str]()
        self._workers: list[subprocess.Popen[bytes]] = []

    async def start(self) -> None:
        """Start the processes, and let the host say what it needs."""
        for _ in range(GATEWAYS):
            self.cluster.start_gateway()
        self._workers = [self._start_worker() for _ in range(WORKERS)]
        host = Caller(self.cluster, self.admin, self.chance)
        for name, words in TYPES.items():
            assert (await host.call("PUT", f"/admin/notification-types/{name}", words)).status == 200
        for user in self.fans:
            assert (await host.call("PUT", f"/admin/topics/{TOPIC}/members/{user}")).status == 204
        made = await host.call("POST", "/admin/webhooks", {"url": self.receiver.url, "from": "begin"})
        self.receiver.secrets = [made.body["secret"]]
        host.close()

    def _start_worker(self) -> subprocess.Popen[bytes]:
        return self.cluster.run("-c", WORKER, port=0)

    async def run(self, kills: int) -> None:
        """Let everything happen at once, with so many kills of each kind of process."""
        stopped = False
        faults = [fault for fault in FAULTS for _ in range(kills)]
        self.chance.shuffle(faults)
        async with asyncio.TaskGroup() as tasks:
            for task in self._tasks(lambda: stopped):
                tasks.create_task(task)
            for fault in faults:
                await self._progress()
                await self._strike(fault)
            await self._progress()
            stopped = True

    def _tasks(self, is_over: Callable[[], bool]) -> Iterator[Coroutine[None, None, None]]:
        yield from (sender.send_until(is_over) for sender in self.senders)
        yield from (notifier.notify_until(is_over) for notifier in self.notifiers)
        yield self.importer.call_until(is_over)
        yield self.importer.run_until(is_over)

    async def _progress(self) -> None:
        """Wait until a random one of the programs has done something more."""
        counts: list[Callable[[], int]] = [
            lambda: sum(len(sender.sent) for sender in self.senders),
            lambda: len(self.notifiers[0].requested) * 10,
            lambda: len(self.receiver.received) // 2,
        ]
        count = self.chance.choice(counts)
        target = count() + self.chance.randint(10, 60)
        await until_async(lambda: count() >= target)

    async def _strike(self, fault: str) -> None:
        self.happened[fault] += 1
        if fault == "gateway":
            port = self.chance.choice(self.cluster.ports)
            self.cluster.kill_gateway(port)
            await asyncio.to_thread(self.cluster.start_gateway, port)
        elif fault == "worker":
            number = self.chance.randrange(WORKERS)
            self._workers[number].kill()
            self._workers[number].wait()
            self._workers[number] = self._start_worker()
        else:
            await until_async(lambda: self.importer.runs)
            await asyncio.sleep(self.chance.random() * LONGEST_IMPORT_S)
            self.importer.kill()


@pytest.fixture
def host(cluster: Cluster, tmp_path: Path) -> Iterator[Host]:
    chance, receiver = random.Random(seed()), Receiver()
    failures = random.Random(chance.random())
    receiver.answer = lambda _event: 500 if failures.random() < 0.01 else 204
    cluster.others = {"webhook_allow": "127.0.0.0/8"}
    yield Host(cluster, receiver, tmp_path, chance)
    receiver.stop()


def check_sends(host: Host) -> None:
    """Check that each answered message is stored once, and no other but those of the import."""
    answered = [message for sender in host.senders for message in sender.sent.values()]
    found = rows("SELECT id, body FROM messages WHERE body LIKE 'text of %'")
    assert sorted(found) == sorted(answered)


def check_notices(host: Host) -> None:
    """Check that each call is one event, and that each of its receivers is notified of it once."""
    mine, theirs = (notifier.requested for notifier in host.notifiers)
    assert all(mine[key] == theirs[key] for key in mine.keys() & theirs.keys())
    requested = (mine | theirs).values()
    assert rows("SELECT count(*) FROM host_notices") == [(len(requested),)]
    expected = {kind: Counter((user, number_of(event)) for user, event in receivers(requested, kind)) for kind in TYPES}
    assert set(expected[SINGLE].values()) | set(expected[GROUPED].values()) == {1}
    causes = Counter(
        (user, int(cause[5:])) for user, cause in rows("SELECT user_id, cause FROM notification_causes WHERE cause LIKE 'host:%'")
    )
    assert causes == expected[SINGLE] + expected[GROUPED]
    shown = Counter(rows("SELECT user_id, count FROM notifications WHERE type=?", (SINGLE,)))
    assert shown == Counter((user, 1) for user, _ in expected[SINGLE])
    counts = Counter(user for user, _ in expected[GROUPED])
    assert dict(rows("SELECT user_id, count FROM notifications WHERE type=?", (GROUPED,))) == counts


def number_of(cursor: str) -> int:
    """The event id in a cursor."""
    return int(cursor.rpartition("-")[2])


def check_import(host: Host) -> None:
    """Check that each line made one message, in its place in its conversation."""
    found: dict[int, list[str]] = {}
    for conversation, body in rows("SELECT conversation_id, body FROM messages WHERE body LIKE 'old words %' ORDER BY id"):
        found.setdefault(conversation, []).append(body)
    assert sorted(found.values()) == sorted(host.importer.bodies.values())
    assert rows("SELECT count(*) FROM conversations WHERE title LIKE 'call-%' OR title LIKE 'file-%'") == [(len(found),)]


async def check_webhook(host: Host) -> None:
    """Check that the receiver's table is the log: the same events in the same order, for each conversation."""
    caller = Caller(host.cluster, host.admin, host.chance)
    log = await whole_log(caller)
    caller.close()
    table = host.receiver.table
    expected, received_before = {event["id"] for event in log}, len(table)
    while missing := expected - table.keys():
        print(f"{len(missing)} events are not pushed yet, the first is {min(missing, key=number_of)}")
        enough = received_before + min(len(missing), 500)
        await until_async(lambda enough=enough: len(table) >= enough)
        received_before = len(table)
    last = number_of(log[-1]["id"])
    received = [payload["data"] for cursor, payload in table.items() if number_of(cursor) <= last]
    assert len(received) == len(log)
    assert by_conversation(received) == by_conversation(log)


def wait_until_idle() -> None:
    """Wait until all notifications are delivered and the log is read, as long as something is being done."""

    def is_idle() -> bool:
        return not rows("SELECT 1 FROM host_notices WHERE ended_ms IS NULL") and drained()

    def progress() -> object:
        return rows("SELECT max(id) FROM events") + rows("SELECT sum(done), count(ended_ms) FROM host_notices")

    while not is_idle():
        print("not idle yet:", before := progress())
        until(lambda before=before: is_idle() or progress() != before)


def test_the_host_has_all_once_while_gateways_workers_and_import_are_killed(host: Host) -> None:
    async def scenario() -> None:
        await host.start()
        await host.run(rounds(1))

    asyncio.run(scenario())
    wait_until_idle()
    check_sends(host)
    check_notices(host)
    check_import(host)
    asyncio.run(check_webhook(host))
    assert rows("SELECT count(*) FROM dead_work") == [(0,)]
    repeated = len(host.receiver.received) - len(host.receiver.table)
    print(f"{dict(host.happened)}, {host.importer.killed} imports interrupted, {len(host.notifiers[0].requested)} calls,")
    print(f"{len(host.importer.bodies)} conversations imported, {len(host.receiver.table)} events pushed, {repeated} of them again")
