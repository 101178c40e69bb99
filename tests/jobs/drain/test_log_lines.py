"""Log lines of background work: one for each piece of work, with ids and without text that people wrote."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import structlog

from conf import Settings
from conf.logging import configure
from jobs import tasks
from jobs.consumers.activity import ActivityConsumer
from jobs.consumers.announcements import AnnouncementConsumer
from jobs.drain.drain import drain
from jobs.mail.mailer import Mailer
from jobs.upkeep.retention import ENDED_DAYS
from models.log import event
from models.log.event import FANOUTS, Event, Transaction
from models.notices import announcement, outbox
from models.notices.announcement import AnnouncementContent
from models.notices.outbox import NewMail
from models.ops import dead_letters
from models.records import activity
from models.store.clock import now_ms
from models.store.database import execute
from tests.jobs.people import people, scalar, send
from tests.smtp_server import SmtpServer

pytestmark = pytest.mark.only("sqlite")  # nothing depends on the store

Lines = Callable[[], list[dict[str, Any]]]
PRIVATE = ("look for", "@example.org", "123456")


@pytest.fixture
def log_lines(store: Settings, capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Returns the log lines since its last call."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure(store, "worker")
    structlog.configure(cache_logger_on_first_use=False)  # a cached one would stay with the code under test for all later tests

    def lines() -> list[dict[str, Any]]:
        written = [
            line for line in capsys.readouterr().err.splitlines() if '"logger":"mail.log"' not in line
        ]  # of the test's mail server
        assert not [text for text in PRIVATE if text in str(written)]
        return [json.loads(line) for line in written]

    lines()
    yield lines
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def picked(line: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: line.get(name) for name in names}


def test_a_drain_logs_one_line_and_an_idle_one_none(store: Settings, log_lines: Lines) -> None:
    ana, ben = people("ana", "ben")
    drain(ActivityConsumer({}))
    log_lines()
    send(ana, 5, to=ben)
    first, last = scalar("SELECT min(event) FROM messages"), scalar("SELECT max(event) FROM messages")
    drain(ActivityConsumer({}), events_per_slice=2)
    (line,) = log_lines()
    assert line["seconds"] > 0
    del line["timestamp"], line["seconds"]
    assert line == {
        "event": "drain_run",
        "level": "info",
        "component": "worker",
        "consumer": "activity",
        "events": 5,
        "first_event": first,
        "last_event": last,
        "rows": 5,
        "mails": 0,
    }
    drain(ActivityConsumer({}))
    assert log_lines() == []


def test_a_check_and_a_sweep_without_work_log_nothing(store: Settings, log_lines: Lines) -> None:
    people("ana")
    tasks.run_pending()
    tasks.sweep.call_local()
    log_lines()
    tasks.run_pending()
    tasks.sweep.call_local()
    assert log_lines() == []


def test_an_event_that_fails_is_logged_with_its_id_each_time(store: Settings, log_lines: Lines) -> None:
    class Poisoned(ActivityConsumer):
        def prepare(self, events: Sequence[Event]) -> object:
            raise ValueError("can't be done")

    ana, ben = people("ana", "ben")
    drain(ActivityConsumer({}))
    send(ana, 1, to=ben)
    drain(Poisoned({}))
    number = scalar("SELECT max(event) FROM messages")
    names = ("event", "consumer", "event_id", "type", "dead")
    ids = {"consumer": "activity", "event_id": number, "type": "message.created"}
    parked, _ = log_lines()
    assert picked(parked, *names) == {"event": "event_parked", "dead": None, **ids}
    [dead] = [letter["id"] for letter in dead_letters.newest(10)]
    with event.transaction() as tx:
        dead_letters.request_retry(tx, dead)
    drain(Poisoned({}))
    (again,) = log_lines()
    assert picked(again, *names) == {"event": "parked_event_failed", "dead": dead, **ids}
    assert "can't be done" in again["exception"]


def announce() -> int:
    what = AnnouncementContent(1, "user", None, "system", "A title to look for", "A body to look for.", b"{}")
    with event.transaction() as tx:
        return announcement.create(tx, what)


def test_an_announcement_that_is_done_is_logged_with_its_job(store: Settings, log_lines: Lines) -> None:
    people("ana", "ben")
    drain(AnnouncementConsumer())
    log_lines()
    job = announce()
    drain(AnnouncementConsumer())
    done, run = log_lines()
    assert picked(done, "event", "job", "people") == {"event": "announcement_done", "job": job, "people": 2}
    assert picked(run, "consumer", "events") == {"consumer": "fanout", "events": 1}


def test_an_announcement_that_fails_is_logged_with_its_job(store: Settings, log_lines: Lines) -> None:
    class Poisoned(AnnouncementConsumer):
        def write(self, tx: Transaction, part: object) -> object:
            raise ValueError("can't be done")

    people("ana")
    drain(AnnouncementConsumer())
    log_lines()
    job = announce()
    drain(Poisoned())
    assert picked(log_lines()[0], "event", "job") == {"event": "event_parked", "job": job}


def test_an_announcement_without_its_number_is_parked_as_other_events_are(store: Settings, log_lines: Lines) -> None:
    with event.transaction() as tx:
        tx.append(FANOUTS, announcement.REQUESTED, b"{}")
    drain(AnnouncementConsumer())
    assert picked(log_lines()[0], "event", "type", "job") == {"event": "event_parked", "type": announcement.REQUESTED, "job": None}


def send_mail(store: Settings, relay: SmtpServer, kind: str, receiver: int | None, data: dict[str, Any]) -> int:
    """Queues a mail and tries to send what is due; returns its id."""
    with event.transaction() as tx:
        outbox.queue(tx, [NewMail(kind, receiver, "bob@example.org", "Bob", data)])
    mailer = Mailer(store.model_copy(update={"email_url": relay.url}))
    mailer.send_due()
    mailer.close()
    return int(str(scalar("SELECT max(id) FROM emails")))


NOTE = {"title": "A title to look for", "body": "A body to look for.", "notifications": [4, 5]}


def test_a_mail_is_logged_with_ids_and_without_its_text(store: Settings, log_lines: Lines, relay: SmtpServer) -> None:
    number = send_mail(store, relay, "account", 7, NOTE)
    (line,) = log_lines()
    names = ("event", "level", "mail", "kind", "user", "notifications", "tries")
    assert picked(line, *names) == {
        "event": "mail_sent",
        "level": "info",
        "mail": number,
        "kind": "account",
        "user": 7,
        "notifications": [4, 5],
        "tries": 1,
    }
    code = send_mail(store, relay, "signup_code", None, {"code": "123456", "username": "bob"})
    (line,) = log_lines()
    assert picked(line, *names[2:]) == {"mail": code, "kind": "signup_code", "user": None, "notifications": None, "tries": 1}


def test_a_deferred_or_dead_mail_is_logged_without_the_address_in_the_relays_answer(
    store: Settings, log_lines: Lines, relay: SmtpServer
) -> None:
    relay.answers["RCPT"].append("450 4.2.0 <bob@example.org>: greylisted")
    number = send_mail(store, relay, "account", 7, NOTE)
    (line,) = log_lines()
    assert picked(line, "event", "level", "mail", "user") == {
        "event": "mail_deferred",
        "level": "info",
        "mail": number,
        "user": 7,
    }
    assert "450 4.2.0 <***>: greylisted" in line["error"]
    relay.answers["RCPT"].append("550 5.1.1 <bob@example.org>: unknown")
    number = send_mail(store, relay, "account", 7, NOTE)
    (line,) = log_lines()
    assert picked(line, "event", "level", "mail", "user") == {
        "event": "mail_dead",
        "level": "error",
        "mail": number,
        "user": 7,
    }
    assert "550 5.1.1 <***>: unknown" in line["error"]


def test_a_relay_that_is_down_is_logged_with_the_mail_that_failed(store: Settings, log_lines: Lines, relay: SmtpServer) -> None:
    relay.answers["MAIL"].append("421 4.3.2 closing, bob@example.org")
    relay.answers["MAIL"].append("421 4.3.2 closing, bob@example.org")
    number = send_mail(store, relay, "account", 7, NOTE)
    down, put_off = log_lines()
    assert picked(down, "level", "mail", "user") == {"level": "warning", "mail": number, "user": 7}
    assert down["event"] == "mail_relay_failing"
    assert picked(put_off, "event", "mail") == {"event": "mail_deferred", "mail": number}


def test_a_sweep_logs_how_much_it_has_deleted_and_archived(store: Settings, log_lines: Lines) -> None:
    announce()
    drain(AnnouncementConsumer())
    execute("UPDATE fanouts SET ended_ms=ended_ms-?", (ENDED_DAYS * 24 * 3_600_000 + 1,))
    activity.record([(None, "shop.bought", "", "{}", None, None, at) for at in (1, now_ms())])
    log_lines()
    tasks.sweep.call_local()
    cleared, archived = log_lines()
    assert cleared["rows"]["announcements"] == 1
    assert picked(archived, "event", "moved") == {"event": "archive_run", "moved": 1}
