"""Delivery to webhooks: a real receiver, and the deliverer of a worker."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from conf import Settings
from jobs.hooks import addresses, delivery
from jobs.hooks.deliverer import Deliverer
from jobs.hooks.delivery import Delivery
from jobs.upkeep.retention import Retention
from models.hooks import webhook
from models.hooks.webhook import WebhookView
from models.log import event
from models.notices.announcement import Announcement
from models.store import facts
from models.store.database import fetch_column, fetch_rows, rows
from models.sync.catchup import BEGINNING
from tests.jobs.hooks.receiver import Receiver
from tests.models.people import people, send
from tests.python import Python
from tests.stores import environment, named
from tests.waiting import until

KEY = "0123456789abcdef0123456789"
WORKER = """
import sys, time
from conf import load
from jobs.hooks.deliverer import Deliverer
from jobs.hooks import deliverer
from jobs.queue import scheduler
from models.store.database import connect
scheduler.LEASE_S, scheduler.RENEW_S = 1.0, 0.2
settings = load()
connect(settings)
Deliverer(settings).start()
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_RETRY_S", 0.02)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    allowed = {"webhook_allow": "127.0.0.0/8", "secret_key": KEY}
    return Settings(**{**named(settings), **allowed, "worker_metrics_port": 0, "log_format": "json"})  # type: ignore[arg-type]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.stop()


@pytest.fixture
def start(store: Settings) -> Iterator[Callable[[], Deliverer]]:
    """Start a deliverer, which ends with the test."""
    started: list[Deliverer] = []

    def begin() -> Deliverer:
        started.append(Deliverer(store))
        started[-1].start()
        return started[-1]

    yield begin
    for deliverer in started:
        deliverer.stop()
    for deliverer in started:
        deliverer.join(None)


def create(receiver: Receiver | str, *types: str, start: int | None = BEGINNING) -> int:
    """Create a webhook, whose secret the receiver knows."""
    url = receiver if isinstance(receiver, str) else receiver.url
    with event.transaction() as tx:
        view, secret = webhook.create(tx, KEY, 1, url, types, "", start)
    if isinstance(receiver, Receiver):
        receiver.secrets = [secret]
    return view.id


def append(count: int, streams: int = 5, kind: str = "message.created") -> None:
    """Append events to some streams in turn."""
    with event.transaction() as tx:
        for n in range(count):
            tx.append(f"conversation:{n % streams}", kind, b'{"n":%d,"text":"\xc3\xa9"}' % n)


def log(*types: str) -> list[dict[str, Any]]:
    """The log as the receiver should have it."""
    epoch, found = facts.epoch(), event.read_after(0, 100_000)
    return [{"id": f"{epoch}-{e.id}", "stream": e.stream, "type": e.type} for e in found if not types or e.type in types]


def taken(receiver: Receiver) -> list[dict[str, Any]]:
    """The receiver's table, by the order of the log."""
    events = [payload["data"] for payload in receiver.table.values()]
    return sorted(({key: e[key] for key in ("id", "stream", "type")} for e in events), key=lambda e: int(e["id"].partition("-")[2]))


def state_of(number: int) -> WebhookView:
    return webhook.find(number)


def change(verb: Callable[..., Any], *args: Any) -> Any:
    with event.transaction() as tx:
        return verb(tx, *args)


def in_order(receiver: Receiver) -> bool:
    """Whether the first delivery of each event came after those of the earlier ones of its stream."""
    by_stream: defaultdict[str, list[int]] = defaultdict(list)
    for e in receiver.received:
        number = int(e["id"].partition("-")[2])
        if number not in by_stream[e["stream"]]:
            by_stream[e["stream"]].append(number)
    return all(numbers == sorted(numbers) for numbers in by_stream.values())


def test_the_log_is_pushed_in_order_with_signatures_of_the_standard(store: Settings, receiver: Receiver, start: Any) -> None:
    append(30)
    number = create(receiver)
    start()
    until(lambda: len(receiver.table) == 30)
    append(30)
    with event.transaction() as tx:
        tx.append("posts", "post.created", b"{}")
    until(lambda: len(receiver.table) == 61)
    assert taken(receiver) == log()
    assert len(receiver.received) == 61
    assert in_order(receiver)
    first = next(iter(receiver.table.values()))
    assert first["type"] == first["data"]["type"]
    assert first["timestamp"] == first["data"]["at"]
    assert first["data"]["data"]["text"] == "é"
    assert receiver.headers[0]["content-type"] == "application/json"
    assert set(receiver.table) == {e["id"] for e in log()}
    assert receiver.connections <= 16
    until(lambda: state_of(number).position == log()[-1]["id"])
    assert (state_of(number).lag_s, state_of(number).last_status, state_of(number).failures) == (0, 200 + 4, 0)


def test_a_first_message_arrives_after_the_conversation(store: Settings, receiver: Receiver, start: Any) -> None:
    ana, ben = people("ana", "ben")
    create(receiver, "conversation.*", "message.*", "read.*", start=None)
    send(ana, "hello", to=ben)
    receiver.answer = lambda e: 500 if len(receiver.received) < 3 else 204
    start()
    until(lambda: len(receiver.table) == len(log("conversation.created", "message.created", "read.updated")))
    assert [e["id"] for e in receiver.received[2:]] == [e["id"] for e in taken(receiver)]
    assert [e["type"] for e in receiver.received[:3]] == ["conversation.created"] * 3


def test_a_failure_is_tried_again_and_delays_no_other_hook(store: Settings, receiver: Receiver, start: Any) -> None:
    hanging = Receiver()
    hanging.answer = lambda e: None
    receiver.answer = lambda e: 500 if len(receiver.received) in (3, 4) else 302 if len(receiver.received) == 5 else 200
    create(hanging)
    number = create(receiver, "message.*")
    append(20)
    append(5, kind="other.thing")
    start()
    until(lambda: len(receiver.table) == 20)
    hanging.stop()
    assert taken(receiver) == log("message.created")
    assert len(receiver.received) == 23
    assert in_order(receiver)
    until(lambda: state_of(number).failures == 0 and state_of(number).position == log()[-1]["id"])


async def _resolved(*addresses: str) -> list[str]:
    return list(addresses)


def test_one_that_is_gone_is_disabled_and_one_that_fails_for_days_is_paused(
    store: Settings, receiver: Receiver, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAUSE_AFTER_MS", 0)
    append(3, streams=1)
    statuses = {"conversation:0": 500}
    receiver.answer = lambda e: statuses.get(e["stream"], 204)
    number = create(receiver)
    refused = create("http://localhost/?token=secret")
    change(webhook.change, refused, {"description": "internal"})
    monkeypatch.setattr(addresses, "_addresses_of", lambda host, port: _resolved("10.0.0.1"))
    start()
    until(lambda: state_of(number).state == state_of(refused).state == "paused")
    assert state_of(number).last_error == "answered 500"
    assert "10.0.0.1 is not a public address" in str(state_of(refused).last_error)
    assert sorted(fetch_rows(Announcement.select(Announcement.role, Announcement.title))) == [
        ("admin", f"Webhook {number} is paused"),
        ("admin", f"Webhook {refused} is paused"),
    ]
    texts = fetch_column(Announcement.select(Announcement.body).order_by(Announcement.body))
    end = "has taken no event for three days. Nothing is lost while the log is kept."  # no secret, and no internal address
    assert texts == [f"Webhook {number}, to 127.0.0.1, {end}", f"Webhook {refused} (internal), to localhost, {end}"]
    change(webhook.delete, refused)
    statuses.clear()
    change(webhook.change, number, {"state": "active"})
    until(lambda: len(receiver.table) == 5)  # with the two announcements
    receiver.answer = lambda e: 410
    append(1)
    until(lambda: state_of(number).state == "disabled")
    assert (state_of(number).last_status, state_of(number).next_attempt_at) == (410, None)


def test_it_is_tested_rewound_and_its_secret_rotated(store: Settings, receiver: Receiver, start: Any) -> None:
    append(10)
    number = create(receiver, start=None)
    change(webhook.change, number, {"state": "paused"})
    change(webhook.request_test, number)
    start()
    until(lambda: receiver.received)
    (test,) = receiver.received
    assert (test["id"], test["type"], test["data"]) == (None, "webhook.test", {"webhook": number})
    until(lambda: state_of(number).last_status == 204)
    receiver.table.clear()
    secret = change(webhook.rotate, KEY, number)
    receiver.secrets.append(secret)  # the receiver checks both
    change(webhook.change, number, {"state": "active"})
    change(webhook.rewind, number, 5)
    until(lambda: len(receiver.table) == 5)
    assert taken(receiver) == log()[5:]
    change(webhook.rewind_to_time, number, 0)
    until(lambda: len(receiver.table) == 10)
    stored = str(rows("SELECT * FROM webhooks"))
    assert not any(secret.removeprefix("whsec_") in stored for secret in receiver.secrets)
    (hook,) = webhook.all_hooks()
    assert hook.secrets(KEY, hook.rotated_ms or 0) == receiver.secrets[::-1]
    assert hook.secrets(KEY, (hook.rotated_ms or 0) + webhook.ROTATION_MS) == [secret]


def test_what_an_admin_changes_is_valid_from_the_next_event_on(store: Settings, receiver: Receiver, start: Any) -> None:
    number = create(receiver, start=None)
    start()
    append(1)
    until(lambda: len(receiver.table) == 1)
    receiver.secrets = [change(webhook.rotate, KEY, number)]
    append(1)
    until(lambda: len(receiver.table) == 2)
    assert receiver.unverified == 0
    change(webhook.change, number, {"types": ["other.*"]})
    append(1)
    append(1, kind="other.thing")
    until(lambda: len(receiver.table) == 3)
    assert [e["type"] for e in receiver.received] == ["message.created", "message.created", "other.thing"]


def test_the_result_of_a_test_stays_until_an_event_is_delivered(store: Settings, receiver: Receiver, start: Any) -> None:
    receiver.answer = lambda e: 503 if e["type"] == "webhook.test" else 204
    number = create(receiver, "message.*")
    append(1)
    start()
    until(lambda: state_of(number).last_status == 204)
    change(webhook.request_test, number)
    until(lambda: state_of(number).last_status == 503)
    append(1, kind="other.thing")
    until(lambda: state_of(number).position == log()[-1]["id"])
    assert (state_of(number).last_status, state_of(number).last_error) == (503, "answered 503")
    append(1)
    until(lambda: state_of(number).last_status == 204)
    assert state_of(number).last_error is None


def test_one_that_fails_is_tried_at_once_when_it_is_resumed(
    store: Settings, receiver: Receiver, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "FIRST_RETRY_S", 3600.0)
    receiver.answer = lambda e: 500
    number = create(receiver)
    append(1)
    start()
    until(lambda: state_of(number).failures == 1)
    receiver.answer = lambda e: 204
    change(webhook.change, number, {"state": "active"})
    until(lambda: len(receiver.table) == 1)
    until(lambda: state_of(number).position == log()[-1]["id"])
    assert state_of(number).failures == 0


def test_of_two_workers_one_delivers_and_the_other_follows(store: Settings, receiver: Receiver, start: Any) -> None:
    number = create(receiver)
    first, second = start(), start()
    append(40)
    until(lambda: len(receiver.table) == 40 and state_of(number).position == log()[-1]["id"])
    assert len(receiver.received) == 40
    for deliverer in (first, second):
        deliverer.stop()
        deliverer.join(None)
    start()
    append(10)
    until(lambda: len(receiver.table) == 50)
    assert len(receiver.received) == 50  # places were saved


def test_a_task_that_fails_begins_anew_and_concerns_no_other(
    store: Settings, receiver: Receiver, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, broken = Delivery.run, create("http://127.0.0.1:1/")
    failed: list[int] = []

    async def run(self: Delivery) -> None:
        if self.hook.id == broken:
            failed.append(broken)
            raise ValueError("a defect")
        await real(self)

    monkeypatch.setattr(Delivery, "run", run)
    create(receiver)
    start()
    until(lambda: len(failed) >= 2)
    append(5)
    until(lambda: len(receiver.table) == 5)
    assert len(receiver.received) == 5


def test_kills_lose_no_event(store: Settings, receiver: Receiver) -> None:
    create(receiver)
    env = {**os.environ, **environment({**named(store), "webhook_allow": "127.0.0.0/8", "secret_key": KEY})}
    for n in range(1, 5):
        append(30)
        worker = Python(["-c", WORKER], env=env, stdin=-1)
        until(lambda n=n: len(receiver.table) >= 30 * n - (0 if n == 4 else 7 * n))  # type: ignore[misc]
        worker.kill()
        worker.wait()
    assert taken(receiver) == log()
    assert in_order(receiver)


def test_the_log_is_kept_for_active_hooks_for_some_days(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from models.store.clock import now_ms

    day = 24 * 3600 * 1000
    append(10)
    number = create("https://example.org/", start=4)
    retention = Retention(store, ())
    monkeypatch.setattr(retention, "_processed_by_all", lambda: 10)

    def kept_after(days: int) -> int:
        kinds = retention._kinds(now_ms() + days * day)
        for name in ("events", "late_events"):
            change(kinds[name])
        return facts.trimmed()

    assert kept_after(13) == 0
    assert kept_after(15) == 4
    assert kept_after(20) == 4
    assert kept_after(22) == 10
    assert change(webhook.change, number, {"state": "paused"}) is None


@pytest.mark.parametrize(("failures", "least", "most"), [(1, 5, 6.7), (2, 10, 13.4), (20, 2700, 3600), (5000, 2700, 3600)])
def test_pauses_grow_with_jitter_up_to_an_hour(monkeypatch: pytest.MonkeyPatch, failures: int, least: float, most: float) -> None:
    monkeypatch.setattr(delivery, "FIRST_RETRY_S", 5.0)
    assert all(least <= delivery.retry_delay_s(failures) <= most for _ in range(100))
