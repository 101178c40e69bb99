import os
from itertools import pairwise
from pathlib import Path
from typing import Any

from conf import Settings
from models.chat import message as messages
from models.chat import read_marks, search, views
from models.chat.conversation import ConversationView
from models.chat.targets import get_or_create_direct
from models.history.import_keys import CONVERSATION, MESSAGE, USER
from models.identity import external_id
from models.log import event
from models.store.database import connect, disconnect, execute, rows
from tests.models.importing import AT, conversation, import_lines, message, user
from tests.models.people import index_messages, scalar, send
from tests.python import run_python
from tests.stores import Database, environment, named, open_migrated, settings_of

CREATED = "2024-04-01T00:00:00Z"
TALK = (
    user("1", display_name="Ana"),
    user("2", username="ben"),
    user("3"),
    conversation("c", "1", "2", created_at=CREATED),
    message("m1", "c", "1", 1),
    message("m2", "c", "2", 2, reply_to="m1", edited_at=AT.format(5)),
    conversation("g", "2", "1", "3", kind="group", title="Crew", created_at=CREATED),
    message("m3", "g", "3", 3, "a naïve fish", read_by=["ext:3", "ext:1"]),
    message("m4", "g", "1", 3, read_by=["ext:1"]),
)


def ids(*names: str) -> list[int]:
    found = external_id.find(names)
    return [found[name] for name in names]


def seen_by(name: str, title: str | None) -> ConversationView:
    (user_id,) = ids(name)
    listed = [view for _, view in views.conversation_list(user_id, None, 10)]
    return next(view for view in listed if view.title == title)


def texts(user_id: int, where: int) -> list[tuple[str, str, str | None]]:
    return [(m.body, m.created_at, m.edited_at) for m in messages.history(user_id, where, None, None, 50)]


def refused(*lines: Any) -> list[tuple[str, str, str]]:
    return [tuple(line) for line in import_lines(*lines).refused]


def test_users_conversations_and_messages_come_along_with_their_times(store: Settings) -> None:
    total = import_lines(*TALK)
    assert (total.created, total.refused) == ({USER: 3, CONVERSATION: 2, MESSAGE: 4}, [])
    ana, ben, cleo = ids("1", "2", "3")
    direct, crew = seen_by("1", None), seen_by("3", "Crew")
    assert (direct.kind, direct.created_at) == ("direct", "2024-04-01T00:00:00.000Z")
    assert [(m.user.id, m.role) for m in crew.members] == [(ben, "owner"), (ana, "member"), (cleo, "member")]
    assert texts(ana, direct.id) == [
        ("old words", "2024-05-01T10:00:02.000Z", "2024-05-01T10:00:05.000Z"),
        ("old words", "2024-05-01T10:00:01.000Z", None),
    ]
    second, first = messages.history(ana, direct.id, None, None, 50)
    assert (second.reply_to, second.sender, first.sender) == (first.id, ben, ana)
    assert [m.body for m in messages.history(cleo, crew.id, None, None, 50)] == ["old words", "a naïve fish"]


def test_an_imported_message_mentions_the_members_whom_it_names(store: Settings) -> None:
    lines = (message("m5", "g", "2", 6, "@all and @user-3: see @ben, not @nobody"), message("m6", "g", "1", 7, "@all"))
    import_lines(*TALK, *lines)
    ben, cleo = ids("2", "3")
    newest, before = messages.history(cleo, seen_by("3", "Crew").id, None, None, 2)
    assert (before.mentions, before.mentions_all) == (sorted([ben, cleo]), True)
    assert (newest.mentions, newest.mentions_all) == ([], False), "not an owner's"


def test_nothing_is_unread_and_marks_are_of_those_who_have_read(store: Settings) -> None:
    import_lines(*TALK)
    assert [seen_by(name, title).unread for name, title in (("1", None), ("2", None), ("1", "Crew"), ("3", "Crew"))] == [0] * 4
    ana, ben, cleo = ids("1", "2", "3")
    third, fourth = (number for (number,) in rows("SELECT number FROM import_keys WHERE key IN ('m3', 'm4') ORDER BY key"))
    assert {m.user.id: m.read for m in seen_by("2", "Crew").members} == {ben: fourth, ana: fourth, cleo: third}  # ben's is his own
    assert {m.user.id: m.read for m in seen_by("1", "Crew").members} == {ben: None, ana: fourth, cleo: third}
    assert [m.read for m in seen_by("1", None).members] == [2, 2]

    new = send(ana, at=seen_by("1", "Crew").id)
    assert [seen_by(name, "Crew").unread for name in ("1", "2", "3")] == [0, 1, 1]
    crew = seen_by("2", "Crew").id
    with event.transaction() as tx:
        assert read_marks.mark_unread(tx, ben, crew, third) == 3
        assert read_marks.mark_read(tx, ben, crew, new) == 0


def test_a_line_that_was_imported_changes_nothing_whatever_came_since(store: Settings) -> None:
    import_lines(*TALK)
    (ana,) = ids("1")
    send(ana, at=seen_by("1", "Crew").id)
    with event.transaction() as tx:
        messages.edit(tx, ana, 1, "edited since")
    before = [rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in ("messages", "memberships", "events", "import_keys")]
    again = import_lines(*TALK, source="shop", max_weight=2)
    assert (again.created, again.unchanged, again.refused) == ({}, {USER: 3, CONVERSATION: 2, MESSAGE: 4}, [])
    after = [rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in ("messages", "memberships", "events", "import_keys")]
    assert after == before
    more = import_lines(*TALK, message("m5", "c", "1", 9), conversation("c2", "1", "3"))
    assert (more.created[MESSAGE], more.created[CONVERSATION], more.unchanged[MESSAGE]) == (1, 1, 4)


def test_a_deleted_person_is_not_made_again(store: Settings) -> None:
    import_lines(user("1"))
    execute("UPDATE import_keys SET key=? WHERE kind='user'", (external_id.hashed("1"),))
    execute("UPDATE users SET external_id=NULL")
    import_lines(user("1"))
    assert scalar("SELECT count(*) FROM users") == 1


def test_each_conversation_has_one_event_for_a_transaction_and_no_other_than_of_its_beginning(store: Settings) -> None:
    lines = [conversation("c2", "1", "3"), *(message(f"x{n}", ("c", "c2")[n % 2], "1", 10 + n) for n in range(20))]
    import_lines(*TALK, *lines)
    kinds = rows("SELECT type, count(*) FROM events GROUP BY type ORDER BY type")
    assert kinds == [("conversation.created", 7), ("history.imported", 3)]
    assert scalar("SELECT data FROM events WHERE type='history.imported' ORDER BY id LIMIT 1") == (
        '{"conversation":1,"messages":12,"first":1,"last":23}'
    )


def test_a_deleted_message_takes_its_words_along_and_leaves_the_events(store: Settings) -> None:
    import_lines(*TALK)
    (cleo,) = ids("3")
    assert index_messages([1, 2, 3, 4]) == 4
    assert search.find(cleo, "naive", None, 10).ids == [3]
    events = rows("SELECT data FROM events WHERE type='history.imported' ORDER BY id")
    with event.transaction() as tx:
        messages.delete(tx, cleo, "user", 3)
    assert search.find(cleo, "naive", None, 10).ids == []
    assert rows("SELECT data FROM events WHERE type='history.imported' ORDER BY id") == events
    assert scalar("SELECT count(*) FROM events WHERE data LIKE '%fish%'") == 0


def test_a_direct_conversation_that_is_there_is_joined_only_while_it_is_empty(store: Settings) -> None:
    import_lines(*TALK[:3])
    ana, ben, cleo = ids("1", "2", "3")
    send(ana, to=ben)
    assert import_lines(conversation("full", "2", "1")).refused[0].reason.startswith("have a direct conversation already")
    with event.transaction() as tx:
        empty, _ = get_or_create_direct(tx, ana, cleo)
    total = import_lines(conversation("empty", "3", "1"), message("e1", "empty", "1"))
    assert (total.created, total.unchanged) == ({MESSAGE: 1}, {CONVERSATION: 1})
    assert texts(cleo, empty) == [("old words", "2024-05-01T10:00:00.000Z", None)]


def test_an_older_message_is_refused_and_the_rest_goes_on(store: Settings) -> None:
    import_lines(*TALK)
    late = [message("late", "c", "1", 1), message("same", "c", "1", 2), message("next", "c", "1", 3)]
    total = import_lines(*late)
    rule = "must not be before the conversation's newest message, 2024-05-01T10:00:02.000Z"
    assert total.refused == [("1", "message.at", rule)]
    assert total.created[MESSAGE] == 2


def test_wrong_lines_are_refused_with_their_number_and_field(store: Settings) -> None:
    import_lines(*TALK)
    wrong: list[tuple[Any, str]] = [
        (b"{", ""),
        (b"[]", ""),
        (b'{"message": {"key": "\xff"}}', ""),
        ({}, ""),
        ({"user": {"external_id": "9"}, "message": message("a", "c", "1")["message"]}, ""),
        ({"reaction": {}}, "reaction"),
        (user(""), "user.external_id"),
        (user("a b"), "user.external_id"),
        (user("9", email="no address"), "user.email"),
        (user("9", color="red"), "user.color"),
        (conversation("", "1", "2"), "conversation.key"),
        (conversation("x" * 201, "1", "2"), "conversation.key"),
        (conversation("x", "1", "2", kind="room"), "conversation.kind"),
        (conversation("x", "1"), "conversation.members"),
        (conversation("x", "1", "1"), "conversation.members"),
        (conversation("x", kind="group"), "conversation.members"),
        (conversation("x", "1", "nobody"), "conversation.members"),
        (conversation("x", "1", "nob\0dy"), "conversation.members"),
        ({"conversation": {"key": "x", "kind": "direct", "members": [0, 1]}}, "conversation.members"),
        (conversation("x", "1", "2", title="Two"), "conversation.title"),
        (conversation("x", "1", "2", kind="group", title="\n"), "conversation.title"),
        (conversation("x", "1", "3", created_at="2999-01-01T00:00:00Z"), "conversation.created_at"),
        (conversation("x", "1", "3", created_at="1969-01-01T00:00:00Z"), "conversation.created_at"),
        (message("", "c", "1"), "message.key"),
        (message("a\0", "c", "1"), "message.key"),
        (message("a", "unknown", "1"), "message.conversation"),
        (message("a", "c\0", "1"), "message.conversation"),
        (message("a", "c", "nobody"), "message.sender"),
        (message("a", "c", "1", body=""), "message.body"),
        (message("a", "c", "1", body="x" * 20_001), "message.body"),
        (message("a", "c", "1", body="a\0b"), "message.body"),
        (message("a", "c", "1") | {"message": {**message("a", "c", "1")["message"], "body": 7}}, "message.body"),
        ({"message": {**message("a", "c", "1")["message"], "at": "yesterday"}}, "message.at"),
        ({"message": {**message("a", "c", "1")["message"], "at": "2024-05-01T10:00:00"}}, "message.at"),
        ({"message": {**message("a", "c", "1")["message"], "at": "1969-12-31T23:59:59Z"}}, "message.at"),
        ({"message": {**message("a", "c", "1")["message"], "at": "0001-01-01T00:00:00+14:00"}}, "message.at"),
        ({"message": {**message("a", "c", "1")["message"], "at": "2999-01-01T00:00:00Z"}}, "message.at"),
        (message("a", "c", "1", 9, edited_at=AT.format(8)), "message.edited_at"),
        (message("a", "c", "1", 9, edited_at="2999-01-01T00:00:00Z"), "message.edited_at"),
        (message("a", "c", "1", 9, reply_to="unknown"), "message.reply_to"),
        (message("a", "c", "1", 9, reply_to="m3"), "message.reply_to"),
        (message("a", "c", "1", 9, reply_to="a"), "message.reply_to"),
        (message("a", "c", "1", 9, read_by=["ext:nobody"]), "message.read_by"),
        (message("a", "c", "1", 9, read_by=["1"]), "message.read_by"),
        (message("a", "c", "1", 9, read_by=["ext:1"] * 1001), "message.read_by"),
        (message("a", "c", "1", 9, priority="urgent"), "message.priority"),
    ]
    total = import_lines(*(line for line, _ in wrong), message("right", "c", "1", 9))
    assert {int(line.place): line.field for line in total.refused} == {n: field for n, (_, field) in enumerate(wrong, 1)}
    assert {line.reason for line in total.refused if not line.reason.startswith(("must ", "is ", "ext:"))} == {
        "unknown is not the key of an imported conversation",
        "an e-mail address such as ana@example.org",
    }
    assert total.created == {MESSAGE: 1}


def test_sources_have_keys_of_their_own(store: Settings) -> None:
    import_lines(*TALK)
    assert refused(message("m9", "c", "1", 9)) == []
    total = import_lines(conversation("g", "1", "2", kind="group"), message("m1", "g", "1"), source="forum")
    assert (total.created, total.refused) == ({CONVERSATION: 1, MESSAGE: 1}, [])


def test_the_last_admin_stays_one_and_the_lines_beside_are_imported(store: Settings) -> None:
    import_lines(user("boss", role="admin"))
    total = import_lines(user("boss", role="user", display_name="Boss"), user("new"), source="forum")
    assert [tuple(line) for line in total.refused] == [("1", "user", "the last admin stays one")]
    assert (total.created, total.changed, total.unchanged) == ({USER: 1}, {}, {})
    assert rows("SELECT role, display_name FROM users WHERE external_id='boss'") == [("admin", "boss")]
    assert scalar("SELECT count(*) FROM events WHERE type LIKE 'account.%'") == 0


def test_an_account_that_is_there_keeps_its_status_and_its_owner_is_told_nothing(store: Settings) -> None:
    import_lines(user("1", email="ana@example.org"), user("2", status="suspended"))
    lines = [user("1", status="suspended", display_name="Ana"), user("2", status="active"), user("3", status="suspended")]
    total = import_lines(*lines, source="forum")
    assert (total.created, total.changed, total.unchanged, total.refused) == ({USER: 1}, {USER: 1}, {USER: 1}, [])
    statuses = rows("SELECT external_id, status FROM users WHERE external_id IS NOT NULL ORDER BY external_id")
    assert statuses == [("1", "active"), ("2", "suspended"), ("3", "suspended")]
    assert [scalar(f"SELECT count(*) FROM {table}") for table in ("notifications", "emails")] == [0, 0]


def test_messages_of_many_conversations_are_written_in_smaller_transactions(store: Settings) -> None:
    people = [user(str(n)) for n in range(60)]
    import_lines(*people, *(conversation(f"c{n}", "0", str(n), kind="group") for n in range(1, 60)))
    imported: list[Any] = []

    def count() -> None:
        imported.append(scalar("SELECT count(*) FROM events WHERE type='history.imported'"))

    import_lines(*(message(f"m{n}", f"c{n}", "0") for n in range(1, 60)), after=count)
    added = [after - before for before, after in pairwise(imported)]
    assert (max(added) < 32, sum(added)) == (True, 59)


def test_what_was_written_here_and_is_unread_stays_unread(store: Settings) -> None:
    import_lines(*TALK)
    ana, ben, cleo = ids("1", "2", "3")
    crew = seen_by("1", "Crew").id
    first = send(ana, at=crew)
    with event.transaction() as tx:
        read_marks.mark_read(tx, cleo, crew, first)
        execute("UPDATE messages SET created_ms=1 WHERE id=?", (first,))  # the old chat goes on after it
    total = import_lines(*(message(f"n{n}", "g", "1", 9, **more) for n, more in enumerate(({}, {"read_by": ["ext:2", "ext:3"]}))))
    assert total.created == {MESSAGE: 2}
    assert [seen_by(name, "Crew").unread for name in ("1", "2", "3")] == [0, 1, 0]
    assert [m.read for m in seen_by("3", "Crew").members] == [None, first + 1, first + 2]
    with event.transaction() as tx:
        assert read_marks.mark_read(tx, ben, crew, first) == 0


def test_imported_messages_are_unread_only_to_whom_marks_them_so(store: Settings) -> None:
    import_lines(*TALK)
    ana, ben, _ = ids("1", "2", "3")
    crew = seen_by("1", "Crew").id
    live = send(ana, at=crew)
    execute("UPDATE messages SET created_ms=1 WHERE id=?", (live,))  # the old chat goes on after it
    import_lines(message("n1", "g", "1", 9, read_by=[]))
    with event.transaction() as tx:
        assert read_marks.mark_read(tx, ben, crew, live + 1) == 0
        assert read_marks.mark_unread(tx, ben, crew, live + 1) == 1
    import_lines(message("n2", "g", "1", 9), message("n3", "g", "1", 9, read_by=["ext:2"]))
    assert [seen_by(name, "Crew").unread for name in ("1", "2", "3")] == [0, 1, 1]
    with event.transaction() as tx:
        assert read_marks.mark_read(tx, ben, crew, live + 1) == 0
    assert seen_by("2", "Crew").unread == 0
    assert scalar("SELECT count(*) FROM notifications") == 0


def large(count: int) -> list[dict[str, Any]]:
    people = [str(n) for n in range(1, count + 1)]
    rest = (message(f"m{n}", "g", "1", n) for n in range(3))
    return [*map(user, people), conversation("g", *people, kind="group", created_at=CREATED), *rest]


def test_members_of_a_large_group_are_added_and_have_read_a_few_at_a_time(store: Settings) -> None:
    sizes: list[int] = []

    def count() -> None:
        sizes.append(int(str(scalar("SELECT count(*) FROM memberships WHERE read_message=3"))))

    import_lines(*large(450), after=count)
    assert scalar("SELECT members_count FROM conversations") == scalar("SELECT count(*) FROM memberships") == 450
    assert max(after - before for before, after in zip([0, *sizes], sizes, strict=False)) == 200
    assert sizes[-1] == 450
    assert rows("SELECT 1 FROM import_marks") == rows("SELECT 1 FROM member_additions WHERE ended_ms IS NULL") == []


KILLED = """
import os, signal, sys
from conf import load
from models.history import conversations, marks, messages
from models.store import database
from models.store.database import connect
from models.chat import additions
from tests.models.importing import import_lines
from tests.models.history.test_importing import KILLED_LINES

conversations.MAX_ADDED_PER_TRANSACTION = additions.MAX_ADDED_PER_TRANSACTION = marks.MAX_MEMBERS_AT_ONCE = 2
messages.MAX_MEMBERS_IN_VIEW = 3

def run(number):
    connect(load())
    real, left = database.engine().commit, number

    def counted(*arguments):
        nonlocal left
        left -= 1
        if left == 0 and number % 2:
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*arguments)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    database.engine().commit = counted
    import_lines(*KILLED_LINES, max_weight=40)
    os._exit(0)

number = status = int(sys.argv[1])
while status:
    child = os.fork()
    if not child:
        run(number)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    number += 1
print(number)
"""
KILLED_LINES = [
    *TALK,
    *(user(str(n)) for n in range(4, 9)),
    conversation("big", *map(str, range(1, 9)), kind="group", created_at=CREATED),
    *(message(f"b{n}", "big", str(n % 8 + 1), n // 2, reply_to=f"b{n - 1}" if n else None, read_by=None) for n in range(60)),
    *(message(f"r{n}", "big", "2", 30 + n, read_by=[f"ext:{n + 1}"]) for n in range(8)),
]
TABLES = {
    "users": "id, username, external_id, display_name, status",
    "conversations": "id, kind, title, pair, members_count, created_ms, after_message",
    "memberships": "conversation_id, user_id, role, from_event, to_event, read_message, unread_after",
    "messages": "*",
    "import_keys": "source, kind, key, number",
    "import_marks": "conversation_id",
    "member_additions": "id, conversation_id, user_ids, done, total",
    "events": "id, stream, type, data",
}


def run_killed(store: Settings, first: int) -> tuple[dict[str, list[Any]], int]:
    """Import the lines, killed at the first commit, the second, and so on; return the tables and the number of runs."""
    done = run_python(["-c", KILLED, str(first)], env={**os.environ, **environment(named(store))})
    assert done.returncode == 0, done.stderr
    tables = {table: sorted(rows(f"SELECT {columns} FROM {table}"), key=str) for table, columns in TABLES.items()}
    return tables, int(done.stdout) - first


def test_an_import_that_is_killed_at_each_commit_ends_as_one_that_was_not(
    store: Settings, database: Database, tmp_path: Path
) -> None:
    killed, runs = run_killed(store, 1)
    assert runs > 10
    disconnect()
    with database.fresh() as fresh:
        other = settings_of(tmp_path / "whole", fresh)
        open_migrated(other)
        whole, runs = run_killed(other, 10_000)
        assert runs == 1
        disconnect()
    assert killed == whole
    assert (len(whole["messages"]), whole["import_marks"]) == (4 + 60 + 8, [])
    connect(store)
