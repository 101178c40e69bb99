"""Nothing unread leads to a 404: what is deleted, or closed to somebody, takes its notifications back."""

import msgspec
import pytest

from conf import Settings
from jobs import tasks
from jobs.consumers.host_notices import HostNoticeConsumer
from jobs.consumers.notify import NotifyConsumer
from jobs.consumers.unreachable import UnreachableConsumer
from jobs.drain.drain import drain
from jobs.mail.recheck import current_mail
from models.chat import conversation
from models.community import comment, like, removal
from models.community import group as groups
from models.community import post as posts
from models.log import event
from models.notices import host_notices, host_types, outbox, preference
from models.notices.host_notices import NewNotice
from models.notices.host_types import Definition, TypeWords
from models.notices.preference import Choice
from models.store.database import rows
from tests.jobs.killing import drains, killed_at
from tests.jobs.people import group, people, send
from tests.models.people import subscribe


def unread() -> list[tuple[int, str]]:
    return rows("SELECT user_id, grouping FROM notifications WHERE read_ms IS NULL ORDER BY user_id, grouping")


def reads() -> int:
    return len(rows("SELECT id FROM events WHERE type='notification.read'"))


def run() -> None:
    drain(NotifyConsumer())
    drain(UnreachableConsumer())


def post(author: int, within: int | None = None) -> int:
    with event.transaction() as tx:
        return posts.create(tx, author, within, "A post").id


def write(user: int, about: int, reply_to: int | None = None) -> int:
    with event.transaction() as tx:
        return comment.create(tx, user, about, "A comment", reply_to).id


def react(user: int, about: int) -> None:
    with event.transaction() as tx:
        like.like(tx, user, about)


def test_a_deleted_post_takes_back_what_it_and_its_comments_caused(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    gone, stays = post(ana), post(ana)
    for each in (gone, stays):
        react(ben, each)
        write(ben, each, write(eve, each))
    run()
    assert len(unread()) == 6
    with event.transaction() as tx:
        removal.delete_post(tx, ana, "user", gone)
    drain(UnreachableConsumer())
    drain(UnreachableConsumer())
    assert unread() == [(ana, f"comments:{stays}"), (ana, f"like:{stays}"), (eve, "replies:3")]
    assert reads() == 2, "one for each person"
    assert [mail for mail in queued() if mail is None] == [None] * 3, "what waited does not go"


def queued() -> list[outbox.Mail | None]:
    """The mails about notifications, as they would be sent now."""
    blank = outbox.Mail(0, "notification", None, "", "", {}, "", 0, 0, None, 0, 0, *[None] * (len(outbox.Mail._fields) - 12))
    found = rows("SELECT receiver, data FROM emails WHERE kind='notification' ORDER BY id")
    with event.transaction() as tx:
        return [current_mail(tx, blank._replace(receiver=user, data=msgspec.json.decode(data))) for user, data in found]


def test_what_is_only_mailed_or_pushed_is_taken_back_too(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    subscribe(ana)
    with event.transaction() as tx:
        preference.set_choices(tx, ana, {"community": Choice(in_app=False, email="hourly", push=True)})
    gone = post(ana)
    react(ben, gone)
    run()
    assert (unread(), rows("SELECT state FROM pushes")) == ([(ana, f"~like:{gone}")], [("queued",)])
    with event.transaction() as tx:
        removal.delete_post(tx, ana, "user", gone)
    drain(UnreachableConsumer())
    assert (unread(), reads(), rows("SELECT state FROM pushes")) == ([], 0, [])


def test_comments_are_taken_back_when_none_is_left(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    about = post(ana)
    first = write(ben, about)
    second, answer = write(eve, about), write(eve, about, first)
    run()
    assert unread() == [(ana, f"comments:{about}"), (ben, f"replies:{first}")]
    for number, left in ((answer, [(ana, f"comments:{about}")]), (second, [(ana, f"comments:{about}")]), (first, [])):
        with event.transaction() as tx:
            removal.delete_comment(tx, ana, "user", number)
        drain(UnreachableConsumer())
        assert unread() == left


def test_a_group_that_was_left_takes_back_what_is_about_its_posts(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        garden = groups.create(tx, ana, "Gardeners").id
        groups.join(tx, ben, garden)
    inside, outside = post(ben, garden), post(ben)
    for each in (inside, outside):
        react(ana, each)
    run()
    with event.transaction() as tx:
        groups.leave(tx, ben, garden)
    write(ana, inside)
    run()
    assert [key for key in unread() if key[0] == ben] == [(ben, f"like:{outside}")]


def test_the_hosts_notifications_about_a_conversation_that_was_left_are_taken_back(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    crew, other = group(ana, [ben]), group(ana, [ben])
    with event.transaction() as tx:
        host_types.put(tx, "doc.added", Definition({"en": TypeWords("New document")}))
        for about in (crew, other):
            host_notices.request(tx, NewNotice("doc.added", "conversation", str(about), None, b"{}", None, None, None, False))
    drain(HostNoticeConsumer())
    send(ana, 1, at=crew)
    run()
    assert len([key for key in unread() if key[0] == ben]) == 3
    with event.transaction() as tx:
        conversation.remove_member(tx, ana, crew, ben)
    run()
    assert len([key for key in unread() if key[0] == ben]) == 1
    assert len([key for key in unread() if key[0] == ana]) == 2


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_any_commit_takes_each_back_once(store: Settings, when: str) -> None:
    ana, *others = people("ana", *[f"user{n}" for n in range(60)])
    about = post(ana)
    for user in others:
        write(ana, about, write(user, about))
    tasks.run_pending()
    assert len(unread()) >= 60
    before = reads()
    with event.transaction() as tx:
        removal.delete_post(tx, ana, "user", about)
    taken = len([key for key in unread() if not key[1].startswith("welcome")])
    for commit in (1, 2):
        killed_at(store, drains("unreachable"), commit, when)
    drain(UnreachableConsumer())
    assert [key for key in unread() if not key[1].startswith("welcome")] == []
    assert reads() - before == taken
