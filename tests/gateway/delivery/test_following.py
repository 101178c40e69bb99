"""Following posts: which users get which events, on every transport, from memory and from the store."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.delivery import following, recent_events, subscriptions
from gateway.delivery import hub as hub_module
from gateway.delivery.subscriptions import Answer, Subscription
from models.community import comment as comments
from models.community import group as groups
from models.community import like, removal
from models.community import post as posts
from models.log import event
from models.log.event import Transaction
from models.store.database import rows
from models.store.errors import RefusedError
from models.sync import catchup
from tests.gateway.client import Client, fields
from tests.gateway.community import comment, group, join, leave, post
from tests.gateway.running import Gateway
from tests.gateway.transports import Event, socket, stream
from tests.journeys.core import Core, Reads, opened, token_of
from tests.models.people import people as create_people
from tests.stores import Database


def types(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


def test_only_subscribers_that_follow_posts_get_them_on_every_transport(gateway: Gateway, ana: Client, ben: Client) -> None:
    start = ben.now()
    with stream(ben, follow="posts") as events, socket(ben, query="?follow=posts") as frames:
        next(events.blocks())
        frames.frame()
        poll = ben.polling(start, follow="posts")
        gateway.waiting(1)
        created = post(ana)
        commented = comment(ana, created["id"])

        assert [event["data"] for event in poll.result().json()["events"] if event["id"]][:1] == [without_mine(created)]
        events_received = events.events(2)
        assert events_received == frames.events(2) == ben.events(start, follow="posts")
    assert types(events_received) == ["post.created", "comment.created"]
    assert [event["data"] for event in events_received] == [without_mine(created), commented]
    assert ben.events(start) == []
    assert ben.event_types(start, follow="posts", types="comment.created") == ["comment.created"]


def without_mine(post: dict[str, Any]) -> dict[str, Any]:
    """Return a POST as events contain it, without the fields of its reader."""
    return {name: value for name, value in post.items() if name not in ("liked", "bookmarked")}


def test_posts_of_a_group_are_delivered_from_joining_to_leaving(gateway: Gateway, ana: Client, ben: Client, cleo: Client) -> None:
    crew = group(ana)
    start = ben.now()
    with stream(ben, follow="posts") as events, socket(ben, query="?follow=posts") as frames:
        next(events.blocks())
        frames.frame()
        early = post(ana, "early", crew)["id"]
        join(ben, crew)
        comment(ana, early, "to an early one")
        inside = post(ana, "inside", crew)["id"]
        leave(ben, crew)
        comment(ana, inside, "not for ben")
        post(ana, "late", crew)
        post(ana, "for all")
        events_received = events.events(5)
        assert events_received == frames.events(5)

    assert types(events_received) == ["group.joined", "comment.created", "post.created", "group.left", "post.created"]
    assert [events_received[n]["data"]["body"] for n in (1, 2, 4)] == ["to an early one", "inside", "for all"]
    assert ben.events(start, follow="posts") == events_received
    assert [event["data"]["body"] for event in cleo.events(start, follow="posts")] == ["for all"]
    assert ben.event_types(start) == ["group.joined", "group.left"]

    gateway.restart()  # all of these events are now read from the store
    assert ben.events(start, follow="posts") == events_received
    assert ben.events(events_received[2]["id"], follow="posts") == events_received[3:]
    assert ben.event_types(start) == ["group.joined", "group.left"]


def test_deleted_texts_are_delivered_to_no_subscriber(gateway: Gateway, ana: Client, ben: Client) -> None:
    crew = group(ana, ben)
    start = ben.now()
    for of_group in (None, crew):
        number = post(ana, "hush-hush one", of_group)["id"]
        comment(ben, number, "hush-hush two")
        gone = comment(ben, number, "hush-hush three")["id"]
        ben.delete(f"/comments/{gone}")
        ana.delete(f"/posts/{number}")

    events_received = ben.events(start, follow="posts")
    assert types(events_received) == ["post.created", "comment.created", "comment.created", "comment.deleted", "post.deleted"] * 2
    assert {event["data"]["body"] for event in events_received} == {""}
    assert "hush-hush" not in gateway.dump()


def test_only_posts_can_be_followed(ana: Client) -> None:
    for follow in ("", "post", "posts,groups"):
        assert fields(ana.get("/events", follow=follow)) == ["follow"]
        for path in ("/events", "/events/stream", "/events/ws"):
            assert fields(ana.get(path, follow=follow, cursor="begin")) == ["follow"]


class History:
    """Random acts of users, and a model of the expected audience of each event: the members at the moment of the act."""

    def __init__(self, core: Core, seed: int) -> None:
        self.core = core
        self.core.hub._read = Reads(self._read_late)
        self.random = random.Random(seed)
        self.people = create_people("ana", "ben", "cy", "dee")
        self.members: dict[int, set[int]] = {}
        self.appended: list[tuple[int, set[int], bool]] = []  # event id, audience, whether only followers of posts get it
        self.deleting: list[str] = []  # texts that the current act deletes
        self.deleted_at: dict[str, int] = {}  # text -> head of the log after its deletion
        self.head = event.head()

    async def act(self, moving: int | None = None) -> None:
        """Perform one act: `moving` joins or leaves a group, or any user does anything. Some acts bypass the committer."""
        verb, self.deleting = self._verb() if moving is None else self._move(moving, self.random.choice([*self.members])), []
        try:
            if self.random.random() < 0.3:
                with event.transaction() as tx:
                    verb(tx)
            else:
                await self.core.do(verb)
        except RefusedError:
            return
        self._note()
        self.deleted_at |= dict.fromkeys(self.deleting, self.head)

    async def _read_late(self, work: Callable[..., Any], *args: Any) -> Any:
        """Read the store, and often perform an act before returning, so that the hub has moved on meanwhile."""
        result = await self.core.read(work, *args)
        if self.members and self.random.random() < 0.5:
            await self.act(args[0][0] if work is catchup.post_intervals else None)
        return result

    def _move(self, user: int, crew: int) -> Callable[[Transaction], Any]:
        verb = groups.leave if user in self.members[crew] else groups.join
        return lambda tx: verb(tx, user, crew)

    def _verb(self) -> Callable[[Transaction], Any]:
        user, n = self.random.choice(self.people), self.random.randint(1, 12)
        crew = self.random.choice([None, *self.members])
        text = f"text {self.random.random()}"
        verbs: list[Callable[[Transaction], Any]] = [lambda tx: posts.create(tx, user, crew, text)] * 5
        verbs += [lambda tx: comments.create(tx, user, n, text, None)] * 4
        verbs += [lambda tx: like.like(tx, user, n), lambda tx: posts.append_count_updates(tx, [n, n + 1])]
        verbs += [lambda tx: self._delete(tx, "posts", n), lambda tx: self._delete(tx, "comments", n)]
        if len(self.members) < 3:
            verbs.append(lambda tx: groups.create(tx, user, "Crew"))
        if crew is not None:
            verbs += [self._move(user, crew)] * 6
        return self.random.choice(verbs)

    def _delete(self, tx: Transaction, table: str, number: int) -> None:
        is_post = table == "posts"
        texts = rows(f"SELECT body FROM {table} WHERE id=?", (number,))
        texts += rows("SELECT body FROM comments WHERE post_id=?", (number,)) if is_post else []
        (removal.delete_post if is_post else removal.delete_comment)(tx, self.people[0], "admin", number)
        self.deleting = [text for (text,) in texts if text]

    def _note(self) -> None:
        for appended in event.read_after(self.head, 100):
            self.head = appended.id
            prefix, _, number = appended.stream.partition(":")
            if prefix == "user":
                self._moved(appended, int(number))
                self.appended.append((appended.id, {int(number)}, False))
            elif prefix == "posts":
                self.appended.append((appended.id, set(self.people), True))
            elif prefix == "group":
                self.appended.append((appended.id, set(self.members[int(number)]), True))

    def _moved(self, appended: event.Event, user: int) -> None:
        crew = following.GROUPS.stream_of(appended.data).partition(":")[2]
        members = self.members.setdefault(int(crew), set())
        (members.add if appended.type == following.GROUPS.joining else members.discard)(user)

    def expected(self, user: int, after: int, until: int, posts: bool) -> list[int]:
        """Return the ids of the events that a user must get after one position up to another."""
        return [i for i, audience, of_posts in self.appended if after < i <= until and user in audience and (posts or not of_posts)]

    async def poll_from_anywhere(self) -> None:
        """Poll as a random user from a random position, and check the answer."""
        user, after, follows = (
            self.random.choice(self.people),
            self.random.randint(0, self.core.hub.head),
            self.random.random() < 0.8,
        )
        received: list[int] = []
        position, more = after, True
        while more:
            answer = await self.answered(self.core.poll(user, position, posts=follows))
            received, position, more = received + [e.id for e in answer.events], answer.position, answer.more
        assert received == self.expected(user, after, position, follows)

    async def answered(self, pending: Awaitable[Answer]) -> Answer:
        """Await an answer. Check that it contains no text whose deletion the hub knew before."""
        deleted = [text.encode() for text, at in self.deleted_at.items() if at <= self.core.hub.head]
        answer = await pending
        assert not [e for e in answer.events if any(text in e.data for text in deleted)]
        return answer


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.only("sqlite"))])
def test_random_histories_are_delivered_exactly_to_their_audience(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Recent events and answers are short here, so that subscribers use every way of catching up."""
    monkeypatch.setattr(recent_events, "MAX_RECENT_EVENTS", 12)
    monkeypatch.setattr(hub_module, "MAX_EVENTS_PER_ANSWER", 5)
    monkeypatch.setattr(subscriptions, "MAX_EVENTS_PER_ANSWER", 5)

    async def scenario() -> None:
        async with Core() as core:
            history = History(core, seed)
            for user in history.people:
                token_of(user)
            history.head = start = event.head()
            live: dict[int, tuple[Subscription, list[int]]] = {}
            for _ in range(150):
                await history.act()
                if history.random.random() < 0.3:
                    await history.poll_from_anywhere()
                user = history.random.choice(history.people)
                if user not in live:
                    live[user] = await core.subscription(user, start, posts=True), []
                subscription, received = live[user]
                received += [e.id for e in (await history.answered(core.hub.next(subscription, 0))).events]
                if history.random.random() < 0.2:  # the stream ends, idle subscribers are dropped, and a new stream resumes
                    core.hub.unregister(subscription)
                    for subscriber in [*core.hub._subscribers.values(), *core.hub._feeds.subscribers.values()]:
                        subscriber.idle_since -= 10 * following.SUBSCRIBER_KEPT_S
                    core.hub.drop_idle()
                    live[user] = await core.subscription(user, subscription.position, posts=True), received
            await core.do(lambda tx: posts.create(tx, history.people[0], None, "the last one"))
            history._note()
            for user, (subscription, received) in live.items():
                while subscription.position < core.hub.head:
                    received += [e.id for e in (await core.hub.next(subscription, 0)).events]
                assert received == history.expected(user, start, core.hub.head, True)
            assert len(live) == 4
            assert len(history.members) == 3

    with database.fresh() as options, opened(tmp_path, durability="normal", **options):
        asyncio.run(scenario())
