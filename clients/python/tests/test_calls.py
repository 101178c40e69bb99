"""Calls other than sends and events, with both clients."""

import asyncio
from datetime import UTC, datetime
from itertools import islice

import httpx
import pytest

from bellwire_client import AsyncClient, Client, UnauthorizedError, UnexpectedAnswerError, User
from bellwire_client.reading import read
from clients.python.tests.conftest import Connect
from tests.gateway.client import Client as Person
from tests.gateway.running import Gateway

PASSWORD = "a long and quiet one"


@pytest.fixture(scope="module")
def root(gateway: Gateway) -> Person:
    return gateway.user("admin")


def account(root: Person, name: str) -> None:
    body = {"users": [{"username": name, "email": f"{name}@example.org", "password": PASSWORD}]}
    assert root.post("/admin/users", body).status_code == 201


def test_a_login_sets_the_token(gateway: Gateway, root: Person) -> None:
    account(root, "dora")
    with Client(gateway.url) as client:
        user = client.login("dora", PASSWORD)
        me = client.me()
        token = client.token
        client.logout()

        assert user.username == me.username == "dora"
        assert me.email == "dora@example.org"
        with pytest.raises(UnauthorizedError):
            Client(gateway.url, token).me()


def test_an_async_login_sets_the_token(gateway: Gateway, root: Person) -> None:
    async def scenario() -> str:
        async with AsyncClient(gateway.url) as client:
            await client.login("emil", PASSWORD)
            return (await client.state()).me.username

    account(root, "emil")
    assert asyncio.run(scenario()) == "emil"


def test_a_wrong_password_is_refused(gateway: Gateway) -> None:
    with Client(gateway.url) as client, pytest.raises(UnauthorizedError) as refused:
        client.login("nobody", "wrong")
    assert (refused.value.status, refused.value.slug) == (401, "unauthorized")


def test_a_conversation_is_created_read_and_written(bot: Client, ana: Person, ben: Person, cleo: Person) -> None:
    group = bot.open_conversation(ben.id, cleo.id, title="Crew")
    sent = bot.send("helo", conversation=group.id)
    bot.react(sent.id, "👍")
    edited = bot.edit(sent.id, "hello")
    answer = ben.send("hi", at=group.id)["id"]
    bot.typing(group.id)

    assert (group.kind, group.title, [m.user.id for m in group.members]) == ("group", "Crew", [ana.id, ben.id, cleo.id])
    assert (edited.body, edited.reactions) == ("hello", {"👍": [ana.id]})
    assert edited.edited_at
    assert [c.unread for c in bot.conversations()] == [1]
    assert bot.mark_read(group.id, answer) == 0
    assert bot.conversation(group.id).unread == 0
    bot.react(sent.id, "👍", added=False)
    bot.delete(sent.id)
    assert (bot.message(sent.id).body, bot.message(sent.id).reactions) == ("", {})
    assert bot.open_conversation(ben.id) == bot.open_conversation(ben.id)


def test_a_member_completes_a_mention_and_sets_their_level(bot: Client, ana: Person, ben: Person) -> None:
    group = bot.open_conversation(ben.id, title="Loud crew")
    assert [m.user.id for m in bot.mention_candidates(group.id, ben.name)] == [ben.id]
    assert bot.send(f"@all and @{ben.name}", conversation=group.id).mentions == [ben.id]
    until = datetime(2100, 1, 1, tzinfo=UTC)
    assert bot.set_level(group.id, "none", until=until).until == until
    muted = bot.conversation(group.id)
    assert (muted.level, muted.level_until, muted.mentions_unread) == ("none", until, 0)
    assert bot.set_level(group.id, None).level == "all"


def test_members_changes_and_unread_messages_of_a_group(bot: Client, ana: Person, ben: Person, cleo: Person) -> None:
    group = bot.open_conversation(ben.id, title="Night crew")
    bot.request("PUT", f"/conversations/{group.id}/members/{cleo.id}")
    first, second = (ben.send(text, at=group.id)["id"] for text in ("lunch at noon", "or at one"))

    assert [member.user.id for member in bot.members(group.id)] == [ana.id, ben.id, cleo.id]
    assert [member.user.id for member in bot.members(group.id, f"@{ben.name}")] == [ben.id]
    assert [(change.type, change.data["user"]["id"]) for change in bot.changes(group.id)] == [("member.joined", cleo.id)]
    assert bot.mark_read(group.id, second) == 0
    assert bot.mark_unread(group.id, first) == 2
    assert [found.id for found in bot.conversations("night")] == [group.id]
    assert list(bot.conversations("morning")) == []
    assert bot.state().notifications_unread_messages == 0


def test_a_search_has_filters_and_its_messages_the_places_of_the_words(bot: Client, ana: Person) -> None:
    assert list(bot.search("lunch from:me", sender=ana.id, conversation=7, before=9)) == []
    asked = []
    message = {
        "id": 5,
        "conversation": 3,
        "sender": 7,
        "body": "no lunch",
        "priority": "normal",
        "created_at": "2026-11-21T09:30:00Z",
    }

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        return httpx.Response(200, json={"items": [{**message, "marks": [[3, 5]]}], "next": None})

    with Client("http://127.0.0.1", "token", http=httpx.Client(transport=httpx.MockTransport(answer))) as client:
        (found,) = client.search("lunch", sender=7, conversation=3, before=40)
    assert (found.id, found.body, found.marks) == (5, "no lunch", [[3, 5]])
    assert asked == [{"q": "lunch", "from": "7", "conversation": "3", "before": "40"}]


def test_history_continues_over_pages(gateway: Gateway, bot: Client, ana: Person, ben: Person) -> None:
    sent = [bot.send(str(n), to=ben.id) for n in range(60)]
    at = sent[0].conversation

    async def first(count: int) -> list[str]:
        async with AsyncClient(gateway.url, ana.token) as other:
            return [message.body async for message in other.history(at)][:count]

    assert [message.id for message in bot.history(at)] == [message.id for message in reversed(sent)]
    assert asyncio.run(first(2)) == ["59", "58"]
    assert sent[10] in islice(bot.history(at, around=sent[10].id), 50)


def test_people_are_found_by_name(bot: Client, ben: Person) -> None:
    found = next(bot.users(ben.name))
    assert (found.id, found.username) == (ben.id, ben.name)
    assert bot.user(ben.id) == found


def test_notifications_are_listed_and_marked(bot: Client) -> None:
    assert list(bot.notifications(unread=True)) == []
    assert bot.mark_notifications_read() == 0


def test_calls_without_a_method_of_their_own_can_be_made(bot: Client) -> None:
    made = bot.request("POST", "/posts", {"body": "news"})
    assert bot.request("GET", "/posts", params={"limit": 1})["items"][0]["id"] == made["id"]
    assert bot.request("DELETE", f"/posts/{made['id']}") is None


def test_unknown_fields_are_ignored() -> None:
    data = {"id": 1, "username": "ana", "display_name": "Ana", "role": "user", "status": "active", "shoe_size": 44}
    assert read(User, data) == User(id=1, username="ana", display_name="Ana", role="user", status="active")


@pytest.mark.parametrize("data", [None, [], "page", {}, {"id": 1}])
def test_an_answer_of_another_server_raises(data: object) -> None:
    with pytest.raises(UnexpectedAnswerError, match="is the address right"):
        read(User, data)


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="http://"):
        Client("localhost:8080")


def test_a_client_may_be_shared_by_threads(connect: Connect, gateway: Gateway, ana: Person, ben: Person) -> None:
    client = connect(ana)
    sends = [gateway.later(client.send, str(n), to=ben.id) for n in range(30)]
    assert len({sent.result().id for sent in sends}) == 30
