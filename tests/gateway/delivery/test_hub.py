"""The hub under races between a subscriber and the log."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conf import Settings
from gateway.commit.threads import BatchedRead, ThreadPool
from gateway.delivery import hub, recent_events
from gateway.delivery.recent_events import RecentEvents
from gateway.delivery.subscriptions import MAX_EVENTS_PER_ANSWER, Subscription
from gateway.delivery.wakeups import MAX_WAKEUPS_PER_TICK, TIMEOUT_STEP_S, Timeouts
from gateway.http.tokens import TokenCache
from models.chat import conversation
from models.chat.message import Draft, post
from models.identity import token, user
from models.identity.token import Actor
from models.log import event
from models.log.event import Event
from models.store.database import execute
from models.store.errors import DeadTokenError, ExpiredError, StoreDownError
from models.sync import catchup
from tests.journeys.core import Core, Reads, opened, token_of
from tests.models.people import group, people, send
from tests.stores import Database
from tests.waiting import until_async


@pytest.fixture(autouse=True)
def store(tmp_path: Path, database: Database) -> Iterator[Settings]:
    with database.fresh() as options, opened(tmp_path, durability="normal", **options) as settings:
        yield settings


def created(number: int, body: str = "") -> Event:
    return Event(number, "conversation:1", "message.created", 0, b'{"id":%d,"body":"%s"}' % (number, body.encode()))


def test_deleted_texts_do_not_count_against_the_bytes_of_recent_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_events, "MAX_RECENT_BYTES", 10_000)
    recent = RecentEvents(0)
    for number in range(1, 200, 2):
        recent.append(created(number, "x" * 1_000))
        deleted = Event(number + 1, "conversation:1", "message.deleted", 0, b'{"id":%d,"body":""}' % number)
        recent.append(deleted)
        recent.erase_text(deleted)
    assert len(recent.after(recent.low)) > 20, "recent events were dropped as if the texts still counted"


def test_the_json_of_a_long_event_is_not_kept_beside_its_data() -> None:
    async def scenario() -> None:
        async with Core() as core:
            short, long = created(1), created(2, "x" * hub.MAX_KEPT_JSON_BYTES)
            for each in (short, long):
                assert (
                    core.hub.encode(each)
                    == core.hub.encode(each)
                    == b'{"id":"%s-%d","type":"message.created","at":"%s","data":%s}'
                    % (
                        core.hub.epoch.encode(),
                        each.id,
                        b"1970-01-01T00:00:00.000Z",
                        each.data,
                    )
                )
            assert short.json
            assert not long.json, "recent events would need twice the memory of their bound"

    asyncio.run(scenario())


class CountingStreams(dict[str, None]):
    """Streams that count how often one of them is looked up."""

    lookups = 0

    def __contains__(self, stream: object) -> bool:
        self.lookups += 1
        return super().__contains__(stream)


def test_events_of_other_streams_in_memory_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_events, "MAX_RECENT_EVENTS", 1_000)
    recent = RecentEvents(0)
    events = [Event(n, f"conversation:{n % 100}", "message.created", 0, b"{}") for n in range(1, 2_501)]
    for each in events:
        recent.append(each)
    assert recent.low > 1_000
    streams = CountingStreams(dict.fromkeys(["conversation:1", "conversation:7", "conversation:101"]))
    for position in range(recent.low, 2_501):
        expected = [e.id for e in events if e.id > position and e.stream in ("conversation:1", "conversation:7")]
        streams.lookups = 0
        assert ids(recent.first(streams, position, 5)) == expected[:5]
        assert streams.lookups <= len(streams)


def test_a_slice_of_the_memory_without_a_matching_event_ends_and_moves_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "MAX_SCANNED_EVENTS", 10)
    ana, ben = people("ana", "ben")
    token_of(ana), token_of(ben)

    async def scenario() -> None:
        async with Core() as core:
            start = core.hub.head
            for _ in range(35):
                await core.send(ana, to=ben)
            answer = await core.poll(ben, start, types=frozenset({"post.deleted"}))
            assert (answer.events, answer.more) == ([], True)
            assert start < answer.position < core.hub.head
            assert await core.all_after(ben, start, frozenset({"post.deleted"})) == ([], core.hub.head)

    asyncio.run(scenario())


def test_a_reader_thread_whose_read_failed_reads_again() -> None:
    """A failed statement may leave the connection inside a transaction, in which every later read would fail."""

    def fail_in_transaction() -> None:
        execute("BEGIN")
        execute("SELECT * FROM no_such_table")

    async def scenario() -> None:
        pool = ThreadPool("reader", 3, 100)
        for _ in range(6):
            results = await asyncio.gather(*(pool(fail_in_transaction) for _ in range(3)), return_exceptions=True)
            assert [type(result) for result in results] == [StoreDownError] * 3
            heads = await asyncio.gather(*(pool(catchup.conversation_intervals, [1], 0) for _ in range(30)))
            assert {by_user[1].head for by_user in heads} == {0}
        pool.close()

    asyncio.run(scenario())


class CountingPool(ThreadPool):
    """A thread pool that keeps the arguments of its calls."""

    def __init__(self) -> None:
        super().__init__("reader", 1, max_waiting=10)
        self.calls: list[tuple[Any, ...]] = []

    async def __call__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.calls.append(args)
        return await super().__call__(function, *args, **kwargs)


def test_users_who_return_together_are_read_together_and_none_is_refused() -> None:
    """After a restart every client returns at once: a read for each would fill the queue of reads, which refuses the others."""
    ana, ben = people("ana", "ben")
    team = f"conversation:{group(ana)}"

    async def scenario() -> None:
        async with Core() as core:
            core.hub._read = read = CountingPool()
            tokens = TokenCache(read)
            credential = await core.do(lambda tx: token.create(tx, ana))
            unknown = [tokens.find(f"unknown{number}") for number in range(500)]
            actor, *refusals = await asyncio.gather(tokens.find(credential), *unknown, return_exceptions=True)
            assert isinstance(actor, Actor)
            assert actor.user == ana
            assert {type(refusal) for refusal in refusals} == {DeadTokenError}
            subscribers = await asyncio.gather(*(core.hub.subscriber(number) for number in range(1, 501)))
            assert [s.user for s in subscribers if s.follows(team)] == [ana]
            assert subscribers[ben - 1].follows(f"user:{ben}")
            assert len(read.calls) == 11 + 10, "fifty tokens or users in each"
            read.close()

    asyncio.run(scenario())


def test_a_user_with_many_conversations_is_read_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catchup, "MAX_INTERVALS_PER_READ", 4)
    ana, ben, cy, dee = people("ana", "ben", "cy", "dee")
    busy = {f"conversation:{group(ben, cy)}" for _ in range(5)} | {f"user:{ben}"}

    async def scenario() -> None:
        async with Core() as core:
            core.hub._read = read = CountingPool()
            found = await asyncio.gather(*(core.hub.subscriber(user) for user in (dee, cy, ben, ana)))
            assert [set(each.intervals) for each in found[2:]] == [busy, {f"user:{ana}"}]
            assert set(found[1].intervals) == busy - {f"user:{ben}"} | {f"user:{cy}"}
            assert set(found[0].intervals) == {f"user:{dee}"}
            assert [users for users, _ in read.calls] == [[dee, cy, ben, ana], [dee, cy, ben], [dee, cy], [dee]]
            read.close()

    asyncio.run(scenario())


def test_a_failed_read_fails_for_those_who_wait_for_it_and_for_nobody_else() -> None:
    attempts: list[list[int]] = []

    async def read(keys: list[int]) -> dict[int, str]:
        attempts.append(keys)
        if len(attempts) == 2:
            raise StoreDownError
        return dict.fromkeys(keys, "read")

    async def scenario() -> None:
        batched = BatchedRead(read)
        first = asyncio.ensure_future(batched(1))
        await asyncio.sleep(0)
        results = await asyncio.gather(first, batched(2), batched(2), batched(3), return_exceptions=True)
        assert [type(result) for result in results] == [str] + [StoreDownError] * 3
        assert await batched(2) == "read"
        assert attempts == [[1], [2, 3], [2]]

    asyncio.run(scenario())


def ids(events: list[Event]) -> list[int]:
    return [e.id for e in events]


def seen_by(number: int, after: int = 0) -> list[int]:
    """Return the ids of the events that the store returns for a user."""
    return ids(catchup.read(number, after, None, 100_000).events)


def while_reading(core: Core, once: Callable[[], Any]) -> None:
    """Run a function on the loop's thread, once, between the store's snapshot and the answer of the next read."""
    read = core.hub._read

    async def slow(work: Callable[..., Any], *args: Any) -> Any:
        core.hub._read = read
        answer = await read(work, *args)
        result = once()
        if inspect.isawaitable(result):
            await result
        return answer

    core.hub._read = Reads(slow)


def test_events_published_while_a_poll_reads_the_store_are_in_its_answer_once() -> None:
    ana, ben = people("ana", "ben")
    token_of(ana), token_of(ben)
    for _ in range(3):
        send(ana, to=ben)

    async def scenario() -> None:
        async with Core() as core:  # its recent events begin here
            await core.hub.subscriber(ben)
            while_reading(core, lambda: asyncio.gather(*(core.send(ana, to=ben) for _ in range(5))))
            answer = await core.poll(ben, 0)
            assert not answer.more
            assert ids(answer.events) == seen_by(ben)
            assert len(answer.events) == 9
            assert answer.position == event.head() == core.hub.head

    asyncio.run(scenario())


def test_events_published_before_a_poll_reads_the_store_are_in_its_answer_once() -> None:
    ana, ben = people("ana", "ben")
    token_of(ana), token_of(ben)
    send(ana, to=ben)

    async def scenario() -> None:
        async with Core() as core:
            subscription = await core.subscription(ben, 0)
            read = core.hub._read

            async def late(work: Callable[..., Any], *args: Any) -> Any:
                await core.send(ana, to=ben)
                return await read(work, *args)

            core.hub._read = Reads(late)
            answer = await core.hub.next(subscription, 0)
            assert ids(answer.events) == seen_by(ben)
            assert (await core.hub.next(subscription, 0)).events == []

    asyncio.run(scenario())


def test_a_stream_whose_read_failed_skips_no_event_afterwards() -> None:
    ana, ben = people("ana", "ben")
    token_of(ana), token_of(ben)
    send(ana, to=ben)

    async def scenario() -> None:
        async with Core() as core:
            subscription = await core.subscription(ben, 0)
            read = core.hub._read

            async def fail(*_: Any) -> Any:
                core.hub._read = read
                raise StoreDownError

            core.hub._read = Reads(fail)
            with pytest.raises(StoreDownError):
                await core.hub.next(subscription, 0)
            await core.send(ana, to=ben)
            assert ids((await core.hub.next(subscription, 0)).events) == seen_by(ben)

    asyncio.run(scenario())


def test_events_that_are_no_longer_recent_are_read_from_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_events, "MAX_RECENT_EVENTS", 20)
    ana, ben = people("ana", "ben")
    token_of(ana), token_of(ben)

    async def scenario() -> None:
        async with Core() as core:
            start = core.hub.head
            for _ in range(100):
                await core.send(ana, to=ben)
            assert core.hub.recent.low > start
            expected = seen_by(ben)
            for after in range(start, core.hub.head + 1):
                received, position = await core.all_after(ben, after)
                assert ids(received) == [i for i in expected if i > after]
                assert position == core.hub.head

    asyncio.run(scenario())


def test_a_subscription_that_is_not_read_for_a_long_time_misses_no_event() -> None:
    ana, ben = people("ana", "ben")
    token_of(ana), token_of(ben)
    count = 2 * MAX_EVENTS_PER_ANSWER + 50

    async def scenario() -> None:
        async with Core() as core:
            start = core.hub.head
            subscription = await core.subscription(ben, start)
            assert (await core.hub.next(subscription, 0)).events == []  # from here on, it is offered events
            await asyncio.gather(*(core.send(ana, to=ben) for _ in range(count)))
            assert len(subscription.events) == MAX_EVENTS_PER_ANSWER, "the subscription stores at most one answer"
            received: list[int] = []
            while len(received) < count + 1:
                answer = await core.hub.next(subscription, 0)
                assert answer.events
                received += ids(answer.events)
            assert received == seen_by(ben, start)
            assert subscription.position == core.hub.head

    asyncio.run(scenario())


def test_a_user_who_joins_and_leaves_while_being_loaded_gets_only_the_events_between() -> None:
    ana, ben = people("ana", "ben")
    token_of(ana), token_of(ben)
    crew = group(ana)

    async def scenario() -> None:
        async with Core() as core:
            start = core.hub.head

            async def join_and_leave() -> None:
                await core.send(ana, "before", conversation=crew)
                await core.do(lambda tx: conversation.add_member(tx, ana, crew, ben))
                await core.send(ana, "while", conversation=crew)
                await core.do(lambda tx: conversation.remove_member(tx, ana, crew, ben))
                await core.send(ana, "after", conversation=crew)
                await core.do(lambda tx: conversation.add_member(tx, ana, crew, ben))

            while_reading(core, join_and_leave)
            subscription = await core.subscription(ben, start)
            await core.send(ana, "again", conversation=crew)
            received = (await core.hub.next(subscription, 0)).events
            assert ids(received) == seen_by(ben)
            assert [e.type for e in received if e.type.startswith("message")] == ["message.created"] * 2
            assert [b"while" in e.data or b"again" in e.data for e in received if e.type == "message.created"] == [True] * 2

    asyncio.run(scenario())


def test_a_subscriber_that_loads_slower_than_the_log_grows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_events, "MAX_RECENT_EVENTS", 4)
    ana, ben = people("ana", "ben")
    token_of(ana), token_of(ben)

    async def scenario() -> None:
        async with Core() as core:
            read = core.hub._read

            async def outrun(work: Callable[..., Any], *args: Any) -> Any:
                answer = await read(work, *args)
                for _ in range(8):
                    await core.send(ana, to=ben)
                return answer

            core.hub._read = Reads(outrun)
            with pytest.raises(StoreDownError):
                await core.hub.subscriber(ben)
            core.hub._read = read
            assert ids((await core.all_after(ben, 0))[0]) == seen_by(ben)

    asyncio.run(scenario())


def test_a_batch_with_a_gap_before_it_waits_for_the_tail() -> None:
    (ana,) = people("ana")

    async def scenario() -> None:
        core = Core()
        checks = 0

        def count_check() -> None:
            nonlocal checks
            checks += 1

        core.hub.check_log = count_check
        first = Event(core.hub.head + 1, f"user:{ana}", "account.updated", 0, b"{}")
        second = Event(core.hub.head + 2, f"user:{ana}", "account.updated", 0, b"{}")
        subscription = await core.subscription(ana, core.hub.head)
        await core.hub.next(subscription, 0)
        core.hub.publish(first.id, [second], 0.0)
        assert (checks, list(subscription.events)) == (1, [])
        core.hub.publish(first.id - 1, [first, second], 0.0)
        core.hub.publish(first.id, [second], 0.0)
        assert subscription.events == [first, second]
        core.read.close()

    asyncio.run(scenario())


def test_a_defect_with_one_event_stops_none_of_the_events_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    (ana,) = people("ana")
    token_of(ana)

    async def scenario() -> None:
        core = Core()
        head = core.hub.head
        subscription = await core.subscription(ana, head)
        await core.hub.next(subscription, 0)
        broken = Event(head + 1, event.GATEWAYS, "account.updated", 0, b"{}")
        good = Event(head + 2, f"user:{ana}", "account.updated", 0, b"{}")

        def defect(_: Event) -> None:
            raise ZeroDivisionError

        core.account_event = defect  # type: ignore[method-assign]
        core.hub.publish(head, [broken, good], 0.0)
        assert subscription.events == [good]
        assert core.hub.head == good.id
        core.read.close()

    asyncio.run(scenario())
    assert "event_not_delivered" in "".join(capsys.readouterr())


def test_many_events_of_another_process_arrive_through_the_tail() -> None:
    """Another process commits more events than a batch also reads. Then this process commits, and all events arrive."""
    ana, ben = people("ana", "ben")
    token_of(ana), token_of(ben)

    async def scenario() -> None:
        async with Core(with_tail=True) as core:
            start = core.hub.head
            subscription = await core.subscription(ben, start)
            received: list[int] = []
            with event.transaction() as tx:
                post(tx, [Draft(ana, 0, "aside", to=ben) for _ in range(1_500)])
            await core.send(ana, to=ben)
            while len(received) < 1_502:
                received += ids((await core.hub.next(subscription, 30)).events)
            assert received == seen_by(ben, start)

    asyncio.run(scenario())


def test_a_cursor_ahead_of_this_gateway_is_valid() -> None:
    """Another gateway has read further: this gateway neither refuses its cursor nor repeats its events."""
    ana, ben = people("ana", "ben")
    token_of(ana), token_of(ben)

    async def scenario() -> None:
        async with Core() as core:  # without a tail, it does not read the commits of others
            behind = core.hub.head
            send(ana, "one", to=ben)
            ahead = event.head()
            subscription = await core.subscription(ben, ahead)
            assert (await core.hub.next(subscription, 0)).events == []
            send(ana, "two", to=ben)
            assert core.hub.head == behind < subscription.position
            await core.send(ana, "three", to=ben)  # also reads the events before it
            received = (await core.hub.next(subscription, 0)).events
            assert ids(received) == seen_by(ben, ahead)
            assert len(received) == 2
            with pytest.raises(ExpiredError):
                await core.poll(ben, event.head() + 1)

    asyncio.run(scenario())


def test_account_events_reach_the_gateway_and_no_subscriber() -> None:
    ana, ben = people("ana", "ben")
    token_ids = token_of(ana), token_of(ben)

    async def scenario() -> None:
        async with Core() as core:
            start = core.hub.head
            await core.do(lambda tx: user.change(tx, ana, status="suspended"))
            await core.do(lambda tx: token.revoke(tx, ben, [token_ids[1]]))
            assert [e.type for e in core.accounts] == ["account.changed", "token.revoked"]
            (mine,), _ = await core.all_after(ana, start)
            assert mine.type == "account.updated"
            assert (await core.all_after(ben, start))[0] == []

    asyncio.run(scenario())


def test_only_the_polls_of_a_revoked_token_end() -> None:
    (ana,) = people("ana")

    async def scenario() -> None:
        async with Core() as core:
            subscriber = await core.hub.subscriber(ana)
            polls = [core.hub.register(subscriber, number, core.hub.head, None) for number in (1, 2, 1)]
            waiting = [asyncio.ensure_future(core.hub.next(poll, 60)) for poll in polls]
            await asyncio.sleep(0)
            core.hub.end(ana, [1], "dead")
            await asyncio.gather(waiting[0], waiting[2])
            assert [poll.end_reason for poll in polls] == ["dead", "", "dead"]
            assert not waiting[1].done()
            core.hub.end(ana, None, "dead")
            await waiting[1]

    asyncio.run(scenario())


def test_thousands_of_polls_are_woken_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 3_000
    (ana, ben) = people("ana", "ben")
    token_of(ana), token_of(ben)
    woken_per_tick: list[int] = []
    wake = Subscription.wake

    def counted(subscription: Subscription) -> None:
        woken_per_tick[-1] += 1
        wake(subscription)

    async def scenario() -> None:
        async with Core() as core:
            core.hub.max_polls_per_user = count
            subscriber = await core.hub.subscriber(ben)
            polls = [core.hub.register(subscriber, 1, core.hub.head, None) for _ in range(count)]
            waiting = [asyncio.ensure_future(core.hub.next(poll, 60)) for poll in polls]
            await asyncio.sleep(0)
            monkeypatch.setattr(Subscription, "wake", counted)

            def tick() -> None:
                woken_per_tick.append(0)
                if core.hub._wakeups or not all(answer.done() for answer in waiting):
                    asyncio.get_running_loop().call_soon(tick)

            tick()
            await core.send(ana, to=ben)
            answers = await asyncio.gather(*waiting)
            assert len({tuple(ids(answer.events)) for answer in answers}) == 1

    asyncio.run(scenario())
    assert sum(woken_per_tick) >= count
    assert max(woken_per_tick) <= 2 * MAX_WAKEUPS_PER_TICK, "one slice per tick of the loop; our tick may see two"


def test_polls_that_end_together_are_woken_in_slices_after_those_with_events(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 3 * MAX_WAKEUPS_PER_TICK
    ana, ben = people("ana", "ben")
    token_of(ana), token_of(ben)
    woken: list[Subscription] = []
    wake = Subscription.wake

    def noted(subscription: Subscription) -> None:
        woken.append(subscription)
        wake(subscription)

    async def scenario() -> None:
        async with Core() as core:
            core.hub.max_polls_per_user = count
            subscribers = [await core.hub.subscriber(user) for user in (ana, ben)]
            ending = [core.hub.register(subscribers[0], 1, core.hub.head, None) for _ in range(count)]
            reading = core.hub.register(subscribers[1], 1, core.hub.head, None)
            waiting = [asyncio.ensure_future(core.hub.next(poll, 60)) for poll in [*ending, reading]]
            await asyncio.sleep(0)
            monkeypatch.setattr(Subscription, "wake", noted)
            core.hub._wakeups._expire(ending)
            assert woken == ending[:MAX_WAKEUPS_PER_TICK]
            core.hub.publish_ephemeral([ben], "", "typing", {}, except_user=ana)
            answers = await asyncio.gather(*waiting)
            assert woken[MAX_WAKEUPS_PER_TICK] is reading
            assert [len(answer.ephemeral) for answer in answers] == [0] * count + [1]
            assert sorted(map(id, woken)) == sorted(map(id, [*ending, reading])), "each of them once"

    asyncio.run(scenario())


def test_a_reader_that_fails_keeps_no_event_from_others() -> None:
    ana, ben = people("ana", "ben")
    token_of(ana), token_of(ben)
    called: list[str] = []

    def fail() -> None:
        called.append("failed")
        raise RuntimeError("a defect")

    async def scenario() -> None:
        async with Core() as core:
            subscriber = await core.hub.subscriber(ben)
            failing, waiting = (core.hub.register(subscriber, 1, core.hub.head, None) for _ in range(2))
            assert [await core.hub.available(each) for each in (failing, waiting)] == [None, None]
            core.hub.wait(failing, 60, fail)
            core.hub.wait(waiting, 60, lambda: called.append("woken"))
            await core.send(ana, to=ben)
            await until_async(lambda: len(called) == 2)
            assert called == ["failed", "woken"]
            assert [len(core.hub.collect(each).events) for each in (failing, waiting)] == [2, 2]
            core.hub.end(ben, None, "dead")
            await asyncio.sleep(0)
            assert called == ["failed", "woken"], "each is called once"

    asyncio.run(scenario())


def test_a_wait_ends_within_a_step_after_its_time() -> None:
    (ana,) = people("ana")

    async def scenario() -> None:
        async with Core() as core:
            expired: list[Subscription] = []
            timeouts = Timeouts(expired.extend)
            subscriber = await core.hub.subscriber(ana)
            polls = [core.hub.register(subscriber, 1, core.hub.head, None) for _ in range(4)]
            for poll, timeout_s in zip(polls, (0.001, 0.001, TIMEOUT_STEP_S, 60), strict=True):
                due = asyncio.get_running_loop().time() + timeout_s
                poll.wait(timeouts.after(timeout_s), lambda: None)
                step = next(step for step, waiting in timeouts._steps.items() if poll in waiting)
                assert due <= step * TIMEOUT_STEP_S <= due + 1.1 * TIMEOUT_STEP_S
                if poll is polls[1]:
                    poll.stop_waiting()
            await until_async(lambda: len(expired) == 2)
            assert expired == [polls[0], polls[2]]

    asyncio.run(scenario())


def test_the_oldest_of_too_many_polls_is_answered_empty() -> None:
    (ana,) = people("ana")

    async def scenario() -> None:
        async with Core() as core:
            core.hub.max_polls_per_user = 2
            subscriber = await core.hub.subscriber(ana)
            polls = []
            waiting = []
            for _ in range(3):
                polls.append(core.hub.register(subscriber, 1, core.hub.head, None))
                waiting.append(asyncio.ensure_future(core.hub.next(polls[-1], 60)))
                await asyncio.sleep(0)
            assert (await waiting[0]).events == []
            assert [poll.end_reason for poll in polls] == ["superseded", "", ""]
            core.hub.close()
            await asyncio.gather(*waiting)
            assert core.online == [(ana, True)]
            for poll in polls:
                core.hub.unregister(poll)
            assert core.online == [(ana, True), (ana, False)]

    asyncio.run(scenario())
