"""The mailer, with a real relay: what is due is sent once, codes first, and nothing is lost whatever the relay does."""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
import time_machine
from prometheus_client import REGISTRY

from conf import Settings
from jobs import tasks
from jobs.mail import mailer as mailer_module
from jobs.mail.mailer import MAIL_BACKOFF, Mailer
from models.accounts import registration
from models.log import event
from models.notices import outbox, preference
from models.notices.outbox import CODE_PRIORITY, NewMail
from models.ops import dead_letters
from models.store.clock import now_ms
from models.store.database import disconnect, engine, execute, rows
from tests.jobs.people import people, scalar
from tests.python import Python, run_python
from tests.smtp_server import SmtpServer
from tests.stores import environment, named
from tests.waiting import LIMIT_S, until

ROOT = Path(__file__).parents[3]
NOTE = {"title": "Something changed", "body": "Have a look."}
Make = Callable[[], Mailer]


@pytest.fixture
def make(store: Settings, relay: SmtpServer) -> Iterator[Make]:
    """Makes mailers on the store, whose threads are not started."""
    made: list[Mailer] = []

    def one() -> Mailer:
        made.append(Mailer(store.model_copy(update={"email_url": relay.url})))
        return made[-1]

    yield one
    for mailer in made:
        mailer.close()


@pytest.fixture
def mailer(make: Make) -> Mailer:
    return make()


def queue(*names: str, kind: str = "account", receiver: int | None = None) -> None:
    with event.transaction() as tx:
        outbox.queue(tx, [NewMail(kind, receiver, f"{name}@example.org", name, NOTE) for name in names])


def queue_code(name: str, good_for_ms: int = 600_000) -> None:
    told = {"code": "123456", "username": name}
    with event.transaction() as tx:
        letter = NewMail("signup_code", None, f"{name}@example.org", name, told, tx.now_ms + good_for_ms, CODE_PRIORITY)
        outbox.queue(tx, [letter])


def make_due() -> None:
    """The time has come for all that waits: for another try, or for a lease to run out."""
    execute("UPDATE emails SET next_ms=0 WHERE state='queued'")


def receivers(relay: SmtpServer) -> list[str]:
    return [one.receivers[0].partition("@")[0] for one in relay.mails]


def states() -> dict[str, str]:
    return {address.partition("@")[0]: state for address, state in rows("SELECT address, state FROM emails")}


def test_codes_go_before_all_other_mail_over_one_connection(mailer: Mailer, relay: SmtpServer) -> None:
    queue("ana", "ben")
    queue_code("cleo")
    before = relay.connections
    assert mailer.send_due() == 3
    assert receivers(relay) == ["cleo", "ana", "ben"]
    assert relay.connections == before + 1
    assert set(states().values()) == {"sent"}


def test_what_a_mail_said_leaves_the_outbox_with_it(mailer: Mailer, relay: SmtpServer) -> None:
    queue_code("ana")
    mailer.send_due()
    assert "123456" in relay.mails[0].parsed.get_body().get_content()  # type: ignore[union-attr]
    assert rows("SELECT data FROM emails") == [("{}",)]


def test_a_mail_can_be_unsubscribed_from_and_a_code_cannot(mailer: Mailer, relay: SmtpServer) -> None:
    (ana,) = people("ana")
    queue("ana", receiver=ana)
    queue_code("ben")
    mailer.send_due()
    code, note = (one.parsed for one in relay.mails)
    assert note["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "/api/v1/unsubscribe?t=" in note["List-Unsubscribe"]
    assert code["List-Unsubscribe"] is None


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("answer", ["451 4.3.0 Try again later", "421 4.3.2 Shutting down"])
def test_a_mail_that_is_put_off_goes_later_and_the_others_go_on(
    mailer: Mailer, make: Make, relay: SmtpServer, stage: str, answer: str
) -> None:
    queue("ana", "ben")
    relay.answers[stage].append(answer)
    mailer.send_due()
    waits = rows("SELECT attempts, error FROM emails WHERE state='queued' AND error IS NOT NULL")
    assert [(attempts, error[:3]) for attempts, error in waits] == [(1, answer[:3])]
    make_due()
    make().send_due()
    assert sorted(receivers(relay)) == ["ana", "ben"]


def test_a_mail_that_the_line_was_cut_on_goes_again_with_its_message_id(mailer: Mailer, make: Make, relay: SmtpServer) -> None:
    queue("ana")
    relay.messages_to_cut = 1
    mailer.send_due()
    assert relay.mails == []
    (first,) = rows("SELECT message_id FROM emails")[0]
    make_due()
    make().send_due()
    assert [one.parsed["Message-ID"] for one in relay.mails] == [first]


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
def test_a_mail_refused_for_good_is_dead_until_an_admin_has_it_tried_again(mailer: Mailer, relay: SmtpServer, stage: str) -> None:
    queue("ana", "ben")
    relay.answers[stage].append("550 5.1.1 No such mailbox")
    mailer.send_due()
    assert states() == {"ana": "dead", "ben": "sent"}
    [dead] = dead_letters.newest(10)
    assert (dead["consumer"], dead["type"], dead["to"]) == ("mail", "account", "ana@example.org")
    assert "No such mailbox" in dead["error"]
    with event.transaction() as tx:
        assert dead_letters.request_retry(tx, dead["id"])
    mailer.send_due()
    assert states() == {"ana": "sent", "ben": "sent"}
    assert dead_letters.newest(10) == []


def test_a_code_that_has_expired_is_dropped_unsent(mailer: Mailer, relay: SmtpServer) -> None:
    queue_code("ana", good_for_ms=0)
    mailer.send_due()
    assert (relay.mails, states()) == ([], {"ana": "dropped"})
    assert rows("SELECT data FROM emails") == [("{}",)]


def test_a_code_is_not_tried_again_after_it_has_expired(mailer: Mailer, relay: SmtpServer) -> None:
    queue_code("ana")
    relay.answers["RCPT"].append("451 4.3.0 Try again later")
    mailer.send_due()
    execute("UPDATE emails SET next_ms=0, expires_ms=?", (now_ms(),))
    mailer.send_due()
    assert (relay.mails, states()) == ([], {"ana": "dropped"})


def test_many_mails_that_are_not_to_be_sent_any_more_are_dropped_in_several_transactions_before_the_next(
    mailer: Mailer, relay: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailer_module, "MAX_DROPS_PER_TRANSACTION", 2)
    for n in range(5):
        queue_code(f"late{n}", good_for_ms=0)
    queue("ana")
    assert mailer.send_due() == 1
    assert receivers(relay) == ["ana"]
    assert Counter(states().values()) == {"dropped": 5, "sent": 1}


def test_a_code_does_not_stay_in_a_dead_mail_after_it_has_expired(mailer: Mailer, relay: SmtpServer) -> None:
    queue_code("ana")
    relay.answers["RCPT"].append("550 5.1.1 No such mailbox")
    mailer.send_due()
    tasks.retention.run(lambda: False)
    assert "123456" in str(scalar("SELECT data FROM emails")), "an admin may have it tried again as long as it is good"
    execute("UPDATE emails SET expires_ms=?", (now_ms(),))
    tasks.retention.run(lambda: False)
    assert scalar("SELECT data FROM emails") == "{}"
    [dead] = dead_letters.newest(10)
    with event.transaction() as tx:
        dead_letters.request_retry(tx, dead["id"])
    mailer.send_due()
    assert (relay.mails, states()) == ([], {"ana": "dropped"})


def test_preferences_are_read_when_a_mail_is_sent(mailer: Mailer, relay: SmtpServer) -> None:
    ana, ben = people("ana", "ben")
    queue("ana", receiver=ana)
    queue("ben", receiver=ben)
    with event.transaction() as tx:
        preference.unsubscribe(tx, ana, ["account"])
    mailer.send_due()
    assert states() == {"ana": "dropped", "ben": "sent"}


def test_while_the_relay_is_down_mail_waits_and_then_all_of_it_goes(make: Make, store: Settings) -> None:
    server = SmtpServer().start()
    mailer = Mailer(store.model_copy(update={"email_url": server.url}))
    server.stop()
    queue(*(f"user{n}" for n in range(20)))
    assert mailer.send_due() == 1, "one finds that it is down, the others need not"
    assert mailer.send_due() == 0
    assert set(states().values()) == {"queued"}
    server.start()
    mailer.close()
    mailer = Mailer(store.model_copy(update={"email_url": server.url}))
    make_due()
    assert mailer.send_due() == 20
    assert Counter(receivers(server)) == Counter(f"user{n}" for n in range(20))
    mailer.close()
    server.stop()


def test_a_mail_that_is_put_off_for_a_day_is_given_up(mailer: Mailer, relay: SmtpServer, one_clock: None) -> None:
    queue("ana")
    with time_machine.travel(timedelta(hours=23), tick=False):
        relay.answers["RCPT"].append("451 4.3.0 Try again later")
        mailer.send_due()
    assert states() == {"ana": "queued"}
    with time_machine.travel(timedelta(hours=25), tick=False):
        relay.answers["RCPT"].append("451 4.3.0 Try again later")
        make_due()
        mailer.send_due()
    assert states() == {"ana": "dead"}
    assert "given up after a day" in dead_letters.newest(1)[0]["error"]


def test_each_wait_is_twice_as_long_give_or_take_a_quarter_and_an_hour_at_most() -> None:
    for attempts in range(1, 60):
        exact = min(2.0**attempts, 3600.0)
        assert all(0.75 * exact <= MAIL_BACKOFF.delay_s(attempts) <= 1.25 * exact for _ in range(20))


def test_a_mail_that_cannot_be_made_is_dead_and_the_others_go(mailer: Mailer, relay: SmtpServer) -> None:
    with event.transaction() as tx:
        outbox.queue(tx, [NewMail("no such kind", None, "ana@example.org", "ana", {})])
    queue("ben")
    mailer.send_due()
    assert states() == {"ana": "dead", "ben": "sent"}


def test_many_mailers_send_each_mail_once(make: Make, relay: SmtpServer) -> None:
    names = [f"user{n}" for n in range(60)]
    queue(*names)

    def run(mailer: Mailer) -> None:
        mailer.send_due()
        disconnect()

    threads = [Thread(target=run, args=(make(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(receivers(relay)) == Counter(names)


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("hours", [-1, 1])
def test_workers_whose_clocks_differ_by_an_hour_send_each_mail_once_and_at_once(
    mailer: Mailer, make: Make, relay: SmtpServer, hours: int
) -> None:
    other = make()
    with time_machine.travel(timedelta(hours=hours)):
        queue("ana")
    assert mailer.send_due() == 1, "it was queued on another host"
    queue("ben")
    relay.answers["RCPT"].append("451 4.3.0 Try again later")
    with time_machine.travel(timedelta(hours=hours)):
        assert other.send_due() == 1
    assert mailer.send_due() == 0, "the other host has put it off"
    with event.transaction(appends=False) as tx:
        make_due()
        assert (mail := outbox.next_due(tx.now_ms)) is not None
        assert outbox.acquire(tx, mail, "another holder", "example.org") is not None
    with time_machine.travel(timedelta(hours=hours)):
        assert other.send_due() == 0, "it is leased"
    assert receivers(relay) == ["ana"]


@pytest.mark.parametrize("state", ["new", "deferred", "leased"])
def test_mail_of_a_clock_that_was_an_hour_ahead_is_sent_at_once(
    mailer: Mailer, relay: SmtpServer, one_clock: None, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailer_module, "CORRECT_S", 0.0)
    with time_machine.travel(timedelta(hours=1), tick=False):
        queue("ana")
        if state == "deferred":
            relay.answers["RCPT"].append("451 4.3.0 Try again later")
            mailer.send_due()
        elif state == "leased":
            with event.transaction(appends=False) as tx:
                assert (mail := outbox.next_due(tx.now_ms)) is not None
                assert outbox.acquire(tx, mail, "a sender that dies", "example.org") is not None
    assert (mailer.send_due(), receivers(relay)) == (1, ["ana"])


@pytest.mark.parametrize("attempts", [1, 5, 10, 11, 60])
def test_a_mail_that_was_put_off_waits_for_its_whole_pause(store: Settings, attempts: int) -> None:
    queue("ana")
    longest_ms = int(1000 * max(1.25 * min(2.0**attempts, 3600.0), mailer_module.MAX_RELAY_RETRY_S))
    with event.transaction(appends=False) as tx:
        execute("UPDATE emails SET attempts=?, next_ms=?", (attempts, tx.now_ms + longest_ms))
    assert not outbox.has_future(tx.now_ms)
    assert outbox.has_future(tx.now_ms - 3_600_000)


def test_the_lease_of_a_mail_that_takes_its_time_is_renewed(
    mailer: Mailer, make: Make, relay: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailer_module, "RENEW_S", 0.0)
    queue("ana")
    relay.open.clear()
    sending = Thread(target=lambda: (mailer.send_due(), disconnect()))
    sending.start()
    until(lambda: mailer.sending)
    make_due()  # its lease has all but run out
    mailer.renew()
    other = make()
    assert other.send_due() == 0
    relay.open.set()
    sending.join()
    assert receivers(relay) == ["ana"]
    assert states() == {"ana": "sent"}


def test_several_mails_are_sent_at_once_each_once_and_a_code_passes_the_others(store: Settings, relay: SmtpServer) -> None:
    names = [f"user{n}" for n in range(20)]
    queue(*names)
    relay.open.clear()
    before = relay.connections
    mailer = Mailer(store.model_copy(update={"email_url": relay.url, "mail_connections": 3}))
    mailer.start()
    until(lambda: len(mailer.sending) == 3)
    queue_code("ana")
    following = outbox.next_due(engine().now_ms())
    assert following is not None
    assert following.address == "ana@example.org", "the first thread that has sent its mail takes the code"
    relay.open.set()
    mailer.wake()
    relay.wait(21)
    mailer.stop()
    mailer.join(LIMIT_S)
    assert not mailer.is_alive()
    assert Counter(receivers(relay)) == Counter([*names, "ana"])
    assert receivers(relay).index("ana") < 15, "before most of those that waited longer"
    assert relay.connections == before + 3
    assert set(states().values()) == {"sent"}


def test_threads_that_fail_at_once_make_the_wait_for_the_relay_longer_once(store: Settings) -> None:
    mailer = Mailer(store.model_copy(update={"email_url": "smtp://127.0.0.1:1"}))
    assert [mailer._relay_retry_s() for _ in range(4)][1:] == [mailer_module.FIRST_RELAY_RETRY_S] * 3
    assert mailer._relay_backoff.failures == 1


def test_outcomes_are_counted(mailer: Mailer, relay: SmtpServer) -> None:
    def count(outcome: str) -> float:
        return REGISTRY.get_sample_value("bellwire_emails_total", {"kind": "account", "outcome": outcome}) or 0.0

    before = {outcome: count(outcome) for outcome in ("sent", "deferred", "dead")}
    queue("ana", "ben", "cleo")
    relay.answers["RCPT"] += ["451 4.3.0 Later", "550 5.1.1 Never"]
    mailer.send_due()
    assert {outcome: count(outcome) - before[outcome] for outcome in before} == {"sent": 1, "deferred": 1, "dead": 1}


def test_what_was_sent_long_ago_is_cleared_away_and_what_waits_or_is_dead_stays(
    mailer: Mailer, relay: SmtpServer, one_clock: None
) -> None:
    queue("ana", "ben")
    relay.answers["RCPT"].append("550 5.1.1 No such mailbox")
    mailer.send_due()
    queue("cleo")
    with event.transaction() as tx:
        registration.queue_login_code(tx, "a secret", "nobody@example.org")
    tasks.retention.run(lambda: False)
    assert states() == {"ana": "dead", "ben": "sent", "cleo": "queued", "": "dropped"}
    with time_machine.travel(timedelta(days=31), tick=False):
        tasks.retention.run(lambda: False)
    assert states() == {"ana": "dead", "cleo": "queued"}


DIES = """
import os, signal
from conf import load
from models.store.database import connect
from jobs.mail.mailer import Mailer
from models.notices import outbox

outbox.mark_sent = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
connect(load())
Mailer(load()).send_due()
"""


def test_killed_between_the_relays_250_and_the_mark_a_mail_goes_again_with_its_message_id(
    mailer: Mailer, store: Settings, relay: SmtpServer
) -> None:
    queue("ana")
    env = {**os.environ, **environment(named(store)), "BELLWIRE_EMAIL_URL": relay.url}
    assert run_python(["-c", DIES], env=env).returncode == -signal.SIGKILL
    assert len(relay.mails) == 1
    assert mailer.send_due() == 0, "the dead one's lease has not run out"
    make_due()
    assert mailer.send_due() == 1
    first, again = relay.mails
    assert first.message == again.message, "its Message-ID and Date, too"
    assert states() == {"ana": "sent"}


def test_a_worker_sends_what_nobody_asked_it_to_and_what_a_killed_one_left(store: Settings, relay: SmtpServer) -> None:
    def start() -> subprocess.Popen[bytes]:
        env = {**os.environ, **environment(named(store)), "BELLWIRE_EMAIL_URL": relay.url, "BELLWIRE_WORKER_METRICS_PORT": "0"}
        return Python([ROOT / "run.py", "worker"], env=env, stderr=subprocess.DEVNULL)

    queue("ana")
    worker = start()
    relay.wait(1)
    relay.open.clear()
    queue("ben")
    until(lambda: rows("SELECT 1 FROM emails WHERE holder IS NOT NULL AND state='queued'"))
    worker.kill()
    worker.wait()
    relay.open.set()
    make_due()
    worker = start()
    until(lambda: states() == {"ana": "sent", "ben": "sent"})
    worker.terminate()
    assert worker.wait(LIMIT_S) == 0
    assert {one.receivers[0] for one in relay.mails} == {"ana@example.org", "ben@example.org"}
    assert scalar("SELECT count(*) FROM dead_work") == 0
