"""Reports: the evidence of a message or post as it was, and what closing does."""

import itertools

import pytest

from conf import Settings
from models.accounts import report_actions
from models.chat import message, reports
from models.chat.reports import ReportView
from models.community import post, removal
from models.log import event
from models.store.database import rows
from models.store.errors import ConflictError, InvalidError, NotFoundError
from tests.models.people import group, people, send
from tests.models.stored_files import store_file


def report(user: int, sent: int, reason: str = "why") -> bool:
    """Report a message in a transaction of its own."""
    with event.transaction() as tx:
        return reports.report_message(tx, user, sent, reason)


def close(admin: int, number: int, action: str, note: str | None = None) -> ReportView:
    """Close a report in a transaction of its own."""
    with event.transaction() as tx:
        return report_actions.close(tx, admin, number, action, note)


def delete(user: int, sent: int) -> None:
    """Delete a message in a transaction of its own."""
    with event.transaction() as tx:
        message.delete(tx, user, "user", sent)


def events() -> list[str]:
    """The types of all events about reports."""
    return [kind for (kind,) in rows("SELECT type FROM events WHERE stream='reports' ORDER BY id")]


def test_the_evidence_stays_as_it_was_when_the_message_was_reported(store: Settings) -> None:
    ana, ben, cleo = people("ana", "ben", "cleo")
    crew = group(ana, ben, cleo)
    sent = send(ana, "an insult \0", at=crew, files=[store_file(None, ana, name="insult.png")])
    assert report(ben, sent, "it hurts")
    with event.transaction() as tx:
        message.edit(tx, ana, sent, "a compliment")
    assert report(cleo, sent)
    delete(ana, sent)
    second, first = reports.page("open", None, 10)
    assert (first.evidence.body, first.evidence.edited_at, first.reason) == ("an insult \0", None, "it hurts")
    assert (second.evidence.body, bool(second.evidence.edited_at)) == ("a compliment", True)
    assert first.evidence.files == second.evidence.files == ["insult.png"]
    assert (first.message, first.post, first.author.id, first.reporter.id) == (sent, None, ana, ben)
    assert (first.evidence.conversation, first.kind, first.title, first.deleted, first.open_reports) == (
        crew,
        "group",
        "Crew",
        True,
        2,
    )
    assert [item.id for item in reports.page("open", second.id, 10)] == [first.id]
    assert reports.page("closed", None, 10) == []


def test_a_message_is_reported_once_by_each_who_sees_it(store: Settings) -> None:
    ana, ben, cleo = people("ana", "ben", "cleo")
    sent = send(ana, to=ben)
    assert [report(ben, sent), report(ben, sent, "another reason")] == [True, False]
    assert [(r.reporter.id, r.reason) for r in reports.page("", None, 10)] == [(ben, "why")]
    assert events() == ["report.created"]
    for number in (sent, sent + 1):
        with pytest.raises(NotFoundError):
            report(cleo, number)
    for author, reason in ((ana, "why"), (ben, "a NUL \0")):
        with pytest.raises(InvalidError):
            report(author, send(ana, to=ben), reason)
    delete(ana, sent)
    assert not report(ben, sent), "it was answered before"
    other = send(ana, to=ben)
    delete(ana, other)
    with pytest.raises(NotFoundError):
        report(ben, other)


def test_a_post_is_reported_by_who_sees_it(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        written = post.create(tx, ana, None, "an insult").id
        assert [reports.report_post(tx, ben, written, "why") for _ in range(2)] == [True, False]
        with pytest.raises(InvalidError):
            reports.report_post(tx, ana, written, "why")
        removal.delete_post(tx, ana, "user", written)
    (found,) = reports.page("open", None, 10)
    assert (found.post, found.message, found.evidence.body, found.deleted) == (written, None, "an insult", True)
    (root,) = people("root", role="admin")
    assert close(root, found.id, "delete").state == "closed", "also when its author has deleted it"


def test_of_one_message_a_limited_number_of_reports_waits(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MAX_OPEN_PER_SUBJECT", 2)
    ana, *others = people("ana", "ben", "cleo", "dan")
    sent = send(ana, at=group(ana, *others))
    assert [report(other, sent) for other in others] == [True, True, False]


@pytest.mark.parametrize("action", reports.ACTIONS)
def test_closing_one_report_closes_all_of_the_same_message(store: Settings, action: str) -> None:
    ana, ben, cleo = people("ana", "ben", "cleo")
    (root,) = people("root", role="admin")
    crew = group(ana, ben, cleo)
    sent, other = send(ana, at=crew), send(ana, at=crew)
    for user, number in ((ben, sent), (cleo, sent), (ben, other)):
        report(user, number)
    numbers = [r.id for r in reports.page("open", None, 10)]
    closed = close(root, numbers[-1], action, "seen")
    assert (closed.state, closed.action, closed.note, closed.closed_by and closed.closed_by.id) == ("closed", action, "seen", root)
    assert [r.id for r in reports.page("open", None, 10)] == [numbers[0]]
    assert message.get_view(ben, sent).deleted_at is not None or action != "delete"
    assert rows("SELECT status FROM users WHERE id=?", (ana,)) == [("suspended" if action == "suspend" else "active",)]
    assert close(root, numbers[-1], action, "seen") == closed
    for admin, again, note in ((root, action, None), (ben, action, "seen"), (root, "", "seen")):
        with pytest.raises(ConflictError):
            close(admin, numbers[-1], again, note)
    assert events() == ["report.created"] * 3 + ["report.closed"]
    ((data,),) = rows("SELECT data FROM events WHERE type='report.closed'")
    assert f'"reporters":[{ben},{cleo}]' in data


def test_admins_are_not_suspended_by_a_report(store: Settings) -> None:
    (ana,) = people("ana")
    root, other = people("root", "other", role="admin")
    for author in (root, other):
        report(ana, send(author, to=ana))
    for number in [r.id for r in reports.page("open", None, 10)]:
        with pytest.raises(InvalidError):
            close(root, number, "suspend")
    assert len(reports.page("open", None, 10)) == 2
    with pytest.raises(NotFoundError):
        close(root, 99, "dismiss")


def test_reports_are_deleted_by_time(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    (root,) = people("root", role="admin")
    for _ in range(3):
        report(ben, send(ana, to=ben))
    first = min(r.id for r in reports.page("", None, 10))
    close(root, first, "dismiss")
    ((closed_ms,),) = rows("SELECT closed_ms FROM reports WHERE id=?", (first,))
    counts = []
    for closed_before, created_before in itertools.product((closed_ms, closed_ms + 1), (0, 10**14)):
        with event.transaction() as tx:
            counts.append(reports.trim(tx, closed_before, created_before, 1))
    assert counts == [0, 1, 1, 1]
    assert rows("SELECT 1 FROM reports") == []


def test_the_backlog_is_the_open_ones_and_the_age_of_the_oldest(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    (root,) = people("root", role="admin")
    assert reports.backlog(0) == (0, 0.0)
    for _ in range(2):
        report(ben, send(ana, to=ben))
    first, second = (number for (number,) in rows("SELECT id FROM reports ORDER BY id"))
    close(root, first, "dismiss")
    ((created_ms,),) = rows("SELECT created_ms FROM reports WHERE id=?", (second,))
    assert [reports.backlog(created_ms + ahead) for ahead in (-5, 2500)] == [(1, 0.0), (1, 2.5)]
