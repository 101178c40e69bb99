"""Random histories of a conversation against a simple model: who has which notifications about its messages, with which counts.

The model keeps, of each member, the messages that each notification is about. The drains are stopped between two of their
transactions at random, as a crash would, and go on or are done again later.
"""

import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from conf import Settings
from jobs.consumers import bursts as bursts_consumer
from jobs.consumers import notify as notify_consumer
from jobs.consumers.bursts import notify_groups
from jobs.consumers.notify import NotifyConsumer
from jobs.consumers.withdrawals import WithdrawalsConsumer
from jobs.drain.drain import drain, never
from models.chat import blocks, conversation, member_level, message, read_marks
from models.log import event
from models.log.checkpoint import Part, read_unread
from models.notices import bursts, levels, notification, withdrawals
from models.store.database import engine, execute, rows
from tests.jobs.people import group, people, send

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "8"))
OTHERS = st.integers(1, 3)
PICK = st.integers(0, 10**6)  # index into a list, modulo its length
numbers = count()


class Sent(msgspec.Struct):
    """A message, and which members could be told of it when it was sent: neither its sender nor those who blocked them."""

    id: int
    receivers: set[int]
    mentioned: set[int]
    deleted: bool = False


class Told(msgspec.Struct):
    """A notification: of the messages from `first`, up to `upto` when it was read."""

    first: int
    mentions_only: bool
    upto: int | None = None


class Member(msgspec.Struct):
    """A member: the first message of their membership, their marks, level, notifications, and the newest message that was told."""

    since: int = 0
    is_member: bool = True
    read: int = 0
    own: int = 0
    level: str = "all"
    told: int = 0
    processed: int = 0  # the newest message that a drain has decided on for them
    unread: Told | None = None
    done: list[Told] = []
    blocked: set[int] = set()


class MessageMachine(RuleBasedStateMachine):
    large = False

    @initialize()
    def begin(self) -> None:
        self.users = people(*(f"user{next(numbers)}" for _ in range(4)))
        self.owner = self.users[0]
        self.crew = group(self.owner, self.users[1:])
        execute("UPDATE memberships SET level='all' WHERE conversation_id=?", (self.crew,))
        self.members = {user: Member() for user in self.users}
        self.sent: list[Sent] = []
        drain(NotifyConsumer())
        execute("DELETE FROM burst_events")  # of the history before
        execute("DELETE FROM bursts")
        self.read_upto = event.head()  # of the log, by the drain

    # What follows from the messages

    def counted(self, user: int, told: Told) -> list[int]:
        member = self.members[user]
        after = member.own if told.upto is None else 0
        return [
            sent.id
            for sent in self.sent
            if sent.id >= told.first
            and sent.id > after
            and (told.upto is None or sent.id <= told.upto)
            and user in sent.receivers
            and not sent.deleted
            and (not told.mentions_only or user in sent.mentioned)
        ]

    def close(self, user: int) -> None:
        """The user's unread notification is marked as read."""
        member = self.members[user]
        if member.unread is not None:
            member.unread.upto = max(sent.id for sent in self.sent)
            member.told = max(member.told, member.unread.upto)
            member.done.insert(0, member.unread)
            member.unread = None

    def close_if_empty(self, user: int) -> None:
        unread = self.members[user].unread
        if unread is not None and not self.counted(user, unread):
            self.close(user)

    def tell(self, user: int, upto: int) -> None:
        """A drain decides for a user on the messages up to one."""
        member = self.members[user]
        reached = [
            sent.id
            for sent in self.sent
            if member.processed < sent.id <= upto
            and member.is_member
            and sent.id > max(member.read, member.since)
            and user in sent.receivers
            and not sent.deleted
            and (member.level == "all" or (member.level == "mentions" and user in sent.mentioned))
        ]
        new = [number for number in reached if number > member.told]
        if new:
            mentions_only = member.level == "mentions"
            if member.unread is None:
                member.unread = Told(new[0], mentions_only)
            member.unread.mentions_only &= mentions_only
            member.told = new[-1]

    def decided(self, user: int, upto: int) -> None:
        self.tell(user, upto)
        self.members[user].processed = max(self.members[user].processed, upto)

    # Operations

    def some(self, index: int) -> int:
        return self.users[index]

    def run(self, operation: Any, *args: Any) -> None:
        with event.transaction() as tx:
            operation(tx, *args)

    def pick(self, pick: int) -> Sent:
        return self.sent[pick % len(self.sent)]

    @rule(index=st.integers(0, 3), mentioned=st.sets(OTHERS, max_size=1), times=st.integers(1, 2))
    def send(self, index: int, mentioned: set[int], times: int) -> None:
        sender = self.some(index)
        if not self.members[sender].is_member:
            return
        named = {self.users[n] for n in mentioned if self.members[self.users[n]].is_member}
        body = " ".join(f"@{name}" for user in named for (name,) in rows("SELECT username FROM users WHERE id=?", (user,)))
        for number in send(sender, times, at=self.crew, body=f"words {body}"):
            receivers = {
                u for u, member in self.members.items() if member.is_member and u != sender and sender not in member.blocked
            }
            self.sent.append(Sent(number, receivers, named))

    @rule(index=OTHERS, pick=PICK)
    @precondition(lambda self: self.sent)
    def read(self, index: int, pick: int) -> None:
        user, number = self.some(index), self.pick(pick).id
        member = self.members[user]
        if not member.is_member:
            return
        self.run(read_marks.mark_read, user, self.crew, number)
        if number > member.own:
            member.read, member.own = max(member.read, number), number
            if number == self.sent[-1].id or not self.unread_messages(user):
                self.close(user)
            else:
                self.close_if_empty(user)

    def unread_messages(self, user: int) -> list[int]:
        """The unread messages that the conversation counts: also what was sent by those whom they blocked."""
        others = "SELECT id FROM messages WHERE conversation_id=? AND id>? AND sender_id<>? AND deleted_ms IS NULL"
        return [number for (number,) in rows(others, (self.crew, self.members[user].own, user))]

    @rule(index=OTHERS, pick=PICK)
    @precondition(lambda self: self.sent)
    def mark_unread(self, index: int, pick: int) -> None:
        user, number = self.some(index), self.pick(pick).id
        member = self.members[user]
        if member.is_member:
            self.run(read_marks.mark_unread, user, self.crew, number)
            before = max((sent.id for sent in self.sent if sent.id < number), default=0)
            member.own = min(member.own, before)

    @rule(index=OTHERS)
    def read_notifications(self, index: int) -> None:
        self.run(notification.mark_read, self.some(index), None)
        self.close(self.some(index))

    @rule(pick=PICK)
    @precondition(lambda self: self.sent)
    def delete(self, pick: int) -> None:
        sent = self.pick(pick)
        self.run(message.delete, self.owner, "admin", sent.id)
        sent.deleted = True
        if not self.large:
            for user in self.users:
                self.close_if_empty(user)

    @rule(pick=PICK)
    @precondition(lambda self: self.sent)
    def edit(self, pick: int) -> None:
        sent = self.pick(pick)
        ((sender,),) = rows("SELECT sender_id FROM messages WHERE id=?", (sent.id,))
        if not sent.deleted and self.members[sender].is_member and not sent.mentioned:
            self.run(message.edit, sender, sent.id, "other words")

    @rule(index=OTHERS)
    def leave_or_come_back(self, index: int) -> None:
        user = self.some(index)
        member = self.members[user]
        if member.is_member:
            self.run(conversation.remove_member, self.owner, self.crew, user)
            self.close(user)
            member.is_member = False
        else:
            self.run(conversation.add_member, self.owner, self.crew, user)
            newest = self.sent[-1].id if self.sent else 0
            member.is_member, member.since, member.read, member.own = True, newest, newest, newest
            member.level = "mentions" if self.large else "all"

    @rule(index=OTHERS, level=st.sampled_from(["all", "mentions", "none"]))
    def set_level(self, index: int, level: Any) -> None:
        user = self.some(index)
        member = self.members[user]
        if member.is_member:
            self.run(member_level.set_level, user, self.crew, level, None)
            if level != member.level and member.unread is not None:
                if level == "none":
                    self.close(user)
                else:
                    member.unread.mentions_only = level == "mentions"
                    self.close_if_empty(user)
            member.level = level

    @rule(index=OTHERS, other=st.integers(0, 3))
    def block_or_unblock(self, index: int, other: int) -> None:
        user, by = self.some(index), self.some(other)
        blocked = self.members[user].blocked
        if user != by:
            self.run(blocks.unblock if by in blocked else blocks.block, user, by)
            blocked ^= {by}

    # Drains

    @rule()
    def drain_all(self) -> None:
        drain(NotifyConsumer())
        execute("UPDATE bursts SET due_ms=0")
        while self.large and bursts.list_due(engine().now_ms()):
            upto = self.burst_upto()
            notify_groups(never)
            self.all_decided(upto)
            execute("UPDATE bursts SET due_ms=0")
        self.all_decided(self.sent[-1].id if self.sent else 0)
        self.read_upto = event.head()
        drain(WithdrawalsConsumer())
        for user in self.users:
            self.close_if_empty(user)

    def all_decided(self, upto: int) -> None:
        for user in self.users:
            self.decided(user, upto)

    def burst_upto(self) -> int:
        """The newest message of the burst that is to go on, or to begin."""
        events = [found for burst in bursts.list_due(engine().now_ms()) for found in bursts.read_events(burst)]
        return max((msgspec.json.decode(found.data)["id"] for found in events), default=0)

    @rule(transactions=st.integers(1, 2))
    def crash(self, transactions: int) -> None:
        """Stop after some transactions of a slice, or of a burst."""
        if self.large:
            drain(NotifyConsumer())
            execute("UPDATE bursts SET due_ms=0")
            upto, left = self.burst_upto(), iter([False] * (transactions + 1))
            notify_groups(lambda: next(left, True))
            for position, *_ in rows("SELECT position FROM bursts WHERE conversation=?", (self.crew,)):
                for user in self.users if position == 0 else [user for user in self.users if user <= position]:
                    self.decided(user, upto)
            return
        events, _ = read_unread({Part("", 0): self.read_upto}, event.head(), NotifyConsumer.types, 200)
        batches: Iterator[Any] = iter(NotifyConsumer().prepare(events)) if events else iter(())
        for batch in [causes for _, causes in zip(range(transactions), batches, strict=False) if isinstance(causes, list)]:
            with event.transaction() as tx:
                NotifyConsumer().write(tx, batch)
            for user in {cause.user for cause in batch}:
                self.tell(user, max(cause.message for cause in batch if cause.user == user))

    @invariant()
    def notifications_are_as_expected(self) -> None:
        if not hasattr(self, "members"):
            return
        for user, member in self.members.items():
            told = [*([] if member.unread is None else [member.unread]), *member.done]
            listed = notification.list_page(user, "message", None, 100, unread_only=False)
            shown = [(one["count"], one["read_at"] is None) for one in listed]
            assert shown == [(len(self.counted(user, each)), each.upto is None) for each in told], (user, member)


class LargeMachine(MessageMachine):
    large = True


@pytest.mark.timeout(600)  # Hypothesis needs time to find the shortest failing history
@pytest.mark.parametrize("machine", [MessageMachine, LargeMachine])
def test_any_history_has_the_notifications_of_the_model(
    store: Settings, monkeypatch: pytest.MonkeyPatch, machine: type[MessageMachine]
) -> None:
    monkeypatch.setattr(notify_consumer, "CAUSES_PER_TRANSACTION", 2)
    monkeypatch.setattr(bursts_consumer, "CAUSES_PER_TRANSACTION", 1)
    if machine.large:
        monkeypatch.setattr(bursts, "LARGE", 1)
        monkeypatch.setattr(levels, "MAX_MEMBERS_FOR_ALL", 1)
        monkeypatch.setattr(withdrawals, "MAX_WITHDRAWN", 0)
    examples = EXAMPLES if engine().name == "sqlite" else max(1, EXAMPLES // 3)
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=checks,
        ),
    )
