from collections.abc import Iterable, Sequence

from conf import Settings
from jobs import tasks
from jobs.consumers.admin_watch import AdminWatchConsumer, Counted
from jobs.drain.backlog import consumers_to_run
from jobs.drain.drain import drain
from models.log import event
from models.log.event import Event
from models.notices import notification
from models.store.database import execute
from tests.jobs.people import people, scalar, send


def test_an_admins_unread_count_grows_by_what_others_sent(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    root, ops, off = people("root", "ops", "off", role="admin")
    execute("""UPDATE users SET watches='{"message.sent":false}' WHERE id=?""", (off,))
    send(ana, 1, to=ben)
    drain(AdminWatchConsumer())
    [one] = notification.list_page(root, None, None, 10, unread_only=True)
    assert (one["type"], one["title"], one["count"]) == ("admin", "1 message sent", 1)
    send(root, 4, to=ben)
    send(ana, 5, to=ben)
    drain(AdminWatchConsumer())
    rows = {
        u: [(n["title"], n["count"]) for n in notification.list_page(u, None, None, 10, unread_only=True)]
        for u in (root, ops, off, ana)
    }
    assert rows == {root: [("6 messages sent", 6)], ops: [("10 messages sent", 10)], off: [], ana: []}


def test_a_read_notification_is_followed_by_a_new_one(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    [root] = people("root", role="admin")
    send(ana, 2, to=ben)
    drain(AdminWatchConsumer())
    with event.transaction() as tx:
        notification.mark_read(tx, root, None)
    send(ana, 3, to=ben)
    drain(AdminWatchConsumer())
    assert [n["count"] for n in notification.list_page(root, None, None, 10, unread_only=False)] == [3, 2]


def test_many_admins_take_one_transaction(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    admins = people(*[f"admin{n}" for n in range(450)], role="admin")
    for _ in range(2):
        send(ana, 1, to=ben)
        assert drain(AdminWatchConsumer()).rows == len(admins)
    assert scalar("SELECT count(*) FROM notifications WHERE count=2 AND title='2 messages sent'") == 450
    moments = scalar("SELECT count(DISTINCT at_ms) FROM events WHERE type LIKE 'notification.%'")
    assert moments == 2


def test_it_runs_once_a_second_in_all_processes_together(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    people("root", role="admin")
    send(ana, 1, to=ben)
    drain(AdminWatchConsumer())
    send(ana, 1, to=ben)
    assert "watch" not in consumers_to_run(tasks.consumers.values())
    execute("UPDATE checkpoints SET moved_ms=moved_ms-1000 WHERE consumer='watch'")
    assert "watch" in consumers_to_run(tasks.consumers.values())
    execute("UPDATE checkpoints SET moved_ms=moved_ms+999999 WHERE consumer='watch'")
    assert "watch" in consumers_to_run(tasks.consumers.values()), "a clock set back must not stop it"


def test_a_notification_read_between_prepare_and_write_is_followed_by_a_new_one(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    root, ops = people("root", "ops", role="admin")
    send(ana, 2, to=ben)
    drain(AdminWatchConsumer())

    class ReadMeanwhile(AdminWatchConsumer):
        def prepare(self, events: Sequence[Event]) -> Iterable[Counted]:
            batches = list(super().prepare(events))
            with event.transaction() as tx:
                notification.mark_read(tx, root, None)
            return batches

    send(ana, 3, to=ben)
    drain(ReadMeanwhile())
    assert [n["count"] for n in notification.list_page(root, None, None, 10, unread_only=False)] == [3, 2]
    assert [n["count"] for n in notification.list_page(ops, None, None, 10, unread_only=False)] == [5]
