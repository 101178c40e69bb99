"""Random histories against a simple model: which user must get which events, in which order, from any position.

The committer and the hub of a gateway run in process. Some operations bypass the committer, as those of another gateway do, so
that the hub lags behind the store until its tail reads the log.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from gateway.delivery import following, recent_events, subscriptions
from gateway.delivery import hub as hub_module
from gateway.delivery.subscriptions import Subscription
from models import schema
from models.chat import conversation, message, read_marks
from models.chat.message import Draft, Posted
from models.log import event, trimming
from models.log.event import Event
from models.store import facts
from models.store.database import connect, disconnect, rows
from models.store.errors import RefusedError
from models.sync import catchup
from tests.journeys.core import Core, token_of
from tests.models.people import index_messages, people
from tests.stores import SECRET, Database, settings_of

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "20"))
NAMES = ("ana", "ben", "cy", "dee")
USERS = st.integers(0, len(NAMES) - 1)
PICK = st.integers(0, 10**6)  # index into a list, modulo its length
MOSTLY_OWN = st.one_of(st.none(), st.none(), USERS)  # None: a user that may perform the operation
TYPES = st.sampled_from([None, frozenset({"message.created"}), frozenset({"member.left", "message.deleted", "read.updated"})])


class Message(msgspec.Struct):
    """The expected state of a message."""

    id: int
    conversation_id: int
    sender: int
    text: str
    client_id: str | None
    deleted: bool = False
    earlier_texts: list[str] = []


class Entry(msgspec.Struct):
    """An event that must be in the log: its type, the users that get it, and its text, if it has one."""

    type: str
    audience: frozenset[int]
    message: Message | None = None
    text: str = ""
    id: int = 0
    erased: tuple[str, int] = ("", 0)  # the text that was removed from it, and the id of the event that did


class LogMachine(RuleBasedStateMachine):
    template: Path
    database: Database
    indexed = "body"  # the column of the search index that contains the text
    url: str | None = None  # of the template database on PostgreSQL

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)
        self.runner = asyncio.Runner()
        self.log: list[Entry] = []
        self.pending: list[Entry] = []  # appended by the operation that runs now
        self.members: dict[int, list[int]] = {}  # conversation -> members, oldest first
        self.owners: dict[int, set[int]] = {}
        self.direct: dict[frozenset[int], int] = {}
        self.sent: list[Message] = []
        self.reactions: set[tuple[int, int]] = set()
        self.texts = 0
        self.cursor_step = 0
        self.live: dict[int, tuple[Subscription, int, list[int]]] = {}  # user -> open stream, its first position, received ids

    @initialize(owner=USERS)
    def begin(self, owner: int) -> None:
        self.options: dict[str, str] = {}
        if self.url is not None and self.database.server is not None:
            self.options = {"database_url": self.database.server.create(self.url.rpartition("/")[2]), "secret_key": SECRET}
        connect(settings_of(self.folder, {"durability": "normal", **self.options}))
        self.users = [u for (u,) in rows("SELECT id FROM users ORDER BY id")]
        self.start = self.kept = event.head()
        self._start()
        self.create_group(owner, set(range(len(NAMES))), False)

    def teardown(self) -> None:
        if hasattr(self, "core"):
            self._stop()
            disconnect()
            if self.database.server is not None:
                self.database.server.drop(self.options["database_url"])
        self.runner.close()
        shutil.rmtree(self.folder)

    def _start(self) -> None:
        async def start() -> Core:
            return await Core().__aenter__()

        self.core = self.runner.run(start())

    def _stop(self) -> None:
        self.runner.run(self.core.__aexit__())

    # Operations

    def _apply(self, bypass: bool, run: Callable[[event.Transaction], Any]) -> Any:
        """Run an operation through the committer, or beside it as another gateway would. Return its result or its refusal."""
        self.pending = []
        try:
            if not bypass:
                return self.runner.run(self.core.do(run))
            with event.transaction() as tx:
                return run(tx)
        except RefusedError as refusal:
            return refusal

    def _expect(self, event_type: str, audience: "list[int] | set[int]", sent: Message | None = None, text: str = "") -> None:
        self.pending.append(Entry(event_type, frozenset(audience), sent, text))

    def _check_appended(self) -> None:
        """Check that exactly the expected events were appended, in this order, and note their ids."""
        after = self.log[-1].id if self.log else self.start
        appended = rows("SELECT id, type FROM events WHERE id>? ORDER BY id", (after,))
        assert [event_type for _, event_type in appended] == [entry.type for entry in self.pending]
        for (number, _), entry in zip(appended, self.pending, strict=True):
            entry.id = number
        self.log += self.pending
        self.pending = []

    def _members_of(self, conversation_id: int) -> list[int]:
        return self.members[conversation_id]

    def _send(self, bypass: bool, sender: int, draft: dict[str, Any], client_id: str | None) -> Any:
        self.texts += 1
        text = f"t{self.texts}x"
        new_draft = Draft(self.users[sender], token_of(self.users[sender]), text, client_id=client_id, **draft)

        def post(tx: event.Transaction) -> Posted:
            (result,) = message.post(tx, [new_draft])
            if isinstance(result, RefusedError):
                raise result
            return result

        if bypass:
            return text, self._apply(True, post)

        async def send_through_committer() -> Posted:
            return await self.core.committer.post(new_draft).future

        self.pending = []
        try:
            return text, self.runner.run(send_through_committer())
        except RefusedError as refusal:
            return text, refusal

    @rule(sender=USERS, pick=PICK, bypass=st.booleans(), with_client_id=st.booleans())
    @precondition(lambda self: self.members)
    def send(self, sender: int, pick: int, bypass: bool, with_client_id: bool) -> None:
        conversation_id = sorted(self.members)[pick % len(self.members)]
        client_id = f"c{self.texts}" if with_client_id else None
        text, result = self._send(bypass, sender, {"conversation": conversation_id}, client_id)
        if self.users[sender] not in self.members[conversation_id]:
            assert isinstance(result, RefusedError)
        else:
            self._new(conversation_id, self.users[sender], text, client_id, result)
        self._check_appended()

    @rule(sender=USERS, to=USERS, bypass=st.booleans())
    def send_direct(self, sender: int, to: int, bypass: bool) -> None:
        text, result = self._send(bypass, sender, {"to": self.users[to]}, None)
        pair = frozenset({self.users[sender], self.users[to]})
        if sender == to:
            assert isinstance(result, RefusedError)
        else:
            if pair not in self.direct:
                conversation_id = msgspec.json.decode(result.json)["conversation"]
                self.direct[pair] = conversation_id
                self.members[conversation_id] = [self.users[sender], self.users[to]]
                self.owners[conversation_id] = set()
                for member in self.members[conversation_id]:
                    self._expect("conversation.created", {member})
            self._new(self.direct[pair], self.users[sender], text, None, result)
        self._check_appended()

    def _new(self, conversation_id: int, sender: int, text: str, client_id: str | None, result: Any) -> None:
        assert result.created
        answer = msgspec.json.decode(result.json)
        sent = Message(answer["id"], conversation_id, sender, text, client_id)
        assert (answer["body"], answer["sender"], answer["conversation"]) == (text, sender, conversation_id)
        self.sent.append(sent)
        self._expect("message.created", self._members_of(conversation_id), sent, text)

    @rule(pick=PICK, bypass=st.booleans())
    @precondition(lambda self: any(sent.client_id for sent in self.sent))
    def retry(self, pick: int, bypass: bool) -> None:
        """Retry a send, also after an edit, a deletion or leaving, and with other fields."""
        with_client_id = [sent for sent in self.sent if sent.client_id]
        sent = with_client_id[pick % len(with_client_id)]
        _, result = self._send(bypass, self.users.index(sent.sender), {"conversation": 1 + pick % 9}, sent.client_id)
        assert not result.created
        answer = msgspec.json.decode(result.json)
        assert (answer["id"], answer["body"]) == (sent.id, "" if sent.deleted else sent.text)
        self._check_appended()

    @rule(pick=PICK, by=MOSTLY_OWN, bypass=st.booleans())
    @precondition(lambda self: self.sent)
    def edit(self, pick: int, by: int | None, bypass: bool) -> None:
        sent = self.sent[pick % len(self.sent)]
        user = sent.sender if by is None else self.users[by]
        self.texts += 1
        text = f"t{self.texts}x"
        result = self._apply(bypass, lambda tx: message.edit(tx, user, sent.id, text))
        if user == sent.sender and user in self._members_of(sent.conversation_id) and not sent.deleted:
            sent.earlier_texts.append(sent.text)
            sent.text = text
            self._expect("message.updated", self._members_of(sent.conversation_id), sent, text)
        else:
            assert isinstance(result, RefusedError)
        self._check_appended()

    @rule(pick=PICK, by=MOSTLY_OWN, bypass=st.booleans())
    @precondition(lambda self: self.sent)
    def delete(self, pick: int, by: int | None, bypass: bool) -> None:
        sent = self.sent[pick % len(self.sent)]
        user = sent.sender if by is None else self.users[by]
        result = self._apply(bypass, lambda tx: message.delete(tx, user, "user", sent.id))
        if user != sent.sender or user not in self._members_of(sent.conversation_id):
            assert isinstance(result, RefusedError)
        elif not sent.deleted:
            sent.deleted = True
            self._expect("message.deleted", self._members_of(sent.conversation_id), sent)
        self._check_appended()
        if sent.deleted:
            for entry in self.log:
                if entry.message is sent and entry.text:
                    entry.text, entry.erased = "", (entry.text, self.log[-1].id)

    @rule(pick=PICK, by=USERS, added=st.booleans(), bypass=st.booleans())
    @precondition(lambda self: self.sent)
    def react(self, pick: int, by: int, added: bool, bypass: bool) -> None:
        sent, user = self.sent[pick % len(self.sent)], self.users[by]
        result = self._apply(bypass, lambda tx: message.react(tx, user, sent.id, "👍", added=added))
        if user not in self._members_of(sent.conversation_id) or (added and sent.deleted):
            assert isinstance(result, RefusedError)
        elif ((sent.id, user) in self.reactions) != added:
            self.reactions ^= {(sent.id, user)}
            self._expect("message.reacted", self._members_of(sent.conversation_id))
        self._check_appended()

    @rule(owner=USERS, others=st.sets(USERS), bypass=st.booleans())
    @precondition(lambda self: len(self.members) < 4)
    def create_group(self, owner: int, others: set[int], bypass: bool) -> None:
        user = self.users[owner]
        members = [user, *(self.users[n] for n in sorted(others) if n != owner)]
        conversation_id = self._apply(bypass, lambda tx: conversation.create(tx, user, members[1:], "Crew"))
        self.members[conversation_id], self.owners[conversation_id] = members, {user}
        self._expect_created(members)
        self._check_appended()

    def _expect_created(self, members: list[int]) -> None:
        """Expect `conversation.created` for each member, or one for all of them."""
        if len(members) <= conversation.MAX_OWN_EVENTS:
            for member in members:
                self._expect("conversation.created", {member})
        else:
            self._expect("members.added", set())
            self._expect("conversation.created", set(members))

    @rule(pick=PICK, bypass=st.booleans())
    @precondition(lambda self: self.members)
    def join_together(self, pick: int, bypass: bool) -> None:
        """Add everybody who is not a member, as the drain of large conversations does."""
        conversation_id = sorted(self.members)[pick % len(self.members)]
        if conversation_id in self.direct.values():
            return
        out = [user for user in self.users if user not in self.members[conversation_id]]

        def add(tx: event.Transaction) -> None:
            conversation.change_members_count(conversation_id, len(out))
            conversation.add_members(tx, conversation_id, out)

        self._apply(bypass, add)
        self.members[conversation_id] += out
        self._expect_created(out)
        self._check_appended()

    @rule(pick=PICK, by=MOSTLY_OWN, index=USERS, bypass=st.booleans())
    @precondition(lambda self: self.members)
    def join(self, pick: int, by: int | None, index: int, bypass: bool) -> None:
        conversation_id = sorted(self.members)[pick % len(self.members)]
        out = [user for user in self.users if user not in self.members[conversation_id]]
        added = out[index % len(out)] if out else self.users[index]
        user = self._owner(conversation_id) if by is None else self.users[by]
        result = self._apply(bypass, lambda tx: conversation.add_member(tx, user, conversation_id, added))
        if user not in self.owners[conversation_id]:
            assert isinstance(result, RefusedError)
        elif added not in self.members[conversation_id]:
            self.members[conversation_id].append(added)
            self._expect("conversation.created", {added})
            self._expect("member.joined", self.members[conversation_id])
        self._check_appended()

    def _owner(self, conversation_id: int) -> int:
        return min(self.owners[conversation_id], default=self.users[0])

    @rule(pick=PICK, by=MOSTLY_OWN, index=USERS, by_self=st.booleans(), bypass=st.booleans())
    @precondition(lambda self: self.members)
    def leave(self, pick: int, by: int | None, index: int, by_self: bool, bypass: bool) -> None:
        conversation_id, removed = sorted(self.members)[pick % len(self.members)], self.users[index]
        user = removed if by_self else self._owner(conversation_id) if by is None else self.users[by]
        result = self._apply(bypass, lambda tx: conversation.remove_member(tx, user, conversation_id, removed))
        group = conversation_id not in self.direct.values()
        allowed = user in self.owners[conversation_id] or (user == removed and user in self.members[conversation_id])
        if not group or not allowed or removed not in self.members[conversation_id]:
            assert isinstance(result, RefusedError)
        else:
            self.members[conversation_id].remove(removed)
            self.owners[conversation_id].discard(removed)
            if not self.owners[conversation_id] and self.members[conversation_id]:
                self.owners[conversation_id] = {self.members[conversation_id][0]}
            self._expect("member.left", {removed})
            self._expect("member.left", self.members[conversation_id])
        self._check_appended()

    @rule(pick=PICK, by=USERS, bypass=st.booleans())
    @precondition(lambda self: self.sent)
    def read_up_to(self, pick: int, by: int, bypass: bool) -> None:
        sent, user = self.sent[pick % len(self.sent)], self.users[by]
        before = rows(
            "SELECT coalesce(read_message, 0) FROM memberships WHERE conversation_id=? AND user_id=? AND to_event IS NULL",
            (sent.conversation_id, user),
        )
        result = self._apply(bypass, lambda tx: read_marks.mark_read(tx, user, sent.conversation_id, sent.id))
        if user not in self._members_of(sent.conversation_id):
            assert isinstance(result, RefusedError)
        else:
            unread = [s for s in self.sent if s.conversation_id == sent.conversation_id and s.sender != user and not s.deleted]
            assert result == sum(s.id > max(sent.id, before[0][0]) for s in unread)
            if sent.id > before[0][0]:
                self._expect("read.updated", self._members_of(sent.conversation_id))
        self._check_appended()

    @rule(picks=st.lists(st.tuples(USERS, PICK), min_size=2, max_size=8))
    @precondition(lambda self: self.members)
    def send_together(self, picks: list[tuple[int, int]]) -> None:
        """Send several messages in one batch; some of them may be refused."""
        conversation_ids = sorted(self.members)
        sends = [(self.users[sender], conversation_ids[pick % len(conversation_ids)]) for sender, pick in picks]
        drafts = [Draft(u, token_of(u), f"t{self.texts + n}y", conversation=p) for n, (u, p) in enumerate(sends)]
        self.texts += len(drafts)

        async def together() -> list[Any]:
            waiting = [self.core.committer.post(draft).future for draft in drafts]
            return await asyncio.gather(*waiting, return_exceptions=True)

        self.pending = []
        for draft, (user, conversation_id), result in zip(drafts, sends, self.runner.run(together()), strict=True):
            if user in self.members[conversation_id]:
                self._new(conversation_id, user, draft.body, None, result)
            else:
                assert isinstance(result, RefusedError)
        self._check_appended()

    @rule()
    def index_texts(self) -> None:
        """Index messages, as the drain of the search does."""
        if self.sent:
            index_messages([sent.id for sent in self.sent])

    @rule(pick=PICK)
    def trim(self, pick: int) -> None:
        """Trim the log, as the worker does. A stream that is behind the trimmed position has expired."""
        upto = self.kept + pick % (self.core.hub.head - self.kept + 1) if self.core.hub.head > self.kept else self.kept
        with event.transaction(appends=False) as tx:
            trimming.trim(tx, tx.now_ms + 1, upto, len(self.log))
        assert facts.trimmed() == upto
        self.kept = upto
        for user, (subscription, _, _) in list(self.live.items()):
            if subscription.position < upto:
                self._on_loop(lambda subscription=subscription: self.core.hub.unregister(subscription))
                del self.live[user]

    # The gateway

    @rule()
    def restart(self) -> None:
        """Start a new gateway without recent events. Streams resume from their positions."""
        self._stop()
        self._start()
        for user, (subscription, first_position, received_ids) in list(self.live.items()):
            self.live[user] = (self.runner.run(self.core.subscription(user, subscription.position)), first_position, received_ids)

    @rule()
    def read_tail(self) -> None:
        """Publish new events of the store, as the tail does."""
        head = self.core.hub.head
        self._on_loop(lambda: self.core.hub.publish(head, event.read_after(head, 500), 0.0))

    @rule()
    def evict(self) -> None:
        """Drop the older half of the recent events."""
        recent = self.core.hub.recent
        count = len(recent._ids) // 2
        if count:
            recent.low = recent._ids[count - 1]
            del recent._ids[:count], recent._events[:count]

    @rule(index=USERS)
    def forget(self, index: int) -> None:
        """Drop subscribers without an open poll, as the hub does after a while."""
        for subscriber in self.core.hub._subscribers.values():
            subscriber.idle_since -= 10 * following.SUBSCRIBER_KEPT_S
        self._on_loop(self.core.hub.drop_idle)

    def _on_loop(self, call: Callable[[], None]) -> None:
        async def run() -> None:
            call()

        self.runner.run(run())

    # Subscribers

    def _expected(self, user: int, after: int, upto: int, types: frozenset[str] | None) -> list[Entry]:
        return [e for e in self.log if after < e.id <= upto and user in e.audience and (types is None or e.type in types)]

    def _check_events(self, events: list[Event], expected: list[Entry], upto: int | None = None) -> None:
        """Compare events with the expected ones. A hub that has read up to `upto` (None: the store) misses later deletions."""
        assert [(e.id, e.type) for e in events] == [(e.id, e.type) for e in expected]
        for received, entry in zip(events, expected, strict=True):
            if entry.message is not None:
                answer = msgspec.json.decode(received.data)
                text, by = entry.erased
                unread_deletion = upto is not None and upto < by
                assert (answer["id"], answer["body"]) in [(entry.message.id, entry.text)] + unread_deletion * [
                    (entry.message.id, text)
                ]

    @invariant()
    def every_user_reads_correctly(self) -> None:
        """Read as each user from a varying earlier cursor, so that a failure is found in the step that causes it."""
        if hasattr(self, "core"):
            for user in self.users:
                self.cursor_step = (self.cursor_step * 31 + 7) % 997
                after = self.kept + self.cursor_step % (event.head() - self.kept + 1)
                events, upto = self.runner.run(self.core.all_after(user, after))
                self._check_events(events, self._expected(user, after, upto, None), self.core.hub.head)

    @rule(index=USERS, pick=PICK, types=TYPES, limit=st.integers(1, 7))
    def poll(self, index: int, pick: int, types: frozenset[str] | None, limit: int) -> None:
        """Read from an earlier cursor through the hub (recent events or store), and from the store in small slices."""
        user, after = self.users[index], self.kept + pick % (event.head() - self.kept + 1)
        note(f"user {user} after {after}, hub at {self.core.hub.head}, recent events from {self.core.hub.recent.low}")
        events, upto = self.runner.run(self.core.all_after(user, after, types))
        assert upto >= min(after, self.core.hub.head)
        self._check_events(events, self._expected(user, after, upto, types), self.core.hub.head)
        position, more, events_read = after, True, list[Event]()
        while more:
            slice_ = catchup.read(user, position, types, limit)
            assert len(slice_.events) <= limit
            assert not slice_.expired
            events_read += slice_.events
            position, more = slice_.position, slice_.more
        assert position == event.head()
        self._check_events(events_read, self._expected(user, after, position, types))

    @rule(index=USERS)
    def open_stream(self, index: int) -> None:
        user = self.users[index]
        if user not in self.live:
            subscription = self.runner.run(self.core.subscription(user, self.core.hub.head))
            self.live[user] = (subscription, subscription.position, [])

    @rule(index=USERS, reads=st.integers(1, 3))
    def read_stream(self, index: int, reads: int) -> None:
        user = self.users[index]
        if user in self.live:
            subscription, first_position, received_ids = self.live[user]
            for _ in range(reads):
                answer = self.runner.run(self.core.hub.next(subscription, 0))
                received_ids += [e.id for e in answer.events]
            assert received_ids == [e.id for e in self._expected(user, first_position, subscription.position, None)]

    @invariant()
    def no_deleted_text_remains(self) -> None:
        deleted = [sent for sent in self.sent if sent.deleted]
        if not deleted or not hasattr(self, "core"):
            return
        stored = " ".join(d for (d,) in rows("SELECT data FROM events UNION ALL SELECT body FROM messages"))
        stored += " ".join(d for (d,) in rows(f"SELECT {self.indexed} FROM message_search"))
        seen = self.core.hub.head
        deletions_read = {e.message.id for e in self.log if e.type == "message.deleted" and e.id <= seen and e.message}
        recent_bytes = b" ".join(e.data + e.json for e in self.core.hub.recent.after(self.core.hub.recent.low))
        for sent in deleted:
            for text in (sent.text, *sent.earlier_texts):
                assert text not in stored
                assert sent.id not in deletions_read or text.encode() not in recent_bytes


@pytest.mark.timeout(600)  # Hypothesis needs time to find the shortest failing history
def test_any_history_is_delivered_as_the_model_expects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    monkeypatch.setattr(hub_module, "MAX_EVENTS_PER_ANSWER", 5)  # so that short histories need several answers
    monkeypatch.setattr(subscriptions, "MAX_EVENTS_PER_ANSWER", 5)
    monkeypatch.setattr(recent_events, "MAX_RECENT_EVENTS", 30)  # and older events are read from the store
    monkeypatch.setattr(conversation, "MAX_OWN_EVENTS", 2)  # so that some members share the event of their joining
    with database.fresh() as options:
        connect(settings_of(tmp_path, options))
        schema.migrate()
        people(*NAMES)
        for (user,) in rows("SELECT id FROM users"):
            token_of(user)
        disconnect()
        LogMachine.template, LogMachine.database, LogMachine.url = tmp_path, database, options.get("database_url")
        examples = EXAMPLES
        if database.kind == "postgresql":
            LogMachine.indexed = "words::text"
            examples = max(1, EXAMPLES // 4)  # each example has its own database
        checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
        run_state_machine_as_test(
            LogMachine,
            settings=settings(
                max_examples=examples, stateful_step_count=80, deadline=None, suppress_health_check=checks, print_blob=True
            ),
        )
