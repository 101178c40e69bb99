"""Following posts: who hears of which, on every transport, from memory and from the store."""

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
from tests.journeys.core import Core, opened, token_of
from tests.models.people import people as made_people
from tests.stores import Database


def kinds(events: list[Event]) -> list[str]:
    return [one["type"] for one in events]


def test_who_asks_for_posts_gets_them_on_every_transport_and_nobody_else_does(gateway: Gateway, ana: Client, ben: Client) -> None:
    start = ben.now()
    with stream(ben, follow="posts") as events, socket(ben, query="?follow=posts") as frames:
        next(events.blocks())
        frames.frame()
        poll = ben.polling(start, follow="posts")
        gateway.waiting(1)
        made = post(ana)
        said = comment(ana, made["id"])

        assert [one["data"] for one in poll.result().json()["events"] if one["id"]][:1] == [without_mine(made)]
        told = events.events(2)
        assert told == frames.events(2) == ben.events(start, follow="posts")
    assert kinds(told) == ["post.created", "comment.created"]
    assert [one["data"] for one in told] == [without_mine(made), said]
    assert ben.events(start) == []
    assert ben.kinds(start, follow="posts", types="comment.created") == ["comment.created"]


def without_mine(made: dict[str, Any]) -> dict[str, Any]:
    """POST as events carry it."""
    return {name: value for name, value in made.items() if name not in ("liked", "bookmarked")}


def test_a_groups_posts_are_followed_from_joining_to_leaving(gateway: Gateway, ana: Client, ben: Client, cleo: Client) -> None:
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
        told = events.events(5)
        assert told == frames.events(5)

    assert kinds(told) == ["group.joined", "comment.created", "post.created", "group.left", "post.created"]
    assert [told[n]["data"]["body"] for n in (1, 2, 4)] == ["to an early one", "inside", "for all"]
    assert ben.events(start, follow="posts") == told
    assert [one["data"]["body"] for one in cleo.events(start, follow="posts")] == ["for all"]
    assert ben.kinds(start) == ["group.joined", "group.left"]

    gateway.restart()  # now all of it is read from the store
    assert ben.events(start, follow="posts") == told
    assert ben.events(told[2]["id"], follow="posts") == told[3:]
    assert ben.kinds(start) == ["group.joined", "group.left"]


def test_deleted_texts_are_told_to_nobody_any_more(gateway: Gateway, ana: Client, ben: Client) -> None:
    crew = group(ana, ben)
    start = ben.now()
    for place in (None, crew):
        number = post(ana, "hush-hush one", place)["id"]
        comment(ben, number, "hush-hush two")
        gone = comment(ben, number, "hush-hush three")["id"]
        ben.delete(f"/comments/{gone}")
        ana.delete(f"/posts/{number}")

    told = ben.events(start, follow="posts")
    assert kinds(told) == ["post.created", "comment.created", "comment.created", "comment.deleted", "post.deleted"] * 2
    assert {one["data"]["body"] for one in told} == {""}
    assert "hush-hush" not in gateway.dump()


def test_nothing_but_posts_can_be_asked_for(ana: Client) -> None:
    for follow in ("", "post", "posts,groups"):
        assert fields(ana.get("/events", follow=follow)) == ["follow"]
        for path in ("/events", "/events/stream", "/events/ws"):
            assert fields(ana.get(path, follow=follow, cursor="begin")) == ["follow"]


class History:
    """What people do at random, and who must hear of it: decided by what they are in at that moment, in a model of this test's."""

    def __init__(self, core: Core, seed: int) -> None:
        self.core = core
        self.core.hub._read = self._late
        self.random = random.Random(seed)
        self.people = made_people("ana", "ben", "cy", "dee")
        self.members: dict[int, set[int]] = {}
        self.heard: list[tuple[int, set[int], bool]] = []  # event, audience, whether it is one of those followed
        self.going: list[str] = []  # texts that the act at hand deletes
        self.gone: dict[str, int] = {}  # text -> a place in the log by which it is deleted
        self.head = event.head()

    async def act(self, moving: int | None = None) -> None:
        """One act, of somebody who comes or goes, or any; committed here or, as by another gateway, beside."""
        verb, self.going = self._verb() if moving is None else self._move(moving, self.random.choice([*self.members])), []
        try:
            if self.random.random() < 0.3:
                with event.transaction() as tx:
                    verb(tx)
            else:
                await self.core.do(verb)
        except RefusedError:
            return
        self._note()
        self.gone |= dict.fromkeys(self.going, self.head)

    async def _late(self, work: Callable[..., Any], *args: Any) -> Any:
        """A read of the store whose answer takes its time: the hub goes on meanwhile."""
        found = await self.core.read(work, *args)
        if self.members and self.random.random() < 0.5:
            await self.act(args[0] if work is catchup.post_intervals else None)
        return found

    def _move(self, who: int, crew: int) -> Callable[[Transaction], Any]:
        verb = groups.leave if who in self.members[crew] else groups.join
        return lambda tx: verb(tx, who, crew)

    def _verb(self) -> Callable[[Transaction], Any]:
        who, n = self.random.choice(self.people), self.random.randint(1, 12)
        crew = self.random.choice([None, *self.members])
        text = f"text {self.random.random()}"
        verbs: list[Callable[[Transaction], Any]] = [lambda tx: posts.create(tx, who, crew, text)] * 5
        verbs += [lambda tx: comments.create(tx, who, n, text, None)] * 4
        verbs += [lambda tx: like.like(tx, who, n), lambda tx: posts.append_count_updates(tx, [n, n + 1])]
        verbs += [lambda tx: self._delete(tx, "posts", n), lambda tx: self._delete(tx, "comments", n)]
        if len(self.members) < 3:
            verbs.append(lambda tx: groups.create(tx, who, "Crew"))
        if crew is not None:
            verbs += [self._move(who, crew)] * 6
        return self.random.choice(verbs)

    def _delete(self, tx: Transaction, table: str, number: int) -> None:
        of = "id" if table == "posts" else "post_id"
        gone = rows(f"SELECT body FROM {table} WHERE id=?", (number,))
        gone += rows("SELECT body FROM comments WHERE post_id=?", (number,)) if of == "id" else []
        (removal.delete_post if of == "id" else removal.delete_comment)(tx, self.people[0], "admin", number)
        self.going = [text for (text,) in gone if text]

    def _note(self) -> None:
        for appended in event.read_after(self.head, 100):
            self.head = appended.id
            place, _, number = appended.stream.partition(":")
            if place == "user":
                self._moved(appended, int(number))
                self.heard.append((appended.id, {int(number)}, False))
            elif place == "posts":
                self.heard.append((appended.id, set(self.people), True))
            elif place == "group":
                self.heard.append((appended.id, set(self.members[int(number)]), True))

    def _moved(self, appended: event.Event, user: int) -> None:
        crew = following.GROUPS.stream_of(appended.data).partition(":")[2]
        members = self.members.setdefault(int(crew), set())
        (members.add if appended.type == following.GROUPS.joining else members.discard)(user)

    def expected(self, user: int, after: int, upto: int, posts: bool) -> list[int]:
        """The ids of what a reader must be told."""
        return [i for i, audience, of_posts in self.heard if after < i <= upto and user in audience and (posts or not of_posts)]

    async def look_back(self) -> None:
        """Somebody polls from somewhere."""
        user, after, asks = self.random.choice(self.people), self.random.randint(0, self.core.hub.head), self.random.random() < 0.8
        found: list[int] = []
        place, more = after, True
        while more:
            answer = await self.answered(self.core.poll(user, place, posts=asks))
            found, place, more = found + [one.id for one in answer.events], answer.position, answer.more
        assert found == self.expected(user, after, place, asks)

    async def answered(self, asked: Awaitable[Answer]) -> Answer:
        """An answer, in which no text is that was known to be deleted when it was asked for."""
        gone = [text.encode() for text, at in self.gone.items() if at <= self.core.hub.head]
        answer = await asked
        assert not [one for one in answer.events if any(text in one.data for text in gone)]
        return answer


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.only("sqlite"))])
def test_random_histories_are_heard_by_whom_they_are_for(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """RecentEvents and answers are short, so that each reader catches up in every way there is."""
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
                    await history.look_back()
                user = history.random.choice(history.people)
                if user not in live:
                    live[user] = await core.subscription(user, start, posts=True), []
                subscription, found = live[user]
                found += [one.id for one in (await history.answered(core.hub.next(subscription, 0))).events]
                if history.random.random() < 0.2:  # a stream ends, whoever has none is forgotten, and it goes on elsewhere
                    core.hub.unregister(subscription)
                    for subscriber in [*core.hub._subscribers.values(), *core.hub._feeds.subscribers.values()]:
                        subscriber.idle_since -= 10 * following.SUBSCRIBER_KEPT_S
                    core.hub.drop_idle()
                    live[user] = await core.subscription(user, subscription.position, posts=True), found
            await core.do(lambda tx: posts.create(tx, history.people[0], None, "the last one"))
            history._note()
            for user, (subscription, found) in live.items():
                while subscription.position < core.hub.head:
                    found += [one.id for one in (await core.hub.next(subscription, 0)).events]
                assert found == history.expected(user, start, core.hub.head, True)
            assert len(live) == 4
            assert len(history.members) == 3

    with database.fresh() as place, opened(tmp_path, durability="normal", **place):
        asyncio.run(scenario())
