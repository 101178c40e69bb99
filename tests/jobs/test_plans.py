"""The statements that run all the time read by indexes: each is caught while the code runs, and explained by the store."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from conf import Settings
from jobs import tasks
from jobs.insight.own_rehearsal import Settings as TriedSettings
from jobs.insight.own_rehearsal import rehearse_own
from jobs.insight.quiet_status import quiet_now
from jobs.mail import digests
from jobs.mail.mailer import Mailer
from jobs.push.content import PushComposer
from jobs.upkeep.sweeper import Sweeper
from models.blobs import blob as blobs
from models.chat import changes, conversation, conversation_search, member_level, message, presence, read_marks, search, views
from models.chat.message import Draft
from models.chat.search_scope import SearchFilter
from models.community import comment, group, like, post, post_queries, removal
from models.files import pictures
from models.identity import token, user
from models.identity.contacts import SHARED, Bound
from models.log import event
from models.notices import burst_members, notification, outbox, pending_mail, push_outbox, pushes, quiet_hours, withdrawals
from models.notices.quiet import DAYS, Quiet
from models.ops import dead_letters, worker
from models.records import records
from models.records.archive import RECORD_TYPES
from models.records.records import RecordFilter
from models.store.database import db, engine, execute, multi_index_read, rows, snapshot
from models.sync import catchup, initial_state
from tests.models.people import credentials, people, subscribe
from tests.models.people import group as make_group
from tests.models.stored_files import store_file

SMALL = {  # tables whose rows are a process's, a consumer's, an administrator's work or of the last minutes
    *("facts", "checkpoints", "lease", "workers", "leases", "sqlite_sequence", "archive_files", "fanouts", "member_additions"),
    *("bursts", "burst_events", "unseen_messages", "codes", "dead_work", "webhooks"),
}
ONCE_A_MINUTE = {"waiting_mail", "file_usage"}  # the latter has two days
EXPLAINED = re.compile(r"(SELECT|WITH|INSERT|UPDATE|DELETE)(?!.*;|.*\(0 = 1\))", re.DOTALL)
FIRST_ROW = re.compile(r"SELECT 1 FROM \w+ LIMIT 1")  # reads one row of a table
MIN_STATEMENTS = 150

Statements = dict[str, Sequence[Any]]


def write(verb: Callable[..., object], *args: Any, **options: Any) -> None:
    with event.transaction() as tx:
        verb(tx, *args, **options)


def push(user: int) -> None:
    """Send what is queued, without a service."""
    due = push_outbox.list_due(engine().now_ms(), ["another.example.org"], 10)
    plan = PushComposer(None, has_content=True).plan(due)
    assert plan.ready
    with event.transaction(appends=False) as tx:
        push_outbox.acquire(tx, due, "me")
        for ready in plan.ready:
            push_outbox.mark_sent(tx, ready.push, ready.message)
            pushes.recall_shown(tx, pushes.showing([ready.message or 0]))
        pushes.recall(tx, [one.notification for one in due])
    push_outbox.count_due(engine().now_ms())
    pushes.count_waiting(user, engine().now_ms())


def picture() -> None:
    """Make the picture that is due ready, without decoding it."""
    assert pictures.is_any_due(engine().now_ms())
    due = pictures.next_due(engine().now_ms(), 0, [0], 1)
    assert due is not None
    with event.transaction() as tx:
        leased = pictures.acquire(tx, due)
        assert leased is not None
        pictures.renew_leases(tx, [leased])
        made = [blobs.begin(tx, 1).id for _ in range(2)]
        assert pictures.finish(tx, leased, 1, 1, made[0]) is not None
        pictures.replace_content(tx, leased, made[1], 1, "image/png", "a.png")
    assert not pictures.has_future(engine().now_ms())
    pictures.count_pending()


def use(settings: Settings) -> None:
    """Do once what users and workers do all the time."""
    ana, ben, cleo = people("ana", "ben", "cleo")
    (secret,) = credentials(ana)
    crew = make_group(ana, ben, cleo)
    subscribe(ben)
    for number in range(3):
        write(
            message.post,
            [Draft(ana, 1, f"hello {number}", to=ben, client_id="a"), Draft(ben, 0, "hi @all @ana", conversation=crew)],
        )
    newest = conversation.newest_message()
    write(message.react, ana, newest, "👍", added=True)
    write(read_marks.mark_read, cleo, crew, newest)
    write(token.load_actors, [1])
    token.find([token.digest(secret)])
    token.mark_used([(1, 1_000, "::1")])
    token.find_unused(0, 1, 10)
    write(presence.record_changes, "a", [ana], [ben])
    presence.online_now([ana, ben])
    presence.online_at([ana, ben], 1)
    catchup.read(ana, 1, None, 50, posts=True)
    event.read_after(1, 50)
    initial_state.load(ana)
    listed = views.conversation_list(ana, None, 1)
    views.conversation_list(ana, listed[-1][0], 1)
    conversation_search.find(ana, ["ben crew"])
    views.count_unread(ana, crew)
    changes.list_newest(ana, crew, None, 50)
    write(read_marks.mark_unread, cleo, crew, newest)
    message.history(ana, crew, None, None, 50)
    message.history(ana, crew, None, newest, 50)
    message.get_view(ana, newest)
    public = post_of(ana, None)
    with event.transaction() as tx:
        members = group.create(tx, ana, "Walkers").id
    post_of(ana, members)
    write(like.like, ben, public)
    write(like.bookmark, ben, public)
    write(comment.create, ben, public, "a comment", None)
    comment.list_page(ana, public, 0, 50)
    for chosen in (None, members):
        post_queries.list_page(ana, chosen, None, 50, bookmarked=False)
    post_queries.list_page(ben, None, None, 50, bookmarked=True)
    uploaded = [store_file(None, ana, name=f"{number}.pdf") for number in range(4)]
    execute("UPDATE files SET state='pending' WHERE id=?", (uploaded[0],))
    write(message.post, [Draft(ana, 0, "", to=ben, files=uploaded[:2])])
    with event.transaction() as tx:
        shown = post.create(tx, ana, None, "", uploaded[2:3])
    picture()
    message.get_view(ben, conversation.newest_message())
    tasks.run_pending()
    write(message.delete, ana, "user", conversation.newest_message())
    write(removal.delete_post, ana, "user", shown.id)
    execute("UPDATE files SET created_ms=1 WHERE id=?", (uploaded[3],))
    settings.files_path.mkdir()  # that of the objects
    Sweeper(settings).sweep()
    digests.collect(tasks.never)
    Mailer(settings).send_due()
    outbox.count_queued()
    push(ben)
    pending_mail.list_due_users(1, 10)
    notification.list_page(ana, None, None, 50, unread_only=False)
    notification.list_page(ana, "community", None, 50, unread_only=True)
    notification.unread_count(ana)
    burst_members.list_all(crew, 0)
    burst_members.list_by_level(crew, 0, counted=False)
    burst_members.list_among(crew, 0, [ana, ben])
    withdrawals.find_unread(crew, newest, [ana, ben])
    write(member_level.set_level, ana, crew, "mentions", None)
    write(quiet_hours.set_hours, ana, Quiet(list(DAYS), "00:00", "23:59"))
    quiet_now(ana)
    for caller in (ana, ben):
        rehearse_own(caller, TriedSettings())
    write(notification.mark_read, ana, None)
    for text in ("an", "ana b", ""):
        user.search(text, 0, 50)
        user.search(text, 0, 50, Bound(ana, SHARED))
    user.seen_view(ben, Bound(ana, SHARED))
    user.find_login("ana")
    user.admin_list(None, None, "an", 0, 50)
    for wanted in (search.ANY, SearchFilter(sender=ben), SearchFilter(conversation=crew)):
        search.find(ana, "hello", None, 50, wanted)
    for max_listed in (0, search.MAX_MESSAGES_LISTED):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search, "MAX_MESSAGES_LISTED", max_listed)
            search.find(ana, "hello from:ben", None, 50, SearchFilter(caller=Bound(ana, SHARED)))
            for query in ("hello from:ben in:crew after:2026", "from:@ben before:2030", "hello"):
                search.find(ana, query, None, 50)
    for kind in RECORD_TYPES:
        for filtered in (RecordFilter(), RecordFilter(user=ana), RecordFilter(action="message.sent"), RecordFilter(since_ms=1)):
            records.list_newest(kind, filtered, None, 50)
    write(message.edit, ana, 1, "other words")
    write(message.delete, ana, "user", 1)
    worker.all_workers()
    dead_letters.newest(50)
    tasks.retention.run(tasks.never)


def post_of(author: int, members: int | None) -> int:
    with event.transaction() as tx:
        return post.create(tx, author, members, "a post").id


@pytest.fixture
def statements(store: Settings, monkeypatch: pytest.MonkeyPatch) -> Statements:
    """Return the statements that `use` runs, each with the parameters of its first run."""
    caught: Statements = {}
    if engine().name == "sqlite":
        owner, name = db.obj, "execute_sql"
    else:
        owner, name = engine(), "_run"
    run = getattr(owner, name)

    def catch(*args: Any, **options: Any) -> Any:
        *_, sql, params = args if len(args) > 1 else (*args, ())
        caught.setdefault(sql, params or ())
        return run(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, catch)
        use(store)
    return {sql: params for sql, params in caught.items() if EXPLAINED.match(sql)}


def scanned_tables(sql: str, params: Sequence[Any]) -> set[str]:
    """Return the tables that the store would read from their beginning to their end."""
    if FIRST_ROW.fullmatch(sql):
        return set()
    if engine().name == "postgresql":
        with multi_index_read() if "tsquery" in sql else snapshot():
            plan = [line for (line,) in rows(f"EXPLAIN {sql}", params)]
        return {found for line in plan for found in re.findall(r"Seq Scan on (\w+)", line)} & set(db.get_tables())
    plan = [line for *_, line in rows(f"EXPLAIN QUERY PLAN {sql}", params)]
    names = {
        found
        for line in plan
        for found in re.findall(r"^SCAN (\w+)(?!.* VIRTUAL TABLE|.* (?:email_due|host_notice_unfinished))", line)
    }
    tables = {(alias or table): table for table, alias in re.findall(r'(?:FROM|JOIN) "?(\w+)"?(?: AS)? ?"?(\w*)"?', sql)}
    return {tables.get(name, name) for name in names} & set(db.get_tables())


def test_no_statement_that_runs_all_the_time_reads_a_whole_table(statements: Statements) -> None:
    assert len(statements) > MIN_STATEMENTS
    assert "sqlite_stat1" not in db.get_tables(), "statistics make SQLite scan tables that had few rows when they were gathered"
    scanned = {sql: tables for sql, params in statements.items() if (tables := scanned_tables(sql, params) - SMALL - ONCE_A_MINUTE)}
    assert scanned == {}
