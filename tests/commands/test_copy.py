import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from conf import Settings
from jobs import tasks
from jobs.consumers.notify import NotifyConsumer
from jobs.drain import drain as draining
from jobs.drain.drain import drain
from models.accounts import deletion, invitation, registration
from models.accounts.registration import NewUser
from models.blobs.folder import Folder
from models.chat import additions, conversation, member_level, message, presence, read_marks, reports, search
from models.chat.message import Draft, Posted
from models.community import comment as comments
from models.community import group as groups
from models.community import like, removal
from models.community import post as posts
from models.history import import_keys, marks
from models.history.marks import Marks
from models.hooks import incoming, webhook
from models.log import checkpoint, event
from models.notices import announcement, bursts, host_notices, host_types, pending_mail, preference, pushes, topics, unseen
from models.notices.unseen import NewUnseen
from models.ops import dead_letters
from models.records import activity, archive, audit
from models.records.export import Export
from models.records.records import RecordFilter
from models.schema import TABLES
from models.store import facts
from models.store.data_dir_lock import acquire_running_lock
from models.store.database import connect, decode_text, disconnect, execute, rows
from models.store.postgres import LOG_LOCK
from models.sync import catchup
from models.transfer.copying.tables import CARRIED, CHECKPOINTS, OF_PROCESSES
from tests.commands.installation import Installation
from tests.jobs.drain.test_drain import Poisoned, poisoned_event
from tests.models.people import credentials, group, people, scalar, send, subscribe
from tests.models.stored_files import store_file
from tests.python import run_python
from tests.stores import SECRET, PostgresServer, free_port

ODD = "a NUL \0 and \ufdd0, ünïcode 🎉 and wörds"
LONG_AGO = 4  # the newest event that is no longer kept
QUERIES = ("words", "unicode", "secret", "edit", "new")

# Copies with batches of a few rows, and is killed at a given step: around and inside each batch, and in the last transaction.
KILLED = """
import os, signal, sys
from conf import load
from models.chat import search
from models.transfer import copying
from models.transfer.copying import carrying
from models.transfer.copying.target import Target

left = int(sys.argv[2])

def step():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

class Rows(list):
    def __iter__(self):
        for number, row in enumerate(super().__iter__()):
            if number == 1:
                step()
            yield row

def stepping(real, wrap=lambda value: value):
    def run(*args):
        step()
        result = real(*args[:-1], wrap(args[-1]))
        step()
        return result
    return run

carrying.ROWS_PER_BATCH = carrying.INDEXED_PER_BATCH = 3
Target.insert = stepping(Target.insert, Rows)
Target.settle = stepping(Target.settle)
Target.finish = stepping(Target.finish)
search.index = stepping(search.index)
sys.exit(not copying.carry(load(), sys.argv[1], ("notify", "activity", "search"), print, lambda *_: None))
"""


@pytest.fixture
def target(postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty database, with a password that nobody may see."""
    url = postgres.create(None)
    yield url.replace("bellwire@", "bellwire:hunter2@")
    disconnect()
    postgres.drop(url)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a store in the middle of its life: its drains have done a part, an event is parked, the log has been
    trimmed. Made once."""
    bellwire = Installation(tmp_path_factory.mktemp("lived"))
    bellwire.succeed("migrate")
    _open(bellwire)
    users = people("ana", "ben", "cleo") + people("root", role="admin")
    _live(*users)
    _show_pictures(bellwire.data, *users)
    disconnect()
    return bellwire.data


@pytest.fixture
def sqlite(bellwire: Installation, lived: Path) -> Installation:
    """An installation with such a store of its own."""
    bellwire.settings["SECRET_KEY"] = SECRET
    shutil.copytree(lived, bellwire.data)
    return bellwire


def _live(ana: int, ben: int, cleo: int, root: int) -> None:
    subscribe(ben)  # by a token that is not the newest, which is deleted below
    credentials(ana, ben)
    with event.transaction() as tx:
        registration.sign_up(tx, SECRET, NewUser("dan", "dan@example.org"), "a hash")
        preference.unsubscribe(tx, ben, ["account"])
        _, code = invitation.create(tx, root, 2, 3600, None, "user")
        invitation.sign_up(tx, SECRET, code, NewUser("eli", "eli@example.org"), "a hash")
    crew = group(ana, ben, cleo)
    first = send(ana, "the first words", at=crew, client_id="retried")
    send(ana, ODD, to=ben)
    for n in range(7):
        send(ben, f"words {n}", at=crew)
    with event.transaction() as tx:
        conversation.remove_member(tx, ana, crew, cleo)
    send(ben, "words without Cleo", at=crew)
    with event.transaction() as tx:
        conversation.add_member(tx, ana, crew, cleo)
        message.react(tx, ben, first, "🎉", added=True)
        message.react(tx, ben, first, "é", added=True)
        message.react(tx, cleo, first, "z", added=True)
        message.edit(tx, ana, first, "the first edit, @ben and @all")
        read_marks.mark_read(tx, ben, crew, first)
        member_level.set_level(tx, ben, crew, "none", 2**45)
        reports.report_message(tx, ben, first, ODD.replace("\0", ""))
    _park(send(ben, "retry me", at=crew), retry=True)
    _park(send(ben, "leave me", at=crew), retry=False)
    with event.transaction() as tx:
        like.like(tx, cleo, posts.create(tx, ana, None, "liked").id)  # of messages there are no causes
    drain(NotifyConsumer())
    with event.transaction() as tx:
        bursts.add(tx, {event.head(): crew})
        unseen.add(tx, [NewUnseen(1, event.head(), crew, "urgent", tx.now_ms)])
        additions.request(tx, crew, [cleo])
    drain(tasks.consumers["watch"])
    for n in range(5):
        send(cleo, f"words after the drains {n}", to=ana)
    _meet(ana, ben)
    with event.transaction() as tx:
        announcement.create(tx, announcement.AnnouncementContent(ana, "user", None, "system", "Down on Sunday", "At noon.", b"{}"))
        pending_mail.claim_digest(tx, ben, "daily 2026-11-26")
        pushes.queue(tx, [pushes.NewPush(ben, 1, "conversation:7", 0)])
        presence.record_changes(tx, "gateway-1", [ben, cleo], [])
        presence.record_changes(tx, "gateway-1", [], [cleo])
    gone = send(ana, "secret", at=crew)
    with event.transaction() as tx:
        message.delete(tx, ana, "user", gone)
        execute("DELETE FROM events WHERE id<=?", (LONG_AGO,))
        execute("UPDATE facts SET value=? WHERE name='trimmed'", (str(LONG_AGO),))
        execute("DELETE FROM activities WHERE id=(SELECT max(id) FROM activities)")
        execute("DELETE FROM tokens WHERE id=(SELECT max(id) FROM tokens)")
        audit.record(tx, audit.AdminCall(root, "GET /api/v1/admin/users", "/api/v1/admin/users", b"{}", audit.READ, "::1", "a-1"))
    execute("INSERT INTO activity_hourly (hour_ms, action, site, count) VALUES (0, 'message.sent', 'north', 7)")
    execute("INSERT INTO archive_files (place, name, size_bytes) VALUES ('a folder', 'activity-1970-01.ndjson.gz', 7)")
    execute("UPDATE leases SET until_ms=1")
    _embed(root, ben, crew)
    import_keys.insert("shop", import_keys.MESSAGE, [("key 1", gone)])
    marks.move_later(crew, Marks(newest=gone))


def _show_pictures(data: Path, ana: int, ben: int, *_: int) -> None:
    """Send a file with a thumbnail, and leave one unsent."""
    sent, _unsent = (store_file(Folder(data / "files"), ana, content, b"smaller") for content in (b"a picture", b"another"))
    with event.transaction() as tx:
        message.post(tx, [Draft(ana, 0, "", to=ben, files=[sent])])


def _embed(admin: int, ben: int, crew: int) -> None:
    """Make rows of the tables that a host fills: notification types, notices, topics, hooks and ended tokens; delete an account."""
    (leaver,) = people("eve")
    with event.transaction() as tx:
        host_types.put(tx, "order.shipped", host_types.Definition({"en": host_types.TypeWords("An order left")}))
        topics.join(tx, "order-7", ben)
        host_notices.request(
            tx, host_notices.NewNotice("order.shipped", "topic", "order-7", None, b"{}", None, "once", None, False)
        )
        webhook.create(tx, SECRET, admin, "https://shop.example.org/hook", [], "the shop", None)
        incoming.create(tx, admin, crew, "CI")
        execute("INSERT INTO blocks (user_id, blocked_id, from_event, since_ms) VALUES (?,?,1,1)", (ben, admin))
        deletion.request(tx, leaver, "keep", admin)
        execute("INSERT INTO ended_host_tokens (hash, expires_ms) VALUES (?,?)", ("a hash", 10**13))


def _meet(ana: int, ben: int) -> None:
    with event.transaction() as tx:
        hikers = groups.create(tx, ana, "Hikers").id
        groups.join(tx, ben, hikers)
        groups.leave(tx, ben, hikers)
        first, second = (posts.create(tx, ana, place, ODD.replace("\0", "")).id for place in (None, hikers))
        like.like(tx, ana, first)
        like.bookmark(tx, ana, second)
        comments.create(tx, ana, first, "a comment", None)
        posts.append_count_updates(tx, [first, second])
        removal.delete_post(tx, ana, "user", second)


def _park(sent: int, retry: bool) -> None:
    poisoned = Poisoned({})
    poisoned.poison = poisoned_event(sent)
    drain(poisoned)
    if retry:
        with event.transaction() as tx:
            dead_letters.request_retry(tx, max(d["id"] for d in dead_letters.newest(10)))


def _open(bellwire: Installation, url: str | None = None, data: Path | None = None) -> None:
    settings = Settings(data_dir=data or bellwire.data, database_url=url, secret_key=SECRET)
    connect(settings)
    tasks.bind(settings)


def contents() -> dict[str, list[tuple[object, ...]]]:
    """All that clients could ask for and more, from whichever database is open."""
    found = {table.name: sorted(rows(f"SELECT {', '.join(table.columns)} FROM {table.name}"), key=repr) for table in CARRIED}
    bodies = [decode_text(body) for (body,) in rows("SELECT body FROM messages ORDER BY id")]
    del found["messages"], found["dead_work"]
    return found | {"bodies": [tuple(bodies)], "dead": [tuple(d.items()) for d in dead_letters.newest(10)]}


def read_from_everywhere() -> list[object]:
    """What each user's cursors give, from every place in the log."""
    newest, users = event.head(), [i for (i,) in rows("SELECT id FROM users ORDER BY id")]
    return [facts.epoch(), *(catchup.read(u, place, None, 5) for u in users for place in range(newest + 2))]


def both(bellwire: Installation, url: str, ask: Callable[[], object]) -> tuple[object, object]:
    """The same asked of the SQLite store, and then of the PostgreSQL one, which stays open."""
    _open(bellwire)
    here = ask()
    disconnect()
    _open(bellwire, url)
    return here, ask()


def killed(bellwire: Installation, url: str, steps: int) -> "subprocess.CompletedProcess[str]":
    """Copies in a process that is killed at one of its steps, if it gets there."""
    return run_python(["-c", KILLED, url, str(steps)], env=bellwire.environment(), cwd=bellwire.folder)


def test_every_table_is_carried_but_what_processes_hold() -> None:
    names = {table.name for table in CARRIED} | {"facts", CHECKPOINTS.name}
    assert names == {model._meta.table_name for model in TABLES if model not in OF_PROCESSES}


def test_everything_arrives_and_is_counted_and_what_comes_next_is_said(sqlite: Installation, target: str) -> None:
    (sqlite.data / "secret").write_text("the store's own secret, which signs\n")
    printed = sqlite.succeed("copy", "--to", target, SECRET_KEY="")
    counted = dict(re.findall(r"^(\w+) +([\d,]+) rows  ok$", printed, re.MULTILINE))
    assert set(counted) == {table.name for table in CARRIED} | {"checkpoints", "facts", "message_search"}
    for table in CARRIED:
        assert sqlite.rows(f"SELECT count(*) FROM {table.name}") == [(int(counted[table.name]),)]
        assert counted[table.name] != "0", f"the test has no {table.name}"
    assert "BELLWIRE_DATABASE_URL=postgresql://bellwire:***@" in printed
    assert f"the files stay in {sqlite.data / 'files'}" in printed
    assert f"the content of {sqlite.data / 'secret'}" in printed
    assert "hunter2" not in printed
    assert "which signs" not in printed
    here, there = both(sqlite, target, contents)
    assert here == there
    assert rows("SELECT gateway FROM leases") == []
    assert set(rows("SELECT name FROM facts")) == {("epoch",), ("trimmed",), ("oldest_code",), ("push_key",)}


def test_cursors_from_before_go_on_as_if_nothing_had_happened(sqlite: Installation, target: str) -> None:
    sqlite.succeed("copy", "--to", target)
    here, there = both(sqlite, target, read_from_everywhere)
    assert here == there


def test_retries_are_known_and_new_ids_follow_all_that_ever_were(sqlite: Installation, target: str) -> None:
    sqlite.succeed("copy", "--to", target)
    numbered = [table.name for table in CARRIED if table.numbered]
    newest = dict(sqlite.rows("SELECT name, seq FROM sqlite_sequence"))
    newest |= {t: sqlite.rows(f"SELECT max(id) FROM {t}")[0][0] for t in numbered if t not in newest}
    _open(sqlite, target)
    drafts = [Draft(1, 0, "another text", to=2, client_id="retried"), Draft(1, 0, "new", to=2, client_id="other")]
    with event.transaction() as tx:
        (earlier, new) = message.post(tx, drafts)
    assert isinstance(earlier, Posted)
    assert isinstance(new, Posted)
    assert b"the first edit" in earlier.json
    assert f'"id":{newest["messages"] + 1},'.encode() in new.json
    group(1, 2)
    credentials(1)
    people("dora")
    for table in ("events", "conversations", "memberships", "tokens", "users"):
        assert int(str(scalar(f"SELECT min(id) FROM {table} WHERE id>?", newest[table]))) == newest[table] + 1
    for table in numbered:
        assert int(str(scalar(f"SELECT nextval('{table}_id_seq')"))) > newest[table]


def test_search_finds_what_it_is_to_find(sqlite: Installation, target: str) -> None:
    sqlite.succeed("copy", "--to", target)
    _open(sqlite)
    drain(tasks.consumers["search"])
    here, there = both(sqlite, target, lambda: [search.find(1, words, None, 100).ids for words in QUERIES])
    assert here == there
    assert search.find(1, "unicode", None, 10).ids
    assert not search.find(1, "secret", None, 10).ids


def test_drains_go_on_and_do_no_event_again(sqlite: Installation, target: str) -> None:
    sqlite.succeed("copy", "--to", target)

    def finish() -> list[object]:
        done = {name: drain(consumer).events for name, consumer in tasks.consumers.items()}
        made = "SELECT user_id, type, title, body, data, count, grouping FROM notifications ORDER BY user_id, grouping"
        acts = rows("SELECT user_id, action, metadata, at_ms FROM activities")
        return [done, rows(made), sorted(acts), dead_letters.consumers_to_retry(), len(dead_letters.newest(10))]

    here, there = both(sqlite, target, finish)
    assert here == there
    stands = checkpoint.all_positions()
    assert {name: sorted(parts) for name, parts in stands.items()} == {
        name: [part.number for part in consumer.parts()] for name, consumer in tasks.consumers.items()
    }
    assert draining.drain(tasks.consumers["notify"]).events == 0


def test_records_of_old_months_arrive_in_partitions_and_files_are_read_as_before(sqlite: Installation, target: str) -> None:
    old = [(1, "old", str(at_ms), "{}", None, None, at_ms) for at_ms in (1_741_000_000_000, 1_746_000_000_000)]
    _open(sqlite)
    activity.record(old)
    assert tasks.archiver.run(lambda: False) == 1, "the one with the newest id stays"
    activity.record(old)
    disconnect()
    sqlite.succeed("copy", "--to", target)

    def exported() -> bytes:
        return b"".join(Export(activity.RECORD_TYPE, RecordFilter(), archive.folder(sqlite.data)).steps())

    here, there = both(sqlite, target, exported)
    assert here == there
    assert there.count(b'"old"') == 4
    assert rows("SELECT 1 FROM activities_rest") == []
    assert tasks.archiver.run(lambda: False) == 2, "both months are detached"
    assert exported() == here


def test_a_copy_killed_again_and_again_becomes_the_same(sqlite: Installation, target: str) -> None:
    kills = 0
    while (done := killed(sqlite, target, 15 + 5 * kills % 17)).returncode == -9:  # at every kind of step, sooner or later
        kills += 1
        assert kills < 50, "it gets no further"
    assert done.returncode == 0 or "finished copy of this store already" in done.stderr, done.stderr  # killed right after its end
    assert kills > 7
    here, there = both(sqlite, target, lambda: (contents(), read_from_everywhere()))
    assert here == there
    assert scalar("SELECT count(*) FROM message_search") == scalar("SELECT count(*) FROM messages WHERE deleted_ms IS NULL")


def test_a_copy_that_is_not_finished_is_no_store_yet(sqlite: Installation, target: str) -> None:
    assert killed(sqlite, target, 20).returncode == -9
    _open(sqlite, target)
    assert facts.epoch() != sqlite.rows("SELECT value FROM facts WHERE name='epoch'")[0][0]
    execute("INSERT INTO duties (name, holder, until_ms) VALUES ('watch', 'worker-1', 1)")
    assert "has run on the half-made copy (duties)" in sqlite.refused("copy", "--to", target)


def test_a_store_that_went_on_meanwhile_is_noticed(sqlite: Installation, target: str) -> None:
    assert killed(sqlite, target, 20).returncode == -9
    sqlite.write("UPDATE users SET display_name='Benjamin' WHERE username='ben'")
    done = sqlite.command("copy", "--to", target)
    assert done.returncode == 1
    assert re.search(r"^users +8 rows  DIFFERS from SQLite's 8: id 2 differs \(display_name\)$", done.stdout, re.MULTILINE)
    assert "copied. On every host" not in done.stdout
    assert "create an empty one" in done.stdout


def test_a_finished_copy_and_a_half_made_one_of_another_store_are_refused(sqlite: Installation, target: str) -> None:
    assert killed(sqlite, target, 20).returncode == -9
    other = sqlite.folder / "other"
    shutil.copytree(sqlite.data, other)
    Installation.write(_at(other), "UPDATE facts SET value='other' WHERE name='epoch'")
    assert "of another store" in sqlite.refused("copy", "--to", target, DATA_DIR=str(other))
    sqlite.succeed("copy", "--to", target)
    assert "finished copy of this store already" in sqlite.refused("copy", "--to", target)
    assert "holds other data (users, " in sqlite.refused("copy", "--to", target, DATA_DIR=str(other))


def _at(data: Path) -> Installation:
    found = Installation(data.parent)
    found.database = data / "bellwire.db"
    return found


def test_somebody_elses_data_stays_untouched(sqlite: Installation, postgres: PostgresServer) -> None:
    url = postgres.create()
    try:
        _open(sqlite, url)
        people("zoe")
        before = (contents(), rows("SELECT name, value FROM facts ORDER BY name"))
        assert "holds other data (users, " in sqlite.refused("copy", "--to", url)
        assert before == (contents(), rows("SELECT name, value FROM facts ORDER BY name"))
    finally:
        disconnect()
        postgres.drop(url)


def test_tables_of_another_program_get_no_company(sqlite: Installation, target: str) -> None:
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("CREATE TABLE users (name text)")
        assert "tables of something else" in sqlite.refused("copy", "--to", target)
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname='public'").fetchone() == (1,)


@pytest.mark.parametrize(("name", "why"), [("a\0b", "NUL"), ("x" * 81, "too long")])
def test_a_row_that_postgresql_can_not_hold_is_named_and_the_rest_goes_on_when_it_is_mended(
    sqlite: Installation, target: str, name: str, why: str
) -> None:
    sqlite.write("UPDATE users SET display_name=? WHERE id=2", name)
    done = sqlite.command("copy", "--to", target)
    assert done.returncode == 2
    assert "the row with id 2 of users" in done.stderr
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    sqlite.write("UPDATE users SET display_name='Ben' WHERE id=2")
    sqlite.succeed("copy", "--to", target)


def test_what_runs_on_the_folder_must_be_stopped_first(sqlite: Installation, target: str) -> None:
    held = acquire_running_lock(sqlite.data)
    assert "a gateway, worker or other command is using" in sqlite.refused("copy", "--to", target)
    held.close()
    sqlite.succeed("copy", "--to", target)


def test_who_writes_to_the_target_must_be_stopped_too(sqlite: Installation, target: str) -> None:
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (LOG_LOCK,))
        assert "somebody is writing to the target" in sqlite.refused("copy", "--to", target)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://bellwire:hunter2@host/name",
        "postgresql://bellwire:hunter2@host:port/name",
        "postgresql://bellwire:hunter2%zz@host/name",
        "postgresql://bellwire:hunt/er2@host/name",
        "postgresql://bellwire:hunter2@host/name?colour=red",
    ],
)
def test_a_url_that_is_none_is_named_without_its_password(sqlite: Installation, url: str) -> None:
    said = sqlite.refused("copy", "--to", url)
    assert "--to" in said
    assert "://***@host" in said
    assert "er2" not in said


def test_a_server_that_is_not_there_is_an_error_that_says_to_run_it_again(sqlite: Installation) -> None:
    said = sqlite.refused("copy", "--to", f"postgresql://bellwire:hunter2@127.0.0.1:{free_port()}/bellwire")
    assert "run the same command again" in said
    assert "hunter2" not in said


def test_there_must_be_a_sqlite_store_of_this_version_to_copy(bellwire: Installation, target: str) -> None:
    assert "there is no database" in bellwire.refused("copy", "--to", target)
    assert not bellwire.data.exists()
    assert "BELLWIRE_DATABASE_URL" in bellwire.refused("copy", "--to", target, DATABASE_URL=target, SECRET_KEY=SECRET)
    bellwire.succeed("migrate")
    bellwire.write("DELETE FROM schema_migration WHERE name='0003_accounts_and_mail'")
    assert "0003_accounts_and_mail pending" in bellwire.refused("copy", "--to", target)
    bellwire.write("UPDATE schema_migration SET name='9999_later' WHERE name='0001_initial'")
    assert "newer version (9999_later)" in bellwire.refused("copy", "--to", target)


def test_what_was_not_finished_serves_nobody(bellwire: Installation, postgres: PostgresServer) -> None:
    url = postgres.create()
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("INSERT INTO facts (name, value) VALUES ('copying', 'somebody')")
        for command in ("serve", "gateway", "worker"):
            assert "run.py copy" in bellwire.refused(command, DATABASE_URL=url, SECRET_KEY=SECRET)
    finally:
        postgres.drop(url)
