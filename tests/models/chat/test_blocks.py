"""Blocks: intervals of the log, and the refusals that follow from them."""

import itertools
import random
from contextlib import suppress

import pytest

from conf import Settings
from models.chat import blocks, conversation, message, targets
from models.chat.blocks import MAX_BLOCKS
from models.chat.message import Draft, Posted
from models.log import event, joins
from models.log.event import Transaction, TransactionCache
from models.store import database
from models.store.database import insert_rows, rows
from models.store.errors import BlockedError, ConflictError, InvalidError, LimitedError, NotFoundError, RefusedError
from tests.models.people import group, people, send


def block(user: int, other: int) -> bool:
    """Block in a transaction of its own."""
    with event.transaction() as tx:
        return blocks.block(tx, user, other)


def unblock(user: int, other: int) -> bool:
    """Unblock in a transaction of its own."""
    with event.transaction() as tx:
        return blocks.unblock(tx, user, other)


def outcomes(tx: Transaction, *drafts: Draft) -> list[str]:
    """The outcome of each draft: `posted`, or the slug of its refusal."""
    return [result.slug if isinstance(result, RefusedError) else "posted" for result in message.post(tx, drafts)]


def test_blocking_is_idempotent_and_each_change_is_one_event_of_the_blocker(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    before = event.head()
    assert [block(ana, ben), block(ana, ben), unblock(ana, ben), unblock(ana, ben)] == [True, False, True, False]
    added, removed = event.read_after(before, 10)
    assert [(e.stream, e.type, e.data) for e in (added, removed)] == [
        (f"user:{ana}", "block.added", b'{"user":%d}' % ben),
        (f"user:{ana}", "block.removed", b'{"user":%d}' % ben),
    ]
    intervals = blocks.blockers_of([ben], [ana])
    assert intervals == {(ana, ben): [(added.id, removed.id)]}
    assert [blocks.is_blocked_at(intervals, ana, ben, number) for number in (added.id - 1, added.id, removed.id)] == [0, 1, 0]
    assert blocks.blockers_of([ben], [ana], closed_after=removed.id) == blocks.blockers_of([ana], [ben]) == {}


def test_only_other_people_who_can_be_seen_are_blocked(store: Settings) -> None:
    (ana,) = people("ana")
    for change in (block, unblock):
        with pytest.raises(InvalidError):
            change(ana, ana)
        with pytest.raises(NotFoundError):
            change(ana, ana + 1)


def test_a_user_blocks_a_limited_number_of_people(store: Settings) -> None:
    ana, ben, cleo = people("ana", "ben", "cleo")
    many = [(ana, ben, 1, 2, 1) for _ in range(5)]
    insert_rows(blocks.Block, ("user_id", "blocked_id", "from_event", "to_event", "since_ms"), many)  # closed: not counted
    assert block(ana, ben)
    others = people(*(f"other{n}" for n in range(MAX_BLOCKS - 1)))
    open_ones = [(ana, other, 1, 1) for other in others]
    insert_rows(blocks.Block, ("user_id", "blocked_id", "from_event", "since_ms"), open_ones)
    with pytest.raises(ConflictError):
        block(ana, cleo)
    assert unblock(ana, ben)
    assert block(ana, cleo)


def test_a_pair_has_a_limited_number_of_intervals(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    monkeypatch.setattr(joins, "MAX_JOINS_PER_DAY", 2)
    for _ in range(2):
        block(ana, ben)
        unblock(ana, ben)
    with pytest.raises(LimitedError):
        block(ana, ben)


def test_a_blocked_person_writes_and_changes_nothing_in_the_direct_conversation(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    hers, his = send(ana, to=ben), send(ben, to=ana)
    (direct,) = conversation.membership_intervals([ana], 0, 1)
    with event.transaction() as tx:
        message.react(tx, ben, hers, "👍", added=True)
    block(ana, ben)
    for attempt in ({"to": ana}, {"at": direct[1]}):
        with pytest.raises(BlockedError):
            send(ben, **attempt)
    with event.transaction() as tx:
        with pytest.raises(BlockedError):
            message.edit(tx, ben, his, "changed")
        with pytest.raises(BlockedError):
            message.react(tx, ben, hers, "🎉", added=True)
        with pytest.raises(BlockedError):
            targets.get_or_create_direct(tx, ben, ana)
        message.react(tx, ben, hers, "👍", added=False)
        message.delete(tx, ben, "user", his)
    assert not conversation.shows_typing(direct[1], ben)
    assert not conversation.shows_typing(direct[1], ana)
    assert send(ana, "still allowed", to=ben)
    unblock(ana, ben)
    assert conversation.shows_typing(direct[1], ben)
    assert send(ben, to=ana)


def test_a_blocked_person_opens_no_direct_conversation_but_shares_groups(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    block(ana, ben)
    with pytest.raises(BlockedError):
        send(ben, to=ana)
    with event.transaction() as tx, pytest.raises(BlockedError):
        targets.get_or_create_direct(tx, ben, ana)
    assert rows("SELECT 1 FROM conversations") == []
    crew = group(ben, ana)
    assert send(ben, at=crew)
    assert conversation.shows_typing(crew, ana)
    with event.transaction() as tx:
        assert targets.get_or_create_direct(tx, ana, ben)[1]


def test_a_retry_of_a_message_from_before_the_block_is_answered_with_it(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    first = send(ben, to=ana, client_id="x")
    block(ana, ben)
    assert send(ben, to=ana, client_id="x") == first


def test_the_place_in_the_log_decides_though_one_cache_serves_all_transactions(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    send(ben, to=ana)
    (direct,) = conversation.membership_intervals([ana], 0, 1)
    cache, is_blocked = TransactionCache(), False
    drafts = Draft(ben, 0, "a", to=ana), Draft(ben, 0, "b", conversation=direct[1])
    expected = {True: ["blocked", "blocked"], False: ["posted", "posted"]}
    for step in itertools.chain(*itertools.product(["change", "send", "undo"], repeat=3)):
        with event.transaction(cache) as tx:
            change = blocks.unblock if is_blocked else blocks.block
            if step == "undo":
                with suppress(ConflictError), tx.savepoint():
                    change(tx, ana, ben)
                    assert outcomes(tx, *drafts) == expected[not is_blocked]
                    raise ConflictError
            elif step == "change":
                assert outcomes(tx, *drafts) == expected[is_blocked]
                change(tx, ana, ben)
                is_blocked = not is_blocked
            assert outcomes(tx, *drafts) == expected[is_blocked]


def test_a_known_pair_costs_a_send_no_statement_more(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    send(ben, to=ana)
    cache, statements = TransactionCache(), []
    execute = database._engine.execute
    monkeypatch.setattr(database._engine, "execute", lambda sql, params=(): (statements.append(sql), execute(sql, params))[1])
    counts = []
    for _ in range(2):
        statements.clear()
        with event.transaction(cache) as tx:
            (posted,) = message.post(tx, [Draft(ben, 0, "a", to=ana)])
        assert isinstance(posted, Posted)
        counts.append(sum("conversations" in sql or "blocks" in sql for sql in statements))
    assert counts == [1, 0]


def test_a_cache_answers_as_the_store_after_changes_of_all_kinds(store: Settings) -> None:
    """Random blocks of this process and of others, some undone, beside sends between three people and changes in their group."""
    users = people("ana", "ben", "cleo")
    chance, cache, blocked = random.Random(7), TransactionCache(), set[tuple[int, int]]()
    crew = group(*users)
    pairs = list(itertools.permutations(users, 2))
    for step in range(120):
        blocker, other = chance.choice(pairs)
        change = blocks.unblock if (blocker, other) in blocked else blocks.block
        kind = chance.choice(["here", "elsewhere", "undone", "left", "none"])
        before = event.head()
        if kind == "elsewhere":
            with event.transaction() as tx:
                change(tx, blocker, other)
            for appended in event.read_after(before, 10):
                cache.apply(appended.stream, appended.type)
        with event.transaction(cache) as tx:
            if kind == "here":
                change(tx, blocker, other)
            if kind == "left":
                conversation.remove_member(tx, users[0], crew, users[2])
                conversation.add_member(tx, users[0], crew, users[2])
            if kind == "undone":
                with suppress(ConflictError), tx.savepoint():
                    change(tx, blocker, other)
                    raise ConflictError
            if kind in ("here", "elsewhere"):
                blocked ^= {(blocker, other)}
            chosen = chance.sample(pairs, 3)
            expected = ["blocked" if (to, sender) in blocked else "posted" for sender, to in chosen]
            drafts = [Draft(sender, 0, "a", to=to) for sender, to in chosen]
            assert outcomes(tx, *drafts) == expected, step
            known = [(tx.cache.direct.get(conversation.pair_key(*pair)), pair) for pair in chosen]
            there = [(number, pair) for number, pair in known if number is not None]
            by_id = [Draft(sender, 0, "a", conversation=number) for number, (sender, _) in there]
            assert outcomes(tx, *by_id) == ["blocked" if pair[::-1] in blocked else "posted" for _, pair in there], step
