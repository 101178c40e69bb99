"""Reports: admins are told of new ones by one merged notification, and reporters of what was done, once each."""

import pytest

from conf import Settings
from jobs.consumers.admin_watch import AdminWatchConsumer
from jobs.consumers.notify import NotifyConsumer
from jobs.drain.drain import drain
from jobs.insight import explain, origins
from jobs.mail import languages, translation
from models.accounts import report_actions
from models.chat import reports
from models.log import event
from models.notices import notification
from models.store.database import rows
from models.store.errors import ConflictError
from tests.jobs.killing import drains, killed_at
from tests.jobs.people import group, people, send

TITLES = {
    "dismiss": "Your report was reviewed, and nothing else was done",
    "delete": "Your report was reviewed, and what you reported was deleted",
    "suspend": "Your report was reviewed, and the account was suspended",
}


def reported(author: int, reporters: list[int]) -> int:
    """A message of the author's, reported by these; returns the newest report."""
    [sent] = send(author, 1, at=group(author, reporters, "Crew"))
    with event.transaction() as tx:
        for reporter in reporters:
            assert reports.report_message(tx, reporter, sent, "why")
    return reports.page("open", None, 1)[0].id


def close(admin: int, report: int, action: str) -> None:
    with event.transaction() as tx:
        report_actions.close(tx, admin, report, action, "a note for admins")


def unread(user: int, kind: str) -> list[tuple[str, str, int]]:
    """(title, body, count) of a user's unread notifications of a type."""
    found = notification.list_page(user, None, None, 10, unread_only=True)
    return [(n["title"], n["body"], n["count"]) for n in found if n["type"] == kind]


def test_admins_have_one_notification_of_new_reports(store: Settings) -> None:
    ana, *others = people("ana", "ben", "cleo")
    root, ops = people("root", "ops", role="admin")
    reported(ana, [*others, root])
    drain(AdminWatchConsumer())
    assert ("3 new reports", "", 3) in unread(ops, "admin")
    assert ("2 new reports", "", 2) in unread(root, "admin"), "not of their own"


@pytest.mark.parametrize("action", reports.ACTIONS)
def test_reporters_are_told_what_was_done_and_no_more(store: Settings, action: str) -> None:
    ana, ben, cleo, dan = people("ana", "ben", "cleo", "dan")
    (root,) = people("root", role="admin")
    close(root, reported(ana, [ben, cleo]), action)
    drain(NotifyConsumer())
    for reporter in (ben, cleo):
        assert unread(reporter, "system")[0] == (TITLES[action], "", 1)
    assert all(TITLES[action] not in str(unread(user, "system")) for user in (ana, dan, root))
    ((number,),) = rows("SELECT id FROM notifications WHERE user_id=? AND title=?", (ben, TITLES[action]))
    found = origins.event_of_notification(number)
    assert found is not None
    assert event.find(found).type == "report.closed"  # type: ignore[union-attr]
    assert f"report_{action}" in [rule["rule"] for rule in explain.explain(found, ben)["rules"]]
    words = {
        translation.notification(languages.of(tag), {"grouping": "report:1", "title": TITLES[action], "body": ""})[0]
        for tag in ("en", "de", "ar")
    }
    assert len(words) == 3
    assert TITLES[action] in words


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_is_killed_tells_each_reporter_once(store: Settings, when: str) -> None:
    ana, *others = people("ana", *(f"user{n}" for n in range(60)))
    (root,) = people("root", role="admin")
    report = reported(ana, others)
    drain(NotifyConsumer())
    close(root, report, "dismiss")
    killed_at(store, drains("notify"), 1, when)
    drain(NotifyConsumer())
    assert rows("SELECT count(*), count(DISTINCT user_id) FROM notifications WHERE title=?", (TITLES["dismiss"],)) == [(60, 60)]


def test_of_two_admins_who_close_a_report_one_does(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    root, ops = people("root", "ops", role="admin")
    report = reported(ana, [ben])
    close(root, report, "dismiss")
    with pytest.raises(ConflictError):
        close(ops, report, "suspend")
    close(root, report, "dismiss")
    assert rows("SELECT status FROM users WHERE id=?", (ana,)) == [("active",)]
    assert rows("SELECT count(*) FROM events WHERE type='report.closed'") == [(1,)]
