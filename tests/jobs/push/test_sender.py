"""Sending pushes to a push service, and what each of its answers does."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from conf import Settings
from jobs import tasks
from jobs.push import sender as sender_module
from jobs.push import service
from jobs.push.sender import PushSender
from models.accounts import status
from models.chat import message, presence, read_marks
from models.chat.drafts import Draft
from models.community import like, post
from models.log import event
from models.notices import announcement, preference, push_key, push_outbox
from models.notices.preference import Choice
from models.notices.push_outbox import DuePush
from models.store.database import execute, rows
from tests.jobs.killing import killed_at
from tests.jobs.people import group, people, send
from tests.models.people import subscribe
from tests.npm import installed
from tests.push_service import Browser, PushServer, base64url, claims_of
from tests.python import Python
from tests.stores import environment, named
from tests.waiting import until

KEY = "0123456789abcdef0123456789"
SENDER = """
import sys
from conf import load
from jobs.push import sender
from models.store.database import connect
settings = load()
connect(settings)
sender.PushSender(settings).start()
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(sender_module, "POLL_INTERVAL_S", 0.02)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    allowed = {"webhook_allow": "127.0.0.0/8", "secret_key": KEY, "email_from": "Bellwire <ops@example.org>"}
    return Settings(**{**named(settings), **allowed, "worker_metrics_port": 0, "log_format": "json"})  # type: ignore[arg-type]


@pytest.fixture
def server() -> Iterator[PushServer]:
    made = PushServer()
    yield made
    made.stop()


@pytest.fixture
def start(store: Settings) -> Iterator[Callable[..., PushSender]]:
    """Start a sender, which ends with the test."""
    started: list[PushSender] = []

    def begin(**changes: Any) -> PushSender:
        started.append(PushSender(store.model_copy(update=changes)))
        started[-1].start()
        return started[-1]

    yield begin
    for sender in started:
        sender.stop()
    for sender in started:
        sender.join(30)
        assert not sender.is_alive()


def browser_of(user: int, server: PushServer, name: str = "1") -> Browser:
    browser = server.browser(name)
    subscribe(user, browser.endpoint, browser.keys["p256dh"], browser.keys["auth"])
    return browser


def notify() -> None:
    """Run the drains, without a sender."""
    tasks.run_pending()


def states() -> list[str]:
    return sorted(state for (state,) in rows("SELECT state FROM pushes"))


def write(sql: str, *params: object) -> None:
    """Run a statement, while a sender may be writing."""
    with event.transaction():
        execute(sql, params)


def make_due() -> None:
    write("UPDATE pushes SET next_ms=0 WHERE state='queued'")


def test_a_message_is_pushed_encrypted_and_identified_and_recalled_when_it_is_read(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    ana, ben = people("ana", "ben")
    browser = browser_of(ben, server)
    (number,) = send(ana, to=ben)
    ((conversation,),) = rows("SELECT id FROM conversations")
    notify()
    start()
    (push,) = until(lambda: server.received)
    url = f"/#/conversations/{conversation}"
    assert browser.read(push.body) == {"title": "Ana", "body": "words 0", "url": url, "tag": f"conversation-{conversation}"}
    claims = claims_of(push, server.origin, push_key.public())
    assert claims["sub"] == "mailto:ops@example.org"
    expected = {"content-encoding": "aes128gcm", "urgency": "normal", "ttl": str(service.TTL_S)}
    assert expected.items() <= push.headers.items()
    topic = push.headers["topic"]
    assert len(topic) <= 32
    assert topic.replace("-", "").replace("_", "").isalnum()
    until(lambda: states() == ["sent"])

    with event.transaction() as tx:
        read_marks.mark_read(tx, ben, conversation, number)
    until(lambda: len(server.received) == 2)
    assert server.of(browser)[1] == {"tag": f"conversation-{conversation}", "recall": True}
    assert server.received[1].headers["topic"] == topic
    until(lambda: states() == ["sent"])
    assert rows("SELECT sent_ms FROM pushes") == [(None,)]


def test_what_is_read_or_deleted_before_it_is_sent_is_not_sent(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    browser = browser_of(ben, server)
    (first,) = send(ana, to=ben)
    (last,) = send(eve, to=ben)
    notify()
    ((conversation,),) = rows("SELECT conversation_id FROM messages WHERE id=?", (first,))
    with event.transaction() as tx:
        read_marks.mark_read(tx, ben, conversation, first)
        message.delete(tx, eve, "user", last)
        execute("UPDATE notifications SET read_ms=NULL")  # as if it was recalled too late
    start()
    until(lambda: "queued" not in states())
    send(ana, to=ben)
    notify()
    until(lambda: server.received)
    assert [push["title"] for push in server.of(browser)] == ["Ana"]


@pytest.mark.parametrize(
    ("answer", "state", "subscriptions"),
    [(200, "sent", 1), (202, "sent", 1), (404, None, 0), (410, None, 0), (400, "dead", 1), (403, "dead", 1), (302, "dead", 1)],
)
def test_what_an_answer_does(
    store: Settings, server: PushServer, start: Callable[..., PushSender], answer: int, state: str | None, subscriptions: int
) -> None:
    server.answer = lambda push: answer
    ana, ben = people("ana", "ben")
    browser_of(ben, server)
    send(ana, to=ben)
    notify()
    start()
    until(lambda: states() == ([] if state is None else [state]))
    assert rows("SELECT count(*) FROM push_subscriptions") == [(subscriptions,)]
    assert len(server.received) == 1


def test_a_subscription_that_is_refused_again_and_again_ends(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    server.answer = lambda push: 401
    ana, ben = people("ana", "ben")
    browser_of(ben, server)
    start()
    for n in range(sender_module.MAX_REFUSED):
        send(ana, to=ben)
        notify()
        until(lambda n=n: len(server.received) > n)  # type: ignore[misc]
        until(lambda: states() in (["dead"], []))
    until(lambda: rows("SELECT count(*) FROM push_subscriptions") == [(0,)])


def test_a_body_that_is_too_large_is_left_out_once(store: Settings, server: PushServer, start: Callable[..., PushSender]) -> None:
    ana, ben = people("ana", "ben")
    browser = browser_of(ben, server)
    server.answer = lambda push: 413 if "body" in browser.read(push.body) else 201
    send(ana, to=ben)
    notify()
    start()
    until(lambda: states() == ["sent"])
    assert ["body" in push for push in server.of(browser)] == [True, False]


@pytest.mark.parametrize("answer", [429, 503])
def test_a_service_that_is_busy_is_tried_again_and_then_given_up(
    store: Settings, server: PushServer, start: Callable[..., PushSender], answer: int
) -> None:
    server.answer = lambda push: (answer, {"Retry-After": "600"})
    ana, ben = people("ana", "ben")
    browser_of(ben, server)
    send(ana, to=ben)
    notify()
    start()
    (next_ms, tried_from_ms) = until(lambda: rows("SELECT next_ms, tried_from_ms FROM pushes WHERE error IS NOT NULL"))[0]
    assert next_ms >= tried_from_ms + 600_000
    server.answer = lambda push: 201
    make_due()
    until(lambda: states() == ["sent"])

    server.answer = lambda push: answer
    send(ana, to=ben)
    notify()
    write("UPDATE pushes SET tried_from_ms=1, next_ms=0")
    until(lambda: states() == ["dead"])
    assert rows("SELECT count(*) FROM push_subscriptions") == [(1,)]


def test_a_service_that_never_answers_delays_no_other(
    store: Settings, server: PushServer, start: Callable[..., PushSender], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "STOP_S", 0.01)
    silent = PushServer()
    silent.answer = lambda push: None
    ana, ben, eve = people("ana", "ben", "eve")
    for n in range(service.MAX_TO_SERVICE + 4):
        browser_of(ben, silent, str(n))
    browser = browser_of(eve, server)
    send(ana, to=ben)
    notify()
    start()
    until(lambda: len(silent.received) == service.MAX_TO_SERVICE)
    send(ana, to=eve)
    notify()
    until(lambda: server.of(browser))
    assert len(silent.received) == service.MAX_TO_SERVICE
    silent.stop()


def test_an_address_of_a_private_network_is_not_called(
    settings: Settings, store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    ana, ben = people("ana", "ben")
    browser_of(ben, server)
    send(ana, to=ben)
    notify()
    start(webhook_allow=[])
    until(lambda: states() == ["dead"])
    assert "BELLWIRE_WEBHOOK_ALLOW" in str(rows("SELECT error FROM pushes"))
    assert not server.received


def test_without_content_a_push_has_neither_text_nor_names(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    ana, ben = people("ana", "ben")
    execute("UPDATE profiles SET locale='de-AT' WHERE user_id=?", (ben,))
    browser = browser_of(ben, server)
    send(ana, to=ben)
    notify()
    start(push_content=False, base_url="https://chat.example.org")
    (push,) = until(lambda: server.of(browser))
    assert push["title"] == "Neue Nachricht"
    assert "body" not in push
    assert push["url"].startswith("https://chat.example.org/#/conversations/")
    assert claims_of(server.received[0], server.origin, push_key.public())["sub"] == "https://chat.example.org"


def test_several_messages_that_wait_are_one_push_with_the_newest_text(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    browser = browser_of(ben, server)
    crew = group(ana, [ben, eve])
    send(ana, 3, at=crew)
    notify()
    (last,) = send(eve, at=crew, priority="urgent")
    notify()
    start()
    until(lambda: states() == ["sent"])
    assert [(push["title"], push["body"]) for push in server.of(browser)] == [("Crew", "Eve: words 0")]
    assert server.received[0].headers["urgency"] == "high"

    with event.transaction() as tx:
        message.delete(tx, eve, "user", last)
    notify()
    until(lambda: len(server.received) == 2)  # the text is gone from the browser, too
    assert server.of(browser)[1]["body"] == "Ana: words 2"
    send(ana, at=crew)
    notify()
    until(lambda: len(server.received) == 3)
    assert server.of(browser)[2]["body"] == "Ana: words 0"
    assert len({push.headers["topic"] for push in server.received}) == 1


def test_a_person_who_is_looking_or_has_push_off_gets_none(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    browser_of(ben, server, "ben")
    browser_of(eve, server, "eve")
    send(ana, to=ben)
    send(ana, to=eve)
    notify()
    assert states() == ["queued"] * 2
    execute("INSERT INTO leases (gateway, until_ms) SELECT 'g', max(next_ms)+20000 FROM pushes")
    execute("INSERT INTO online (user_id, gateway) VALUES (?, 'g')", (ben,))
    with event.transaction() as tx:
        preference.set_choices(tx, eve, {"message": Choice(in_app=True, email="off", push=False)})
    start()
    until(lambda: states() == ["dropped"] * 2)
    assert not server.received
    send(ana, to=eve)
    notify()
    assert states() == ["dropped"] * 2


def test_who_has_not_seen_an_urgent_message_gets_a_push_of_it_though_a_page_is_open(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    ana, ben = people("ana", "ben")
    browser = browser_of(ben, server)
    with event.transaction() as tx:
        presence.record_changes(tx, "g", [ben], [])
    send(ana, to=ben, priority="urgent")
    notify()
    assert states() == []
    execute("UPDATE unseen_messages SET due_ms=0")
    notify()
    assert states() == ["queued"]
    start()
    until(lambda: len(server.received) == 1)
    assert server.of(browser)[0]["urgent"] is True


def test_quiet_hours_hold_a_push_and_what_is_urgent_pierces_them(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    ana, ben = people("ana", "ben")
    browser = browser_of(ben, server)
    send(ana, to=ben)
    notify()
    days = '["mon","tue","wed","thu","fri","sat","sun"]'
    execute("UPDATE profiles SET quiet=? WHERE user_id=?", (f'{{"days":{days},"from":"00:00","to":"23:59"}}', ben))
    start()
    ((now_ms,),) = rows("SELECT tried_from_ms FROM pushes")
    until(lambda: rows("SELECT state FROM pushes WHERE next_ms>?", (now_ms + 60_000,)) == [("queued",)])
    assert not server.received
    send(ana, to=ben, priority="urgent")
    notify()
    until(lambda: states() == ["sent"])
    assert server.of(browser)[-1]["urgent"] is True


def test_a_notification_that_is_only_pushed_is_read_after_it(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    ana, ben = people("ana", "ben")
    browser = browser_of(ben, server)
    with event.transaction() as tx:
        preference.set_choices(tx, ben, {"community": Choice(in_app=False, email="off", push=True)})
        like.like(tx, ana, post.create(tx, ben, None, "words").id)
    notify()
    start()
    until(lambda: server.of(browser))
    until(lambda: rows("SELECT count(*) FROM notifications WHERE read_ms IS NULL") == [(0,)])


def test_a_sender_that_is_killed_before_its_mark_sends_again_with_the_same_topic(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    ana, ben = people("ana", "ben")
    browser = browser_of(ben, server)
    send(ana, to=ben)
    notify()
    env = {**os.environ, **environment(named(store)), "BELLWIRE_WEBHOOK_ALLOW": "127.0.0.0/8"}
    process = Python(["-c", SENDER], env=env, stdin=subprocess.PIPE)
    server.answer = lambda push: process.send_signal(signal.SIGKILL)  # after the service has it, before it has answered
    until(lambda: server.received)
    process.wait()
    server.answer = lambda push: 201
    assert states() == ["queued"]
    make_due()  # the lease has run out
    start()
    until(lambda: states() == ["sent"])
    assert len(server.of(browser)) == 2
    assert len({push.headers["topic"] for push in server.received}) == 1


def test_pushes_are_counted_by_outcome_and_those_that_wait(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    def count() -> float:
        return REGISTRY.get_sample_value("bellwire_pushes_total", {"outcome": "sent"}) or 0.0

    ana, ben = people("ana", "ben")
    browser_of(ben, server)
    before = count()
    send(ana, to=ben)
    notify()
    ((next_ms,),) = rows("SELECT next_ms FROM pushes")
    assert push_outbox.count_due(next_ms) == push_outbox.count_queued()[0] == 1
    start()
    until(lambda: states() == ["sent"])
    assert count() == before + 1


def test_announcements_and_changes_of_an_account_are_pushed_to_who_chose_that(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    root, ben, eve = people("root", "ben", "eve")
    browser, other = browser_of(ben, server, "ben"), browser_of(eve, server, "eve")
    with event.transaction() as tx:
        preference.set_choices(tx, ben, {type_: Choice(False, "off", push=True) for type_ in ("system", "account")})
        content = announcement.AnnouncementContent(root, "user", None, "system", "Down on Sunday", "At\nnoon.", b"{}")
        announcement.create(tx, content)
        status.change_password(tx, ben, "hash", kept_token=rows("SELECT id FROM tokens WHERE user_id=?", (ben,))[0][0])
    notify()
    start()
    until(lambda: states() == ["sent"] * 2)
    pushed = {push["title"]: push.get("body") for push in server.of(browser)}
    assert pushed["Down on Sunday"] == "At noon."
    assert len(pushed) == 2
    assert server.of(other) == []


def test_a_text_that_is_long_or_odd_fits_into_a_push(store: Settings, server: PushServer, start: Callable[..., PushSender]) -> None:
    ana, ben = people("ana", "ben")
    execute("UPDATE users SET display_name=?", ("\U0001f469‍\U0001f680" * 20,))
    browser = browser_of(ben, server)
    with event.transaction() as tx:
        message.post(tx, [Draft(ana, 0, "\U0001f389\x00\n\t" * 2_000, to=ben)])
    notify()
    start()
    (push,) = until(lambda: server.of(browser))
    assert push["body"] == " ".join(["\U0001f389"] * 100)[:199].rstrip() + "…"
    assert len(server.received[0].body) <= 4_096


JS = """
const ece = require("http_ece");
const crypto = require("node:crypto");
const { key, auth, body } = JSON.parse(require("node:fs").readFileSync(0));
const mine = crypto.createECDH("prime256v1");
mine.setPrivateKey(Buffer.from(key, "base64url"));
const read = ece.decrypt(Buffer.from(body, "base64"), { version: "aes128gcm", privateKey: mine, authSecret: auth });
process.stdout.write(read);
"""


def test_another_implementation_decrypts_a_push(tmp_path: Path) -> None:
    folder = installed("http_ece@1.2.1")
    browser = Browser("https://push.example.org/1")
    push = DuePush(1, 1, 1, browser.endpoint, "", *browser.keys.values(), "", 1, False, False, 1, 0, 0, 0, None, None)  # type: ignore[arg-type]
    body = service.encrypted(push, b'{"title":"Ana"}')
    scalar = browser.key.private_numbers().private_value.to_bytes(32, "big")
    values = {"key": base64url(scalar), "auth": browser.keys["auth"], "body": base64.b64encode(body).decode()}
    env = {**os.environ, "NODE_PATH": str(folder / "node_modules")}
    done = subprocess.run(["node", "-e", JS], input=json.dumps(values), env=env, capture_output=True, text=True, check=False)
    assert done.stdout == '{"title":"Ana"}', done.stderr


@pytest.mark.parametrize(("commit", "when"), [(commit, when) for commit in (1, 2) for when in ("before", "after")])
def test_a_sender_that_is_killed_at_a_commit_loses_no_push(
    store: Settings, server: PushServer, start: Callable[..., PushSender], commit: int, when: str
) -> None:
    ana, ben = people("ana", "ben")
    browser = browser_of(ben, server)
    send(ana, to=ben)
    notify()
    work = (
        "import asyncio, time; from jobs.push.sender import PushSender; "
        "sender = PushSender(settings.model_copy(update={'webhook_allow': __import__('conf').parsing.networks('127.0.0.0/8')})); "
        "sender.start(); time.sleep(60)"
    )
    killed_at(store, work, commit, when)
    make_due()  # the lease has run out
    start()
    until(lambda: states() == ["sent"])
    until(lambda: server.received)
    assert {push["body"] for push in server.of(browser)} == {"words 0"}
    assert len({push.headers["topic"] for push in server.received}) == 1


def test_what_is_read_during_an_attempt_is_recalled_after_it(
    store: Settings, server: PushServer, start: Callable[..., PushSender]
) -> None:
    ana, ben = people("ana", "ben")
    browser = browser_of(ben, server)
    may_answer = threading.Event()
    server.answer = lambda push: 201 if may_answer.wait(30) else 500
    (number,) = send(ana, to=ben)
    notify()
    start()
    until(lambda: server.received)
    ((conversation,),) = rows("SELECT id FROM conversations")
    with event.transaction() as tx:
        read_marks.mark_read(tx, ben, conversation, number)
    may_answer.set()
    until(lambda: len(server.received) == 2)
    assert server.of(browser)[1]["recall"] is True
    until(lambda: states() == ["sent"])
