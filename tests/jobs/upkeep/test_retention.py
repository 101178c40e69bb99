"""Rows whose time is over are deleted, and no others."""

from datetime import timedelta

import msgspec
import pytest
import time_machine

from conf import Settings
from jobs import tasks
from jobs.drain.drain import drain
from jobs.upkeep.retention import ENDED_DAYS, READ_DAYS, UNUSED_DAYS, Retention
from models.chat import blocks, message
from models.community import like, post
from models.identity import token
from models.log import checkpoint, event
from models.notices import announcement, notification, outbox
from models.notices.announcement import AnnouncementContent
from models.notices.outbox import NewMail
from models.ops import dead_letters
from models.store import facts
from models.store.clock import now_ms
from models.store.database import execute, rows
from models.sync import catchup
from tests.jobs.drain.test_drain import Poisoned, poisoned_event
from tests.jobs.people import people, scalar, send
from tests.models.people import index_messages

pytestmark = pytest.mark.usefixtures("one_clock")

KEPT_DAYS = 14


def later(days: int) -> None:
    """Run the retention so many days from now."""
    with time_machine.travel(timedelta(days=days), tick=True):
        tasks.retention.run(lambda: False)


def done() -> int:
    """All consumers process the whole log; returns its head."""
    tasks.run_pending()
    for consumer in tasks.consumers.values():
        drain(consumer)
    positions = {part: event.head() for consumer in tasks.consumers.values() for part in consumer.parts()}
    for part, position in positions.items():
        execute("UPDATE checkpoints SET position=? WHERE consumer=? AND part=?", (position, part.consumer, part.number))
    return event.head()


def edit(user: int, sent: int) -> None:
    with event.transaction() as tx:
        message.edit(tx, user, sent, "other words")


def test_old_events_are_deleted_with_rows_that_point_at_them_and_younger_ones_stay(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    edit(ana, send(ana, 250, to=ben)[0])
    head = done()
    later(KEPT_DAYS - 1)
    assert (scalar("SELECT count(*) FROM message_copies"), mark()) == (1, 0)
    with time_machine.travel(timedelta(days=KEPT_DAYS - 1)):
        [young] = send(ana, to=ben)
    later(KEPT_DAYS + 1)
    assert (mark(), scalar("SELECT min(id) FROM events")) == (head, head + 1)
    assert scalar("SELECT count(*) FROM message_copies") == 0
    assert catchup.read(ben, head - 1, None, 10).expired
    for position in (head, catchup.BEGINNING):
        assert [msgspec.json.decode(e.data)["id"] for e in catchup.read(ben, position, None, 10).events] == [young]


def mark() -> int:
    return facts.trimmed()


@pytest.mark.parametrize("name", ["search", "activity"])
def test_an_event_that_a_part_has_not_processed_stays(store: Settings, name: str) -> None:
    ana, ben = people("ana", "ben")
    head = done()
    send(ana, 3, to=ben)
    done()
    part = tasks.consumers[name].parts()[-1]
    execute("UPDATE checkpoints SET position=? WHERE consumer=? AND part=?", (head, name, part.number))
    later(KEPT_DAYS + 1)
    assert mark() == head
    execute("DELETE FROM checkpoints WHERE consumer=? AND part=?", (name, part.number))
    done()
    execute("UPDATE checkpoints SET position=0 WHERE consumer=? AND part=?", (name, part.number))
    later(KEPT_DAYS + 1)
    assert mark() == head, "a part that has just begun has processed nothing"
    assert checkpoint.positions([part]) == {part: 0}


def test_a_block_that_ended_is_deleted_when_no_event_of_it_is_left(store: Settings) -> None:
    ana, ben, cleo = people("ana", "ben", "cleo")
    with event.transaction() as tx:
        blocks.block(tx, ana, ben)
        blocks.block(tx, ana, cleo)
        blocks.unblock(tx, ana, ben)
    send(ben, to=ana)
    done()
    later(KEPT_DAYS - 1)
    assert scalar("SELECT count(*) FROM blocks") == 2
    later(KEPT_DAYS + 1)
    assert rows("SELECT blocked_id FROM blocks") == [(cleo,)]


def test_an_empty_log_goes_on_with_the_next_id(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ana, 3, to=ben)
    head = done()
    later(KEPT_DAYS + 1)
    assert scalar("SELECT count(*) FROM events") == 0
    assert (event.head(), mark()) == (head, head)
    assert catchup.read(ben, head, None, 10) == catchup.Slice([], head, False, False)
    send(ana, to=ben)
    assert rows("SELECT id FROM events WHERE type='message.created'") == [(head + 1,)]


def test_a_parked_event_stays_until_its_retry(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    poisoned = Poisoned({})
    [sent] = send(ana, to=ben)
    poisoned.poison = dead = poisoned_event(sent)
    drain(poisoned)
    edit(ana, sent)
    done()
    later(KEPT_DAYS + 1)
    assert mark() > dead
    assert rows("SELECT id FROM events") == [(dead,)]
    assert catchup.read(ben, catchup.BEGINNING, None, 10).events == []
    with event.transaction() as tx:
        message.delete(tx, ana, "user", sent)
    assert scalar("SELECT count(*) FROM events WHERE data LIKE '%words%'") == 0, "a parked event loses the deleted text too"
    with event.transaction() as tx:
        dead_letters.request_retry(tx, dead_letters.newest(1)[0]["id"])
    assert scalar("SELECT count(*) FROM activities") == 0
    poisoned.poison = None
    drain(poisoned)
    assert scalar("SELECT count(*) FROM activities") == 1
    later(1)
    assert event.find(dead) is None


def test_notifications_read_long_ago_are_deleted_and_repeated_acts_do_not_notify_again(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        liked = post.create(tx, ana, None, "words").id
    with event.transaction() as tx:
        like.like(tx, ben, liked)
    send(ben, 2, to=ana)
    done()
    with event.transaction() as tx:
        notification.mark_read(tx, ana, None)
    unread = int(str(scalar("SELECT count(*) FROM notifications WHERE read_ms IS NULL")))
    later(READ_DAYS - 1)
    assert scalar("SELECT count(*) FROM notifications WHERE user_id=?", ana) > 0
    done()
    later(READ_DAYS + 1)
    assert scalar("SELECT count(*) FROM notifications WHERE read_ms IS NOT NULL") == 0
    assert scalar("SELECT count(*) FROM notifications") == unread
    assert scalar("SELECT count(*) FROM notification_causes WHERE cause LIKE 'message:%'") == 0
    with event.transaction() as tx:
        like.unlike(tx, ben, liked)
        like.like(tx, ben, liked)
    done()
    assert scalar("SELECT count(*) FROM notifications WHERE type='community'") == 0


def test_unused_sessions_end_and_an_event_says_so(store: Settings) -> None:
    (ana,) = people("ana")
    with event.transaction() as tx:
        old, used = token.create(tx, ana), token.create(tx, ana)
    execute("UPDATE tokens SET used_ms=? WHERE hash=?", (now_ms() + 5 * 24 * 3_600_000, token.digest(used)))
    later(UNUSED_DAYS - 1)
    assert token.find([token.digest(old)])
    with time_machine.travel(timedelta(days=UNUSED_DAYS + 1)):
        for _ in range(2):  # each run checks the next tokens, then begins again
            tasks.retention.run(lambda: False)
    assert list(token.find([token.digest(old), token.digest(used)])) == [token.digest(used)]
    [(data,)] = rows("SELECT data FROM events WHERE stream='gateways' AND type='token.revoked'")
    assert msgspec.json.decode(data)["user"] == ana


def test_expired_tokens_are_deleted(store: Settings) -> None:
    (ana,) = people("ana")
    with event.transaction() as tx:
        for days in (1, 3):
            token.create(tx, ana, f"{days} days", expires_ms=tx.now_ms + days * 24 * 3_600_000)
    later(2)
    assert rows("SELECT label FROM tokens WHERE expires_ms IS NOT NULL") == [("3 days",)]


def test_tokens_of_the_host_that_ended_are_forgotten_when_they_verify_no_more(store: Settings) -> None:
    (ana,) = people("ana")
    with event.transaction() as tx:
        for days in (1, 3):
            token.create(tx, ana, expires_ms=tx.now_ms + days * 24 * 3_600_000)
        token.create(tx, ana, "own")
        execute("UPDATE tokens SET issued_ms=0 WHERE label=''")
        token.end_all(tx, ana)
    assert scalar("SELECT count(*) FROM ended_host_tokens") == 2
    later(2)
    assert scalar("SELECT count(*) FROM ended_host_tokens") == 1


def test_ended_announcements_and_dead_mails_are_deleted(store: Settings) -> None:
    (ana,) = people("ana")
    with event.transaction() as tx:
        announcement.create(tx, AnnouncementContent(ana, "user", None, "system", "Down on Sunday", "At noon.", b"{}"))
        outbox.queue(tx, [NewMail("welcome", ana, "ana@example.org", "Ana", {})])
        outbox.mark_dead(tx, 1, "550")
        dead_letters.park_mail(tx, 1, "550")
    done()
    later(ENDED_DAYS - 1)
    assert (len(announcement.list_newest(10)), len(dead_letters.newest(10))) == (1, 1)
    later(ENDED_DAYS + 1)
    assert (announcement.list_newest(10), dead_letters.newest(10)) == ([], [])
    assert scalar("SELECT count(*) FROM emails WHERE state='dead'") == 0


@pytest.mark.only("sqlite")
def test_deleted_words_leave_the_index_every_six_hours_however_often_workers_restart(store: Settings) -> None:
    ana, ben = people("ana", "ben")

    def erased(hours: float) -> bool:
        """A worker that starts so many hours from now; return whether it removes the words of a text that is deleted before."""
        sent = send(ana, 250, to=ben)
        index_messages(sent)
        with event.transaction() as tx:
            message.delete(tx, ana, "user", sent[0])
        blocks = rows("SELECT id, block FROM message_search_data")
        with time_machine.travel(timedelta(hours=hours), tick=True):
            Retention(store, []).run(lambda: False)
        return rows("SELECT id, block FROM message_search_data") != blocks

    assert [erased(hours) for hours in (0, 1, 5, 6.5, 7, 12, 13)] == [True, False, False, True, False, False, True]
    assert erased(0), "the clock was ahead before"


def test_each_run_corrects_keys_that_an_earlier_version_wrote(store: Settings) -> None:
    (ana,) = people("ana")
    execute("UPDATE users SET email='ana@example.org.', email_key='ana@example.org.' WHERE id=?", (ana,))
    tasks.retention.run(lambda: False)
    assert rows("SELECT email_key FROM users WHERE id=?", (ana,)) == [("ana@example.org",)]
