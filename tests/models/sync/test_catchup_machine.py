"""Random histories against a simple model of them: who must see what, in which order, from wherever they read on.

The committer and the hub of a gateway run in process. Some operations are committed beside them, as by another gateway, so that
the hub lags behind the store until somebody tells it.
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
from models.chat import conversation, message, read_marks, search
from models.chat.message import Draft, Posted
from models.log import event, trimming
from models.log.event import Event
from models.store import facts
from models.store.database import connect, disconnect, rows
from models.store.errors import RefusedError
from models.sync import catchup
from tests.journeys.core import Core, token_of
from tests.models.people import people
from tests.stores import SECRET, Database, settings_of

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "20"))
NAMES = ("ana", "ben", "cy", "dee")
USERS = st.integers(0, len(NAMES) - 1)
PICK = st.integers(0, 10**6)  # which of the things there are, modulo their number
MOSTLY_OWN = st.one_of(st.none(), st.none(), USERS)  # none: whoever may do it
TYPES = st.sampled_from([None, frozenset({"message.created"}), frozenset({"member.left", "message.deleted", "read.updated"})])


class Said(msgspec.Struct):
    """A message as the model knows it."""

    id: int
    place: int
    sender: int
    text: str
    client_id: str | None
    deleted: bool = False
    was: list[str] = []  # its earlier texts


class Entry(msgspec.Struct):
    """An event that must be in the log: of which type, who sees it, and the text that it carries, if any."""

    kind: str
    audience: frozenset[int]
    message: Said | None = None
    text: str = ""
    id: int = 0
    scrubbed: tuple[str, int] = ("", 0)  # the text that was taken from it, and by which event


class LogMachine(RuleBasedStateMachine):
    template: Path
    database: Database
    indexed = "body"  # what the search index holds of a text
    url: str | None = None  # of the template, where it is no file in the folder

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)
        self.runner = asyncio.Runner()
        self.log: list[Entry] = []
        self.pending: list[Entry] = []  # appended by the operation that runs now
        self.members: dict[int, list[int]] = {}  # group -> members, eldest first
        self.owners: dict[int, set[int]] = {}
        self.direct: dict[frozenset[int], int] = {}
        self.said: list[Said] = []
        self.reactions: set[tuple[int, int]] = set()
        self.texts = 0
        self.turn = 0
        self.live: dict[int, tuple[Subscription, int, list[int]]] = {}  # user -> open stream, where it began, ids it was given

    @initialize(owner=USERS)
    def begin(self, owner: int) -> None:
        self.place: dict[str, str] = {}
        if self.url is not None and self.database.server is not None:
            self.place = {"database_url": self.database.server.create(self.url.rpartition("/")[2]), "secret_key": SECRET}
        connect(settings_of(self.folder, {"durability": "normal", **self.place}))
        self.users = [u for (u,) in rows("SELECT id FROM users ORDER BY id")]
        self.start = self.kept = event.head()
        self._start()
        self.found_group(owner, set(range(len(NAMES))), False)

    def teardown(self) -> None:
        if hasattr(self, "core"):
            self._stop()
            disconnect()
            if self.database.server is not None:
                self.database.server.drop(self.place["database_url"])
        self.runner.close()
        shutil.rmtree(self.folder)

    def _start(self) -> None:
        async def start() -> Core:
            return await Core().__aenter__()

        self.core = self.runner.run(start())

    def _stop(self) -> None:
        self.runner.run(self.core.__aexit__())

    # What happens

    def _apply(self, aside: bool, run: Callable[[event.Transaction], Any]) -> Any:
        """Runs a verb through the committer, or aside as another gateway would. Returns its result or refusal."""
        self.pending = []
        try:
            if not aside:
                return self.runner.run(self.core.do(run))
            with event.transaction() as tx:
                return run(tx)
        except RefusedError as refusal:
            return refusal

    def _expect(self, kind: str, audience: "list[int] | set[int]", said: Said | None = None, text: str = "") -> None:
        self.pending.append(Entry(kind, frozenset(audience), said, text))

    def _written(self) -> None:
        """What was appended is what was expected, in this order: each gets its id."""
        after = self.log[-1].id if self.log else self.start
        found = rows("SELECT id, type FROM events WHERE id>? ORDER BY id", (after,))
        assert [kind for _, kind in found] == [entry.kind for entry in self.pending]
        for (number, _), entry in zip(found, self.pending, strict=True):
            entry.id = number
        self.log += self.pending
        self.pending = []

    def _within(self, place: int) -> list[int]:
        return self.members[place]

    def _send(self, aside: bool, sender: int, draft: dict[str, Any], client_id: str | None) -> Any:
        self.texts += 1
        text = f"t{self.texts}x"
        asked = Draft(self.users[sender], token_of(self.users[sender]), text, client_id=client_id, **draft)

        def post(tx: event.Transaction) -> Posted:
            (result,) = message.post(tx, [asked])
            if isinstance(result, RefusedError):
                raise result
            return result

        if aside:
            return text, self._apply(True, post)

        async def through() -> Posted:
            return await self.core.committer.post(asked).future

        self.pending = []
        try:
            return text, self.runner.run(through())
        except RefusedError as refusal:
            return text, refusal

    @rule(sender=USERS, pick=PICK, aside=st.booleans(), named=st.booleans())
    @precondition(lambda self: self.members)
    def send(self, sender: int, pick: int, aside: bool, named: bool) -> None:
        place = sorted(self.members)[pick % len(self.members)]
        client_id = f"c{self.texts}" if named else None
        text, result = self._send(aside, sender, {"conversation": place}, client_id)
        if self.users[sender] not in self.members[place]:
            assert isinstance(result, RefusedError)
        else:
            self._new(place, self.users[sender], text, client_id, result)
        self._written()

    @rule(sender=USERS, to=USERS, aside=st.booleans())
    def send_direct(self, sender: int, to: int, aside: bool) -> None:
        text, result = self._send(aside, sender, {"to": self.users[to]}, None)
        pair = frozenset({self.users[sender], self.users[to]})
        if sender == to:
            assert isinstance(result, RefusedError)
        else:
            if pair not in self.direct:
                place = msgspec.json.decode(result.json)["conversation"]
                self.direct[pair] = place
                self.members[place] = [self.users[sender], self.users[to]]
                self.owners[place] = set()
                for member in self.members[place]:
                    self._expect("conversation.created", {member})
            self._new(self.direct[pair], self.users[sender], text, None, result)
        self._written()

    def _new(self, place: int, sender: int, text: str, client_id: str | None, result: Any) -> None:
        assert result.created
        shown = msgspec.json.decode(result.json)
        said = Said(shown["id"], place, sender, text, client_id)
        assert (shown["body"], shown["sender"], shown["conversation"]) == (text, sender, place)
        self.said.append(said)
        self._expect("message.created", self._within(place), said, text)

    @rule(pick=PICK, aside=st.booleans())
    @precondition(lambda self: any(said.client_id for said in self.said))
    def retry(self, pick: int, aside: bool) -> None:
        """Also after an edit, a deletion or leaving, and whatever else the retry says."""
        named = [said for said in self.said if said.client_id]
        said = named[pick % len(named)]
        _, result = self._send(aside, self.users.index(said.sender), {"conversation": 1 + pick % 9}, said.client_id)
        assert not result.created
        shown = msgspec.json.decode(result.json)
        assert (shown["id"], shown["body"]) == (said.id, "" if said.deleted else said.text)
        self._written()

    @rule(pick=PICK, by=MOSTLY_OWN, aside=st.booleans())
    @precondition(lambda self: self.said)
    def edit(self, pick: int, by: int | None, aside: bool) -> None:
        said = self.said[pick % len(self.said)]
        user = said.sender if by is None else self.users[by]
        self.texts += 1
        text = f"t{self.texts}x"
        result = self._apply(aside, lambda tx: message.edit(tx, user, said.id, text))
        if user == said.sender and user in self._within(said.place) and not said.deleted:
            said.was.append(said.text)
            said.text = text
            self._expect("message.updated", self._within(said.place), said, text)
        else:
            assert isinstance(result, RefusedError)
        self._written()

    @rule(pick=PICK, by=MOSTLY_OWN, aside=st.booleans())
    @precondition(lambda self: self.said)
    def delete(self, pick: int, by: int | None, aside: bool) -> None:
        said = self.said[pick % len(self.said)]
        user = said.sender if by is None else self.users[by]
        result = self._apply(aside, lambda tx: message.delete(tx, user, "user", said.id))
        if user != said.sender or user not in self._within(said.place):
            assert isinstance(result, RefusedError)
        elif not said.deleted:
            said.deleted = True
            self._expect("message.deleted", self._within(said.place), said)
        self._written()
        if said.deleted:
            for entry in self.log:
                if entry.message is said and entry.text:
                    entry.text, entry.scrubbed = "", (entry.text, self.log[-1].id)

    @rule(pick=PICK, by=USERS, added=st.booleans(), aside=st.booleans())
    @precondition(lambda self: self.said)
    def react(self, pick: int, by: int, added: bool, aside: bool) -> None:
        said, user = self.said[pick % len(self.said)], self.users[by]
        result = self._apply(aside, lambda tx: message.react(tx, user, said.id, "👍", added=added))
        if user not in self._within(said.place) or (added and said.deleted):
            assert isinstance(result, RefusedError)
        elif ((said.id, user) in self.reactions) != added:
            self.reactions ^= {(said.id, user)}
            self._expect("message.reacted", self._within(said.place))
        self._written()

    @rule(owner=USERS, others=st.sets(USERS), aside=st.booleans())
    @precondition(lambda self: len(self.members) < 4)
    def found_group(self, owner: int, others: set[int], aside: bool) -> None:
        user = self.users[owner]
        everyone = [user, *(self.users[n] for n in sorted(others) if n != owner)]
        place = self._apply(aside, lambda tx: conversation.create(tx, user, everyone[1:], "Crew"))
        self.members[place], self.owners[place] = everyone, {user}
        for member in everyone:
            self._expect("conversation.created", {member})
        self._written()

    @rule(pick=PICK, by=MOSTLY_OWN, who=USERS, aside=st.booleans())
    @precondition(lambda self: self.members)
    def join(self, pick: int, by: int | None, who: int, aside: bool) -> None:
        place = sorted(self.members)[pick % len(self.members)]
        out = [user for user in self.users if user not in self.members[place]]
        added = out[who % len(out)] if out else self.users[who]
        user = self._owner(place) if by is None else self.users[by]
        result = self._apply(aside, lambda tx: conversation.add_member(tx, user, place, added))
        if user not in self.owners[place]:
            assert isinstance(result, RefusedError)
        elif added not in self.members[place]:
            self.members[place].append(added)
            self._expect("conversation.created", {added})
            self._expect("member.joined", self.members[place])
        self._written()

    def _owner(self, place: int) -> int:
        return min(self.owners[place], default=self.users[0])

    @rule(pick=PICK, by=MOSTLY_OWN, who=USERS, alone=st.booleans(), aside=st.booleans())
    @precondition(lambda self: self.members)
    def leave(self, pick: int, by: int | None, who: int, alone: bool, aside: bool) -> None:
        place, removed = sorted(self.members)[pick % len(self.members)], self.users[who]
        user = removed if alone else self._owner(place) if by is None else self.users[by]
        result = self._apply(aside, lambda tx: conversation.remove_member(tx, user, place, removed))
        group = place not in self.direct.values()
        may = user in self.owners[place] or (user == removed and user in self.members[place])
        if not group or not may or removed not in self.members[place]:
            assert isinstance(result, RefusedError)
        else:
            self.members[place].remove(removed)
            self.owners[place].discard(removed)
            if not self.owners[place] and self.members[place]:
                self.owners[place] = {self.members[place][0]}
            self._expect("member.left", {removed})
            self._expect("member.left", self.members[place])
        self._written()

    @rule(pick=PICK, by=USERS, aside=st.booleans())
    @precondition(lambda self: self.said)
    def read_up_to(self, pick: int, by: int, aside: bool) -> None:
        said, user = self.said[pick % len(self.said)], self.users[by]
        before = rows(
            "SELECT coalesce(read_message, 0) FROM memberships WHERE conversation_id=? AND user_id=? AND to_event IS NULL",
            (said.place, user),
        )
        result = self._apply(aside, lambda tx: read_marks.mark_read(tx, user, said.place, said.id))
        if user not in self._within(said.place):
            assert isinstance(result, RefusedError)
        else:
            unread = [s for s in self.said if s.place == said.place and s.sender != user and not s.deleted]
            assert result == sum(s.id > max(said.id, before[0][0]) for s in unread)
            if said.id > before[0][0]:
                self._expect("read.updated", self._within(said.place))
        self._written()

    @rule(picks=st.lists(st.tuples(USERS, PICK), min_size=2, max_size=8))
    @precondition(lambda self: self.members)
    def send_together(self, picks: list[tuple[int, int]]) -> None:
        """One batch, some of which may be refused."""
        places = sorted(self.members)
        asked = [(self.users[sender], places[pick % len(places)]) for sender, pick in picks]
        drafts = [Draft(u, token_of(u), f"t{self.texts + n}y", conversation=p) for n, (u, p) in enumerate(asked)]
        self.texts += len(drafts)

        async def together() -> list[Any]:
            waiting = [self.core.committer.post(draft).future for draft in drafts]
            return await asyncio.gather(*waiting, return_exceptions=True)

        self.pending = []
        for draft, (user, place), result in zip(drafts, asked, self.runner.run(together()), strict=True):
            if user in self.members[place]:
                self._new(place, user, draft.body, None, result)
            else:
                assert isinstance(result, RefusedError)
        self._written()

    @rule()
    def index_texts(self) -> None:
        """What the search's drain does."""
        if self.said:
            with event.transaction():
                search.index([said.id for said in self.said])

    @rule(pick=PICK)
    def trim(self, pick: int) -> None:
        """What the worker does to the log's beginning. A stream that has not got so far has expired."""
        upto = self.kept + pick % (self.core.hub.head - self.kept + 1) if self.core.hub.head > self.kept else self.kept
        with event.transaction(appends=False) as tx:
            trimming.trim(tx, tx.now_ms + 1, upto, len(self.log))
        assert facts.trimmed() == upto
        self.kept = upto
        for user, (subscription, _, _) in list(self.live.items()):
            if subscription.position < upto:
                self._on_loop(lambda subscription=subscription: self.core.hub.unregister(subscription))
                del self.live[user]

    # The gateway's own life

    @rule()
    def restart(self) -> None:
        """A new gateway, whose ring is empty. Streams are resumed from where they were."""
        self._stop()
        self._start()
        for user, (subscription, began, got) in list(self.live.items()):
            self.live[user] = (self.runner.run(self.core.subscription(user, subscription.position)), began, got)

    @rule()
    def look(self) -> None:
        """What the tail does."""
        head = self.core.hub.head
        self._on_loop(lambda: self.core.hub.publish(head, event.read_after(head, 500), 0.0))

    @rule()
    def evict(self) -> None:
        """The ring has lost its older half."""
        ring = self.core.hub.recent
        gone = len(ring._ids) // 2
        if gone:
            ring.low = ring._ids[gone - 1]
            del ring._ids[:gone], ring._events[:gone]

    @rule(who=USERS)
    def forget(self, who: int) -> None:
        """A reader without an open poll is forgotten after a while."""
        for subscriber in self.core.hub._subscribers.values():
            subscriber.idle_since -= 10 * following.SUBSCRIBER_KEPT_S
        self._on_loop(self.core.hub.drop_idle)

    def _on_loop(self, call: Callable[[], None]) -> None:
        async def run() -> None:
            call()

        self.runner.run(run())

    # Who reads

    def _expected(self, user: int, after: int, upto: int, types: frozenset[str] | None) -> list[Entry]:
        return [e for e in self.log if after < e.id <= upto and user in e.audience and (types is None or e.kind in types)]

    def _same(self, events: list[Event], expected: list[Entry], upto: int | None = None) -> None:
        """A gateway that has read `upto` here (None: the store) can't know of deletions after it."""
        assert [(e.id, e.type) for e in events] == [(e.id, e.kind) for e in expected]
        for found, entry in zip(events, expected, strict=True):
            if entry.message is not None:
                shown = msgspec.json.decode(found.data)
                text, by = entry.scrubbed
                late = upto is not None and upto < by
                assert (shown["id"], shown["body"]) in [(entry.message.id, entry.text)] + late * [(entry.message.id, text)]

    @invariant()
    def all_read_on(self) -> None:
        """Each user from some earlier cursor, another each time, so that whatever goes wrong is seen at once."""
        if hasattr(self, "core"):
            for user in self.users:
                self.turn = (self.turn * 31 + 7) % 997
                after = self.kept + self.turn % (event.head() - self.kept + 1)
                events, upto = self.runner.run(self.core.all_after(user, after))
                self._same(events, self._expected(user, after, upto, None), self.core.hub.head)

    @rule(who=USERS, pick=PICK, types=TYPES, limit=st.integers(1, 7))
    def poll(self, who: int, pick: int, types: frozenset[str] | None, limit: int) -> None:
        """From any earlier cursor, through the hub (ring or store, as it comes) and from the store in small slices."""
        user, after = self.users[who], self.kept + pick % (event.head() - self.kept + 1)
        note(f"user {user} after {after}, hub at {self.core.hub.head}, ring from {self.core.hub.recent.low}")
        events, upto = self.runner.run(self.core.all_after(user, after, types))
        assert upto >= min(after, self.core.hub.head)
        self._same(events, self._expected(user, after, upto, types), self.core.hub.head)
        position, more, found = after, True, list[Event]()
        while more:
            slice_ = catchup.read(user, position, types, limit)
            assert len(slice_.events) <= limit
            assert not slice_.expired
            found += slice_.events
            position, more = slice_.position, slice_.more
        assert position == event.head()
        self._same(found, self._expected(user, after, position, types))

    @rule(who=USERS)
    def open_stream(self, who: int) -> None:
        user = self.users[who]
        if user not in self.live:
            subscription = self.runner.run(self.core.subscription(user, self.core.hub.head))
            self.live[user] = (subscription, subscription.position, [])

    @rule(who=USERS, reads=st.integers(1, 3))
    def read_stream(self, who: int, reads: int) -> None:
        user = self.users[who]
        if user in self.live:
            subscription, began, got = self.live[user]
            for _ in range(reads):
                answer = self.runner.run(self.core.hub.next(subscription, 0))
                got += [e.id for e in answer.events]
            assert got == [e.id for e in self._expected(user, began, subscription.position, None)]

    @invariant()
    def a_deleted_text_is_nowhere(self) -> None:
        gone = [said for said in self.said if said.deleted]
        if not gone or not hasattr(self, "core"):
            return
        stored = " ".join(d for (d,) in rows("SELECT data FROM events UNION ALL SELECT body FROM messages"))
        stored += " ".join(d for (d,) in rows(f"SELECT {self.indexed} FROM message_search"))
        seen = self.core.hub.head
        told = {e.message.id for e in self.log if e.kind == "message.deleted" and e.id <= seen and e.message}
        ringed = b" ".join(e.data + e.json for e in self.core.hub.recent.after(self.core.hub.recent.low))
        for said in gone:
            for text in (said.text, *said.was):
                assert text not in stored
                assert said.id not in told or text.encode() not in ringed


@pytest.mark.timeout(600)  # for it to find the shortest history that fails
def test_any_history_is_read_as_it_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    monkeypatch.setattr(hub_module, "MAX_EVENTS_PER_ANSWER", 5)  # so that short histories take several answers,
    monkeypatch.setattr(subscriptions, "MAX_EVENTS_PER_ANSWER", 5)
    monkeypatch.setattr(recent_events, "MAX_RECENT_EVENTS", 30)  # and leave the ring
    with database.fresh() as place:
        connect(settings_of(tmp_path, place))
        schema.migrate()
        people(*NAMES)
        for (user,) in rows("SELECT id FROM users"):
            token_of(user)
        disconnect()
        LogMachine.template, LogMachine.database, LogMachine.url = tmp_path, database, place.get("database_url")
        examples = EXAMPLES
        if database.kind == "postgresql":
            LogMachine.indexed = "words::text"
            examples = max(1, EXAMPLES // 4)  # each is a database of its own
        checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
        run_state_machine_as_test(
            LogMachine,
            settings=settings(
                max_examples=examples, stateful_step_count=80, deadline=None, suppress_health_check=checks, print_blob=True
            ),
        )
