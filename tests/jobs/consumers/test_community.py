"""Notifications of community activity: once for each cause, merged while unread, and limited per person."""

import pytest

from conf import Settings
from jobs.consumers.admin_watch import AdminWatchConsumer
from jobs.consumers.notify import NotifyConsumer
from jobs.drain.drain import drain
from jobs.insight import explain, origins
from jobs.insight.rehearsal import rehearse
from jobs.rules.rules import RULES
from models.chat import presence
from models.community import comment, group, like, post, removal
from models.log import event
from models.notices import notification, notifying, preference
from models.notices.preference import Choice
from models.records.activity import Report, report
from models.store.database import execute, rows
from models.store.errors import NotFoundError
from tests.jobs.people import group as make_group
from tests.jobs.people import people, scalar, send


def posted(author: int, body: str = "a post") -> int:
    with event.transaction() as tx:
        return post.create(tx, author, None, body).id


def liked(user: int, *posts: int) -> None:
    with event.transaction() as tx:
        for number in posts:
            like.like(tx, user, number)


def commented(user: int, number: int, reply_to: int | None = None) -> int:
    with event.transaction() as tx:
        return comment.create(tx, user, number, "words of mine", reply_to).id


def shown(user: int) -> list[tuple[str, int]]:
    drain(NotifyConsumer())
    return [(item["title"], item["count"]) for item in notification.list_page(user, None, None, 50, unread_only=True)]


def test_many_likes_are_one_notification_with_the_newest_name(store: Settings) -> None:
    ana, ben, eve, kim = people("ana", "ben", "eve", "kim")
    number = posted(ana)
    liked(ana, number)
    assert shown(ana) == [], "never about one's own act"
    liked(ben, number)
    assert shown(ana) == [("Ben liked your post", 1)]
    liked(eve, number)
    liked(kim, number)
    assert shown(ana) == [("Kim and 2 others liked your post", 3)]
    kinds = [kind for (kind,) in rows("SELECT type FROM events WHERE type LIKE 'notification.%' ORDER BY id")]
    assert kinds == ["notification.created", "notification.updated"]


def test_a_repeated_like_does_not_notify_twice(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    number = posted(ana)
    for _ in range(3):
        liked(ben, number)
        drain(NotifyConsumer())
        with event.transaction() as tx:
            like.unlike(tx, ben, number)
            notification.mark_read(tx, ana, None)
    assert shown(ana) == []
    assert scalar("SELECT count(*) FROM notifications") == 1


def test_comments_replies_bookmarks_and_joins_notify_the_users_concerned(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    number = posted(ana)
    first = commented(ben, number)
    commented(eve, number, first)
    commented(ana, number, first)
    with event.transaction() as tx:
        like.bookmark(tx, eve, number)
        club = group.create(tx, ben, "Gardeners").id
        group.join(tx, ana, club)
        group.join(tx, eve, club)
    assert shown(ana) == [("Eve bookmarked your post", 1), ("2 new comments on your post", 2)]
    assert shown(ben) == [("Eve and 1 other joined Gardeners", 2), ("2 new answers to your comment", 2)]
    assert shown(eve) == []
    assert scalar("SELECT count(*) FROM notifications WHERE title || body || data LIKE '%words%'") == 0


def test_what_was_deleted_before_the_drain_is_not_notified(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    number, gone = posted(ana), posted(ana)
    answer = commented(ben, number)
    liked(ben, gone)
    with event.transaction() as tx:
        removal.delete_comment(tx, ben, "user", answer)
        removal.delete_post(tx, ana, "user", gone)
    assert shown(ana) == []


def test_one_person_cannot_flood_another(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "DEFAULT_MAX_PER_PAIR", 3)
    ana, ben, eve = people("ana", "ben", "eve")
    posts = [posted(ana) for _ in range(10)]
    for number in posts[:5]:
        liked(ben, number)
        drain(NotifyConsumer())
    liked(ben, *posts[5:])
    assert shown(ana) == [("Ben did 7 more things", 7), *[("Ben liked your post", 1)] * 3]
    assert scalar("SELECT count(*) FROM emails") == 3, "what is only counted is not mailed"
    newest = scalar("SELECT max(id) FROM events WHERE type='post.liked'")
    assert explained(newest, ana) == {"like": ["only counted: too many by one person"]}
    liked(eve, posts[9])
    assert shown(ana)[0] == ("Eve liked your post", 1), "others are not limited"
    for number in posts:
        liked(ben, number)
    assert shown(ana)[1] == ("Ben did 7 more things", 7), "nor is it counted twice"


def test_in_app_and_mail_are_switched_off_separately(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    for choice, mails in ((Choice(False, "off"), 0), (Choice(False, "instant"), 1), (Choice(True, "off"), 1)):
        with event.transaction() as tx:
            preference.set_choices(tx, ana, {"community": choice})
        liked(ben, posted(ana))
        assert len(shown(ana)) == choice.in_app
        assert scalar("SELECT count(*) FROM emails") == mails


def explained(number: int, user: int) -> dict[str, list[str]]:
    return {rule["rule"]: rule["decided"] for rule in explain.explain(number, user)["rules"]}


def test_explain_shows_the_decision_and_the_notification(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    [root] = people("root", role="admin")
    number = posted(ana)
    liked(ben, number)
    first = event.head()
    assert explained(first, ana) == {"like": [explain.NOT_YET]}
    drain(NotifyConsumer())
    assert explained(first, ana) == {"like": ["notified", "mailed"]}
    assert explained(first, ben) == {"like": ["own act"]}
    assert explained(first, eve) == {"like": ["does not concern them"]}
    liked(eve, number)
    second = event.head()
    execute("UPDATE notifications SET created_ms=created_ms-5000")
    drain(NotifyConsumer())
    assert explained(second, ana)["like"] == ["merged", "mail: went for the first of what is unread"]
    send(ben, 1, to=ana)
    sent = event.head()
    drain(NotifyConsumer())
    [waiting] = [rule for rule in explain.explain(sent, ana)["rules"] if rule["rule"] == "message"]
    assert waiting["decided"][1].startswith("waiting for the digest of ")
    assert waiting["mail_due_at"].endswith("00:00.000Z")
    assert explained(sent, ben)["message"] == ["own act"]
    assert explained(sent, eve)["message"] == ["does not concern them"]
    assert explained(sent, root)["watch message.sent"] == ["counted"]
    with pytest.raises(NotFoundError):
        explain.explain(sent + 1000, ana)


def test_the_event_behind_each_kind_of_notification_is_found(store: Settings) -> None:
    ben, ana, *others = people("ben", "ana", *(f"p{n}" for n in range(10)))
    number = posted(ana)
    liked(ben, number)
    like_event = event.head()
    commented(ben, number)
    comment_event = event.head()
    with event.transaction() as tx:
        crew = group.create(tx, ana, "crew").id
    with event.transaction() as tx:
        group.join(tx, ben, crew)
    join_event = event.head()
    send(ben, 1, to=ana)
    sent = event.head()
    drain(NotifyConsumer())
    assert str(others[-1]).startswith(str(ben))
    liked(others[-1], number)  # is not drained yet
    by_grouping = dict(rows("SELECT grouping, id FROM notifications WHERE user_id=?", (ana,)))
    found = {grouping.partition(":")[0]: origins.event_of_notification(id_) for grouping, id_ in by_grouping.items()}
    assert found == {"like": like_event, "comments": comment_event, "join": join_event, "conversation": sent}
    assert origins.event_of_notification(10_000) is None
    with pytest.raises(NotFoundError):
        explain.explain_own(by_grouping[f"like:{number}"], ben)
    execute("DELETE FROM events WHERE id=?", (like_event,))
    assert origins.event_of_notification(by_grouping[f"like:{number}"]) is None


def test_an_explanation_costs_the_same_in_a_large_group_and_for_a_post_with_many_likes(
    store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, ben, *others = people("ana", "ben", *(f"p{n}" for n in range(8)))
    send(ben, 1, at=make_group(ana, [ben, *others]))
    sent = event.head()
    number = posted(ana)
    liked(ben, number)
    like_event = event.head()
    drain(NotifyConsumer())
    execute("UPDATE notifications SET updated_ms=updated_ms+1000")
    for other in others:
        liked(other, number)
    execute("UPDATE events SET at_ms=at_ms+2000 WHERE id>?", (like_event,))
    online: list[set[int]] = []
    monkeypatch.setattr(presence, "online_at", lambda users, at_ms: online.append(set(users)) or set())
    assert explain.explain(sent, others[0])["rules"][0]["decided"][0] == "notified"
    assert online == [{others[0]}], "no other member is read"

    monkeypatch.setattr(origins, "MAX_EVENTS_SCANNED", 3)
    [notice] = [
        id_ for grouping, id_ in rows("SELECT grouping, id FROM notifications WHERE user_id=?", (ana,)) if "like" in grouping
    ]
    assert origins.event_of_notification(notice) == like_event, "the search begins at the time of the notification"
    execute("UPDATE notifications SET updated_ms=updated_ms+9000")
    assert origins.event_of_notification(notice) is None
    assert explain.explain_own(notice, ana)["rules"] == []


def test_explain_names_no_watch_for_events_that_watches_do_not_count(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    [root] = people("root", role="admin")
    number = posted(ana)
    liked(ben, number)
    assert explained(event.head(), root) == {"like": ["does not concern them"]}
    commented(ben, number)
    assert explained(event.head(), root) == {name: ["does not concern them"] for name in ("comment", "reply")}
    with event.transaction() as tx:
        crew = group.create(tx, ana, "crew").id
    with event.transaction() as tx:
        group.join(tx, ben, crew)
    assert explained(event.head(), root) == {"join": ["does not concern them"]}


def test_past_presence_is_known_after_the_user_has_left(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        presence.record_changes(tx, "gateway-1", [ben], [])
    send(ana, 1, to=ben)
    sent = event.head()
    drain(NotifyConsumer())
    with event.transaction() as tx:
        presence.record_changes(tx, "gateway-1", [], [ben])
    assert explained(sent, ben) == {"message": ["was looking"]}


def test_admins_are_notified_of_reported_activity(store: Settings) -> None:
    (ana,) = people("ana")
    root, ops = people("root", "ops", role="admin")
    with event.transaction() as tx:
        report(tx, Report(root, "invoice.paid", "Paid", {"amount": "12.50"}, ana, None))
        report(tx, Report(root, "night.ran", "", {}, None, "north"))
    drain(AdminWatchConsumer())
    assert [(item["title"], item["count"]) for item in notification.list_page(ops, None, None, 10, unread_only=True)] == [
        ("2 activities", 2)
    ]
    assert [item["count"] for item in notification.list_page(root, None, None, 10, unread_only=True)] == [1], (
        "an act without a user counts as that of the account that reported it"
    )


def test_rules_are_rehearsed_on_the_log_without_writing_anything(store: Settings) -> None:
    ana, ben, eve = people("ana", "ben", "eve")
    number = posted(ana)
    liked(ben, number)
    liked(ana, number)
    with event.transaction() as tx:
        presence.record_changes(tx, "gateway-1", [eve], [])
    send(ben, 2, to=ana)
    send(ben, 1, to=eve)
    newest = event.head()
    assert rehearse() == {
        ("like", "notified", "instant"): 1,
        ("like", "own act", "–"): 1,
        ("message", "notified", "hourly"): 2,
        ("message", "was looking", "–"): 1,
        ("message", "own act", "–"): 3,
    }
    assert set(rehearse([rule for rule in RULES if rule.name == "like"])) == {
        ("like", "notified", "instant"),
        ("like", "own act", "–"),
    }
    assert (event.head(), scalar("SELECT count(*) FROM notifications")) == (newest, 0)
