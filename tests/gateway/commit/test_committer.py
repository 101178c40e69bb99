"""The committer with failing operations, with a failing store, and when it stops."""

import asyncio
import random
import resource
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any

import httpx
import peewee
import pytest
from tornado.netutil import bind_sockets

from conf import Settings
from gateway import server as server_module
from gateway.app import Application
from gateway.commit import batch as batch_module
from gateway.commit import committer as committer_module
from gateway.commit.batch import MAX_WEIGHT_OF_A_CALLER, Operation, OperationFailedError
from gateway.commit.committer import Committer
from gateway.http.deadlines import Deadlines, Server
from gateway.http.services import Services
from models.chat import conversation, message, targets
from models.chat.message import Draft, MessageCopy
from models.identity import token
from models.identity.token import Actor
from models.log import event
from models.log.event import Transaction
from models.records.audit import AdminCall
from models.store.database import db, engine, execute, in_transaction, insert_rows, rows
from models.store.errors import ActingError, DeadTokenError, ForbiddenError, InvalidError, NotFoundError, StoreDownError
from tests.journeys.clients import BROKEN, Link, Sender
from tests.journeys.cluster import Cluster, seed
from tests.journeys.core import Core, opened, token_of
from tests.journeys.test_kills import check_messages
from tests.models.people import credentials, group, people, scalar, send
from tests.stores import Database, named
from tests.waiting import LIMIT_S, until_async


@pytest.fixture(autouse=True)
def store(tmp_path: Path, database: Database) -> Iterator[Settings]:
    with database.fresh() as options, opened(tmp_path, durability="normal", **options) as settings:
        yield settings


async def together(core: Core, *waiting: "asyncio.Future[Any]") -> list[Any]:
    """Await operations that were queued together; return their results and errors."""
    return await asyncio.gather(*waiting, return_exceptions=True)


async def busy(committer: Committer) -> "tuple[threading.Event, asyncio.Future[object]]":
    """Occupy the committer's thread with a transaction until the returned event is set."""
    begun, gate = threading.Event(), threading.Event()

    def wait(tx: Transaction) -> None:
        begun.set()
        while not gate.wait(0.2):
            rows("SELECT 1")  # PostgreSQL ends a transaction that is idle for a second

    busy_operation = committer.call(None, wait)
    await until_async(begun.is_set)
    return gate, busy_operation


def test_a_failing_operation_fails_alone_and_the_rest_of_its_batch_commits() -> None:
    ana, ben = people("ana", "ben")
    crew = group(ana, ben)
    message_id = send(ana, at=crew)

    def defect(tx: Transaction) -> None:
        conversation.rename(tx, ana, crew, "undone")
        raise ZeroDivisionError

    def bad_sql(tx: Transaction) -> None:
        message.edit(tx, ana, message_id, "undone")
        execute("SELECT * FROM no_such_table")

    async def scenario() -> None:
        async with Core() as core:
            call, post = core.committer.call, core.committer.post
            gate, busy_operation = await busy(core.committer)
            waiting = together(
                core,
                post(Draft(ana, token_of(ana), "one", conversation=crew)).future,
                call(None, defect),
                post(Draft(ana, token_of(ana), "", conversation=crew)).future,
                post(Draft(ana, token_of(ana), "two", conversation=crew)).future,
                call(None, bad_sql),
                call(None, lambda tx: message.edit(tx, ben, message_id, "not his")),
                post(Draft(ben, token_of(ben), "three", conversation=crew)).future,
            )
            gate.set()
            results = await waiting
            await busy_operation
            assert core.batches == [1, 7]
        types = [type(result) for result in results]
        assert types[1:3] == [OperationFailedError, InvalidError]
        assert types[4:6] == [OperationFailedError, ForbiddenError]
        assert all(results[n].created for n in (0, 3, 6))

    token_of(ana), token_of(ben)
    asyncio.run(scenario())
    assert rows("SELECT body FROM messages ORDER BY id") == [("words",), ("one",), ("two",), ("three",)]
    assert scalar("SELECT title FROM conversations") == "Crew"
    assert rows("SELECT type FROM events WHERE stream LIKE 'conversation:%'") == [("message.created",)] * 4


def test_an_admins_sends_as_many_users_are_one_batch_with_the_users_own() -> None:
    (root,) = people("root", role="admin")
    ana, ben, gone = people("ana", "ben", "gone")
    crew, key = group(ana, ben, gone), token_of(root)
    own = token_of(ana)
    execute("UPDATE users SET status='suspended' WHERE id=?", (gone,))

    def acted(user: int, body: str, by: int = key) -> tuple[Draft, AdminCall]:
        call = AdminCall(root, "POST /api/v1/messages", "/api/v1/messages", b'{"acting_for":%d}' % user, "done", "::1", body)
        return Draft(user, by, body, conversation=crew), call

    async def scenario() -> list[Any]:
        async with Core() as core:
            post = core.committer.post
            gate, busy_operation = await busy(core.committer)
            sends = [acted(user, str(n)) for n in range(MAX_WEIGHT_OF_A_CALLER) for user in (ana, ben)]
            refused = [acted(gone, "late"), acted(ben, "not an admin's", own), acted(ben, "")]
            own_sends = [post(Draft(ana, own, "own", conversation=crew))]
            waiting = together(core, *(o.future for o in [*own_sends, *(post(*send) for send in [*sends, *refused])]))
            gate.set()
            results = await waiting
            await busy_operation
            assert core.batches[:2] == [1, 1 + len(sends) + 1]  # of each user a few
            return results

    posted, refusals = (results := asyncio.run(scenario()))[:-3], results[-3:]
    assert all(result.created for result in posted)
    assert [type(result) for result in refusals] == [ActingError, ForbiddenError, InvalidError]
    recorded = rows("SELECT user_id, triggered_by, request_id, outcome FROM audits ORDER BY user_id, request_id")
    assert recorded == [(user, root, str(n), "done") for user in (ana, ben) for n in range(MAX_WEIGHT_OF_A_CALLER)]


@pytest.mark.only("sqlite")
def test_a_message_with_more_copies_than_sql_parameters_is_deleted() -> None:
    ana, ben = people("ana", "ben")
    message_id = send(ana, "secret", to=ben)
    # Some builds of SQLite allow 250,000, and the test would need as many rows.
    db.connection().setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 2_000)
    with event.transaction() as tx:
        copies = [tx.append("conversation:1", "message.updated", b'{"id":1,"body":"secret"}') for _ in range(2_100)]
        insert_rows(MessageCopy, ("message_id", "event"), [(message_id, number) for number in copies])
    with event.transaction() as tx:
        message.delete(tx, ana, "user", message_id)
    assert scalar("SELECT count(*) FROM events WHERE data LIKE '%secret%'") == 0


@pytest.mark.only("sqlite")
def test_all_tokens_of_a_user_with_more_of_them_than_sql_parameters_are_revoked() -> None:
    (ana,) = people("ana")
    db.connection().setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 2_000)
    with event.transaction() as tx:
        for _ in range(2_100):
            token.create(tx, ana)
    with event.transaction() as tx:
        token.revoke(tx, ana)
    assert scalar("SELECT count(*) FROM tokens") == 0


def test_the_id_of_a_revoked_token_is_never_used_again() -> None:
    ana, ben = people("ana", "ben")
    old = token_of(ana)

    async def scenario() -> None:
        async with Core() as core:
            await core.do(lambda tx: token.revoke(tx, ana))
            await core.do(lambda tx: token.create(tx, ben))
            with pytest.raises(DeadTokenError):
                await core.committer.post(Draft(ana, old, "from the grave", to=ben)).future

    asyncio.run(scenario())
    assert scalar("SELECT count(*) FROM messages") == 0


def test_a_transaction_has_at_most_a_hundred_operations_however_many_wait() -> None:
    ben, *senders = people("ben", *[f"sender{n}" for n in range(50)])
    tokens = {sender: token_of(sender) for sender in senders}
    drafts = [Draft(sender, tokens[sender], str(n), to=ben) for n, sender in enumerate(senders * 5)]

    async def scenario() -> None:
        async with Core() as core:
            gate, busy_operation = await busy(core.committer)
            waiting = together(core, *(core.committer.post(draft).future for draft in drafts))
            gate.set()
            await busy_operation
            results = await waiting
            assert [result.created for result in results] == [True] * 250
            assert sum(core.batches) == 251
            assert max(core.batches) == 100

    asyncio.run(scenario())
    assert rows("SELECT body FROM messages ORDER BY id") == [(str(n),) for n in range(250)]


def test_a_caller_with_many_or_large_operations_has_a_few_in_a_transaction() -> None:
    ana, ben, cy = people("ana", "ben", "cy")
    hostile, other = token_of(ana), token_of(cy)

    async def scenario() -> None:
        async with Core() as core:
            ran: list[str] = []
            gate, busy_operation = await busy(core.committer)
            waiting = together(
                core,
                *(core.committer.call(hostile, lambda _, n=n: ran.append(f"call {n}")) for n in range(4)),
                *(core.committer.post(Draft(ana, hostile, "x" * 19_000, to=ben)).future for _ in range(2)),
                core.committer.call(other, lambda _: ran.append("other")),
                core.committer.post(Draft(cy, other, "hello", to=ben)).future,
            )
            gate.set()
            await busy_operation
            await waiting
            assert ran == ["call 0", "call 1", "other", "call 2", "call 3"]
            assert core.batches == [1, 4, 2, 1, 1]

    asyncio.run(scenario())
    assert rows("SELECT sender_id FROM messages ORDER BY id") == [(cy,), (ana,), (ana,)]


def test_a_transaction_that_has_lasted_too_long_leaves_the_rest_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(committer_module, "SLOW_OPERATION_S", 0.0)
    done: list[int] = []

    def slow_verb(number: int, tx: Transaction) -> None:
        done.append(number)
        if number == 3:
            raise ZeroDivisionError

    async def scenario() -> None:
        async with Core(max_transaction_s=0.0) as core:
            gate, busy_operation = await busy(core.committer)
            waiting = together(core, *(core.committer.call(None, partial(slow_verb, n)) for n in range(5)))
            gate.set()
            await busy_operation
            assert [type(result) for result in await waiting] == [*[type(None)] * 3, OperationFailedError, type(None)]
            assert core.batches == [1] * 6
            assert not core.committer._unanswered

    asyncio.run(scenario())
    assert done == [0, 1, 2, 3, 4]
    assert "slow_verb" in "".join(capsys.readouterr())


def test_an_operation_is_logged_under_the_name_of_its_verb() -> None:
    def wrapped(run: Callable[[Transaction], Any]) -> Callable[[Transaction], Any]:
        return wraps(run)(lambda tx: run(tx))

    def verb_of(run: Callable[[Transaction], Any]) -> str:
        return Operation(run, None, future).verb

    future: asyncio.Future[Any] = asyncio.Future(loop=asyncio.new_event_loop())
    assert verb_of(token.mark_used) == "models.identity.token.mark_used"
    assert verb_of(partial(lambda run, tx: run(tx), wrapped(token.mark_used))) == "models.identity.token.mark_used"
    assert verb_of(lambda tx: None).endswith("test_an_operation_is_logged_under_the_name_of_its_verb")


def test_an_operation_after_the_stop_is_refused() -> None:
    ana, ben = people("ana", "ben")

    async def scenario() -> None:
        async with Core() as core:
            before = core.committer.post(Draft(ana, token_of(ana), "in time", to=ben))
            ending = asyncio.ensure_future(core.committer.stop())
            await asyncio.sleep(0)
            with pytest.raises(StoreDownError):
                core.committer.post(Draft(ana, token_of(ana), "too late", to=ben))
            await ending
            assert (await before.future).created

    asyncio.run(scenario())
    assert rows("SELECT body FROM messages") == [("in time",)]


def test_a_token_revoked_in_the_same_batch_sends_no_more() -> None:
    ana, ben = people("ana", "ben")
    number = token_of(ana)

    async def scenario() -> None:
        async with Core() as core:
            post = core.committer.post
            results = await together(
                core,
                core.committer.call(None, lambda tx: execute("SELECT 1")),
                post(Draft(ana, number, "before", to=ben)).future,
                core.committer.call(number, lambda tx: token.revoke(tx, ana)),
                post(Draft(ana, number, "after", to=ben)).future,
                core.committer.call(number, lambda tx: conversation.create(tx, ana, [ben], "after")),
            )
            assert [type(result) for result in results[3:]] == [DeadTokenError] * 2
            with pytest.raises(DeadTokenError):
                await post(Draft(ana, number, "long after", to=ben)).future

    asyncio.run(scenario())
    assert rows("SELECT body FROM messages") == [("before",)]


def test_a_batch_whose_transaction_was_rolled_back_fails_as_a_whole() -> None:
    ana, ben = people("ana", "ben")
    token_of(ana)

    def roll_back(tx: Transaction) -> None:
        execute("ROLLBACK")  # as SQLite does after an I/O error

    async def scenario() -> None:
        async with Core() as core:
            gate, busy_operation = await busy(core.committer)  # so that the others share the next batch
            operations = [core.committer.post(Draft(ana, token_of(ana), f"one {n}", to=ben)).future for n in range(3)]
            operations.insert(1, core.committer.call(None, roll_back))
            gate.set()
            await busy_operation
            assert [type(result) for result in await together(core, *operations)] == [StoreDownError] * 4
            assert core.hub.head == event.head()
            assert (await core.send(ana, "two", to=ben)).created

    asyncio.run(scenario())
    assert rows("SELECT body FROM messages") == [("two",)]
    assert scalar("SELECT count(*) FROM events WHERE type='message.created'") == 1
    assert scalar("SELECT count(*) FROM conversations") == 1


def test_facts_cached_in_a_failed_batch_are_dropped() -> None:
    """A direct conversation created in a rolled-back transaction is created again by the next one."""
    ana, ben = people("ana", "ben")

    async def scenario() -> None:
        async with Core() as core:

            def create_and_roll_back(tx: Transaction) -> None:
                targets.get_or_create_direct(tx, ana, ben)
                execute("ROLLBACK")

            with pytest.raises(StoreDownError):
                await core.do(create_and_roll_back)
            assert (await core.send(ana, to=ben)).created

    asyncio.run(scenario())
    assert rows("SELECT conversation_id FROM messages") == rows("SELECT id FROM conversations")


def test_a_store_that_is_locked_at_the_start_does_not_end_the_committer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store may be locked while another process recovers it after a crash. The test simulates this short moment."""
    ana, ben = people("ana", "ben")
    token_of(ana)

    tries = iter([peewee.OperationalError("database is locked")] * 3)
    configure = engine().configure_committer_connection

    def locked() -> None:
        for error in tries:
            raise error
        configure()

    monkeypatch.setattr(engine(), "configure_committer_connection", locked)

    async def scenario() -> None:
        async with Core() as core, asyncio.timeout(LIMIT_S):
            await until_async(lambda: next(tries, None) is None)
            await until_async(lambda: not core.committer.down)
            assert (await core.send(ana, to=ben)).created

    asyncio.run(scenario())


@pytest.mark.parametrize("by_another_process", [False, True])
def test_a_user_who_left_cannot_send_until_they_return(by_another_process: bool) -> None:
    """The committer drops its cached membership, whichever process committed the change."""
    ana, ben = people("ana", "ben")
    crew = group(ana, ben)
    token_of(ben)

    async def scenario() -> None:
        async with Core() as core:

            async def change(verb: Callable[[Transaction, int, int, int], None]) -> None:
                if by_another_process:
                    with event.transaction() as tx:
                        verb(tx, ana, crew, ben)
                else:
                    await core.do(lambda tx: verb(tx, ana, crew, ben))

            for _ in range(3):
                assert (await core.send(ben, "in", conversation=crew)).created
                await change(conversation.remove_member)
                with pytest.raises(NotFoundError):
                    await core.send(ben, "out", conversation=crew)
                await change(conversation.add_member)

    asyncio.run(scenario())
    assert rows("SELECT body FROM messages") == [("in",)] * 3


@pytest.mark.parametrize("by_another_process", [False, True])
def test_a_token_revoked_on_another_gateway_sends_no_more_here(by_another_process: bool) -> None:
    ana, ben = people("ana", "ben")
    number = token_of(ana)

    async def scenario() -> None:
        async with Core() as core:
            assert (await core.send(ana, "one", to=ben)).created
            if by_another_process:
                with event.transaction() as tx:
                    token.revoke(tx, ana)
            else:
                await core.do(lambda tx: token.revoke(tx, ana))
            with pytest.raises(DeadTokenError):
                await core.committer.post(Draft(ana, number, "two", to=ben)).future

    asyncio.run(scenario())
    assert rows("SELECT body FROM messages") == [("one",)]


@pytest.mark.parametrize(
    "events",
    [committer_module.MAX_FOREIGN_EVENTS - 1, committer_module.MAX_FOREIGN_EVENTS, committer_module.MAX_FOREIGN_EVENTS + 1],
)
def test_a_member_removed_among_many_events_of_another_process_cannot_send(events: int) -> None:
    ana, ben = people("ana", "ben")
    crew = group(ana, ben)
    token_of(ben)

    async def scenario() -> None:
        async with Core() as core:
            assert (await core.send(ben, "in", conversation=crew)).created
            with event.transaction() as tx:
                message.post(tx, [Draft(ana, 0, "aside", conversation=crew) for _ in range(events - 2)])
                conversation.remove_member(tx, ana, crew, ben)
            with pytest.raises(NotFoundError):
                await core.send(ben, "out", conversation=crew)

    asyncio.run(scenario())


def test_a_cancelled_operation_delays_no_other() -> None:
    ana, ben = people("ana", "ben")

    async def scenario() -> None:
        async with Core() as core:
            cancelled = core.committer.post(Draft(ana, token_of(ana), "one", to=ben)).future
            cancelled.cancel()
            refused = core.committer.post(Draft(ana, token_of(ana), "", to=ben)).future
            refused.cancel()
            assert (await core.send(ana, "two", to=ben)).created

            rolled_back = threading.Event()

            def roll_back(tx: Transaction) -> None:
                rolled_back.set()
                execute("ROLLBACK")

            core.committer.call(None, roll_back).cancel()
            await until_async(rolled_back.is_set)
            assert (await core.send(ana, "three", to=ben)).created

    asyncio.run(scenario())


def test_a_transaction_of_another_writer_only_delays_sends(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    token_of(ana)

    async def scenario() -> None:
        async with Core() as core:
            with event.transaction():
                sends = [core.committer.post(Draft(ana, token_of(ana), f"{n}", to=ben)).future for n in range(50)]
                await asyncio.wait(sends, timeout=0.3)
                assert not any(send.done() for send in sends)
            assert all(posted.created for posted in await asyncio.gather(*sends))

    asyncio.run(scenario())
    assert scalar("SELECT count(*) FROM messages") == 50


def test_a_full_queue_is_answered_503_with_retry_after(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer_module, "MAX_QUEUED_OPERATIONS", 5)  # the real bound would need thousands of connections
    ana, ben = people("ana", "ben")
    (credential,) = credentials(ana)

    async def scenario() -> None:
        services = Services(store.model_copy(update={"rate_limits": False}), lambda: None)
        services.start()
        deadlines: Deadlines = {}
        server = Server(Application(services, deadlines), deadlines=deadlines)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        port = sockets[0].getsockname()[1]
        gate, busy_operation = await busy(services.committer)
        links = [Link(port, credential) for _ in range(12)]
        sends = [asyncio.ensure_future(link.call("POST", "/api/v1/messages", {"to": ben, "body": "hi"})) for link in links]
        # Four are queued beside the operation that occupies the thread.
        await until_async(lambda: sum(send.done() for send in sends) >= 8)
        early = [send.result() for send in sends if send.done()]
        assert {answer.status for answer in early} == {503}
        assert all(answer.headers["retry-after"] == "1" and answer.body["type"] == "/problems/unavailable" for answer in early)
        gate.set()
        await busy_operation
        statuses = sorted([(await send).status for send in sends])
        assert set(statuses) == {201, 503}
        assert statuses.count(503) >= len(early)
        assert statuses.count(201) <= 5
        assert scalar("SELECT count(*) FROM messages") == statuses.count(201) > 0
        assert (await links[0].call("POST", "/api/v1/messages", {"to": ben, "body": "hi"})).status == 201
        for link in links:
            link.close()
        server.stop()
        await services.committer.stop()
        await server.close_all_connections()
        services.bus.stop()
        services.tail.stop()
        services.read.close()

    asyncio.run(scenario())


def test_a_full_queue_does_not_end_the_tasks_of_each_second(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer_module, "MAX_QUEUED_OPERATIONS", 0)
    monkeypatch.setattr(server_module, "TICK_S", 0.001)
    monkeypatch.setattr(server_module, "RECORD_USES_TICKS", 1)
    (ana,) = people("ana")
    actor = Actor(ana, token_of(ana), "user", "active")

    async def scenario() -> None:
        services = Services(store, lambda: None)
        swept = 0

        def sweep() -> None:
            nonlocal swept
            swept += 1

        monkeypatch.setattr(services.presence, "sweep", sweep)
        services.tokens.record_use(actor, lambda: "127.0.0.1")
        ticking = asyncio.ensure_future(server_module._tick(services, Server(Application(services, {}), deadlines={})))
        await until_async(lambda: swept > 3 or ticking.done())
        assert not ticking.done()
        ticking.cancel()
        services.read.close()

    asyncio.run(scenario())


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, store: Settings) -> Iterator[Cluster]:
    options = {name: str(value) for name, value in named(store).items() if name != "data_dir"}
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), options)
    yield cluster
    cluster.close()


@pytest.mark.only("sqlite")
def test_a_full_disk_is_answered_503_loses_nothing_and_sends_succeed_when_there_is_space(cluster: Cluster) -> None:
    """A limit on file sizes makes the gateway's writes fail as a full disk does."""
    ana, ben = cluster.people("ana", "ben")
    port = cluster.start_gateway()
    rng = random.Random(seed())

    async def scenario() -> list[Sender]:
        senders = [Sender(cluster, ana, [{"to": ben}], rng, f"s{n}") for n in range(4)]
        stopped = False
        async with asyncio.TaskGroup() as tasks:
            for sender in senders:
                tasks.create_task(sender.send_until(lambda: stopped))
            for _ in range(3):
                target = answered(senders) + 50
                await until_async(lambda target=target: answered(senders) >= target)
                unavailable = sum(sender.unavailable for sender in senders)
                limit(cluster.process(port).pid, 40_000)
                await until_async(lambda unavailable=unavailable: sum(sender.unavailable for sender in senders) > unavailable + 8)
                await until_async(lambda: readiness(port) == ["commits"])
                limit(cluster.process(port).pid, resource.RLIM_INFINITY)
                await until_async(lambda: readiness(port) == [])
            target = answered(senders) + 50
            await until_async(lambda: answered(senders) >= target)
            stopped = True
        return senders

    senders = asyncio.run(scenario())
    check_messages(senders)
    assert rows("PRAGMA integrity_check") == [("ok",)]


def answered(senders: list[Sender]) -> int:
    return sum(len(sender.sent) for sender in senders)


def readiness(port: int) -> list[str]:
    """Return what fails according to /readyz."""
    answer = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False)
    return [] if answer.status_code == 200 else list(answer.json()["failing"])


def limit(process: int, file_bytes: int) -> None:
    resource.prlimit(process, resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))


def test_a_message_sent_while_the_gateway_stops_is_either_stored_or_refused(cluster: Cluster) -> None:
    ana, ben = cluster.people("ana", "ben")
    port = cluster.start_gateway()

    async def sending(name: str, answered_ids: dict[str, int]) -> None:
        link = Link(port, cluster.token[ana])
        number = 0
        while True:
            number += 1
            body = {"to": ben, "body": "hi", "client_id": f"{name}-{number}"}
            try:
                answer = await link.call("POST", "/api/v1/messages", body)
            except BROKEN:
                link.close()
                return
            assert answer.status in (201, 503), answer
            if answer.status == 201:
                answered_ids[str(body["client_id"])] = answer.body["id"]

    async def scenario() -> dict[str, int]:
        answered_ids: dict[str, int] = {}
        async with asyncio.TaskGroup() as tasks:
            for n in range(8):
                tasks.create_task(sending(f"s{n}", answered_ids))
            await until_async(lambda: len(answered_ids) > 100)
            cluster.process(port).send_signal(signal.SIGTERM)
        return answered_ids

    answered_ids = asyncio.run(scenario())
    assert cluster.process(port).wait(LIMIT_S) == 0
    stored = dict(rows("SELECT client_id, id FROM messages"))
    assert answered_ids.items() <= stored.items()
    assert len(stored) - len(answered_ids) <= 8, "more messages were stored without an answer than were on their way"


def test_a_defect_is_logged_after_the_lock_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[str, type[BaseException], bool]] = []

    class Recorder:  # replaces the logger, because the time of the line matters and not its text
        def error(self, key: str, exc_info: BaseException) -> None:
            logged.append((key, type(exc_info), in_transaction()))

    def defect(tx: Transaction) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(batch_module, "logger", Recorder())

    async def scenario() -> None:
        async with Core() as core:
            with pytest.raises(OperationFailedError):
                await core.committer.call(None, defect)

    asyncio.run(scenario())
    assert logged == [("operation_failed", ZeroDivisionError, False)]
