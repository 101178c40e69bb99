"""The calls of administrators, with both clients, and the check of webhooks."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import islice
from zipfile import ZipFile

import httpx
import pytest
from standardwebhooks import Webhook

from bellwire_client import (
    AsyncClient,
    Client,
    NotFoundError,
    ProblemError,
    UnreachableError,
    WebhookVerificationError,
    verify_webhook,
)
from clients.python.tests.conftest import Connect
from tests.gateway.client import Client as Person
from tests.gateway.running import Gateway

SECRET = "whsec_c2VjcmV0IG9mIGEgd2ViaG9vaw=="
BODY = '{"type":"message.created","timestamp":"2026-11-21T09:30:00.000Z","data":{"id":"c1"}}'

USER = {
    "id": 3,
    "username": "neil",
    "display_name": "Neil",
    "role": "user",
    "status": "active",
    "external_id": "o'neil/7",
    "email": None,
}
IMPORT = [
    {"user": {"external_id": "p-1", "display_name": "Zoé"}},
    {"user": {"external_id": "p-2"}},
    {"conversation": {"key": "room", "kind": "direct", "members": ["ext:p-1", "ext:p-2"]}},
    {"message": {"key": "1", "conversation": "room", "sender": "ext:p-1", "body": "Ça va?", "at": "2024-05-01T10:00:00Z"}},
    {"message": {"key": "2", "conversation": "no room", "sender": "ext:p-1", "body": "lost", "at": "2024-05-01T10:00:00Z"}},
]


@pytest.fixture(scope="module")
def root(gateway: Gateway) -> Person:
    return gateway.user("admin")


def test_a_product_makes_tokens_and_reads_the_log(
    connect: Connect, gateway: Gateway, root: Person, ana: Person, ben: Person
) -> None:
    for person, external_id in ((ana, "42"), (ben, "o'neil/7")):
        gateway.execute("UPDATE users SET external_id=? WHERE id=?", external_id, person.id)
    bell = connect(root)
    given = bell.admin.create_token("ext:o'neil/7", expires_in=60)
    assert given.expires_at
    assert timedelta() < given.expires_at - datetime.now(UTC) <= timedelta(minutes=1)
    with Client(gateway.url, given.token) as neil:
        sent = [neil.send(text, to="ext:42") for text in ("one", "two")]
        assert (neil.me().external_id, neil.user("ext:42").id) == ("o'neil/7", ana.id)
        assert neil.open_conversation("ext:42").id == sent[0].conversation

    log = bell.admin.log("begin", types=["message.*"], limit=1)
    (first,) = islice(log, 1)
    (second,) = islice(bell.admin.log(first.id, types="message.created"), 1)
    assert [event.data["body"] for event in (first, second)] == ["one", "two"]
    assert first.stream == f"conversation:{sent[0].conversation}"
    assert log.cursor == first.id

    async def read() -> str:
        async with AsyncClient(gateway.url, root.token) as client:
            assert (await client.admin.create_token("ext:42")).expires_at is None
            async for event in client.admin.log(first.id, types=["message.*"]):
                return str(event.data["body"])
        return ""

    assert asyncio.run(read()) == "two"
    with pytest.raises(ProblemError):
        next(iter(bell.admin.log("nothing")))


def test_a_user_of_a_product_leaves(connect: Connect, root: Person) -> None:
    bell = connect(root)
    user = bell.admin.put_user("leaving/1", {"display_name": "Lea"})
    token = bell.admin.create_token(user.id).token
    bell.admin.revoke_tokens("ext:leaving/1")
    with Client(root.gateway.url, token) as lea, pytest.raises(ProblemError) as refused:
        lea.me()
    assert refused.value.status == 401
    assert bell.admin.delete_user("ext:leaving/1", texts="erase") == bell.admin.delete_user(user.id, texts="erase")


def test_a_product_notifies_and_acts_for_its_users() -> None:
    """The request that is made."""
    made: list[tuple[str, str, str | None, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().removeprefix("/api/v1")
        body = json.loads(request.content) if request.content else None
        made.append((request.method, path, request.headers.get("Bellwire-As"), body))
        status = 503 if len(made) == 1 else 200
        return httpx.Response(status, json={"event": "c7", "created": 1, "changed": 0, "unchanged": 0, "items": [], **USER})

    with Client("http://127.0.0.1", "token", http=httpx.Client(transport=httpx.MockTransport(answer))) as bell:
        at = datetime(2026, 12, 1, tzinfo=UTC)
        event = bell.admin.notify("order.sent", to=["ext:42", 7], values={"order": 7}, dedupe="order-7", not_before=at)
        bell.admin.subscribe("news", "ext:o'neil/7")
        other = bell.acting_as("ext:é 42")
        other.request("POST", "/posts", {"body": "hello"})
        other.admin.subscribe("news", 7, subscribed=False)
        user = bell.admin.put_user("o'neil/7", {"display_name": "Neil"})
        upserted = bell.admin.upsert_users([{"external_id": "8"}])
        without_dedupe = bell.admin.notify("order.sent", topic="news")

    notification = {"type": "order.sent", "to": ["ext:42", 7], "values": {"order": 7}, "dedupe": "order-7"}
    assert event == without_dedupe == "c7"
    assert (user.external_id, upserted.created) == ("o'neil/7", 1)
    assert made == [
        *2 * [("POST", "/admin/notify", None, notification | {"not_before": "2026-12-01T00:00:00+00:00"})],  # the first was lost
        ("PUT", "/admin/topics/news/members/ext:o%27neil%2F7", None, None),
        ("POST", "/posts", "ext:%C3%A9%2042", {"body": "hello"}),
        ("DELETE", "/admin/topics/news/members/7", None, None),
        ("PUT", "/admin/users/ext:o%27neil%2F7", None, {"display_name": "Neil"}),
        ("POST", "/admin/users/upsert", None, {"users": [{"external_id": "8"}]}),
        ("POST", "/admin/notify", None, {"type": "order.sent", "topic": "news"}),
    ]


def test_a_product_manages_its_webhooks(connect: Connect, root: Person) -> None:
    admin = connect(root).admin
    made = admin.create_webhook("https://shop.example.org/bellwire", types=["message.*"], start="begin")
    changed = admin.change_webhook(made.id, state="paused", description="the shop")
    rotated = admin.rotate_webhook(made.id)
    admin.test_webhook(made.id)

    assert (changed.state, changed.url, changed.types, changed.secret) == ("paused", made.url, ["message.*"], None)
    assert len({made.secret, rotated.secret, None}) == 3
    assert admin.rewind_webhook(made.id, cursor="begin").position == made.position
    assert admin.rewind_webhook(made.id, time=datetime.now(UTC)).position != made.position
    assert [webhook.description for webhook in admin.webhooks()] == ["the shop"]
    admin.delete_webhook(made.id)
    with pytest.raises(NotFoundError):
        admin.webhook(made.id)


def test_a_rotation_whose_answer_is_lost_is_not_repeated() -> None:
    made: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        made.append(request.method)
        return httpx.Response(503)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    with Client("http://127.0.0.1", "token", http=http) as bell, pytest.raises(ProblemError):
        bell.admin.rotate_webhook(3)
    assert made == ["PATCH"]


def test_a_program_writes_by_an_incoming_hook(connect: Connect, gateway: Gateway, root: Person, ana: Person, ben: Person) -> None:
    admin, group = connect(root).admin, connect(ana).open_conversation(ben.id, title="Crew")
    hook = admin.create_incoming_hook(group.id, "CI")
    assert hook.url
    with Client(gateway.url) as program:
        first, again = (program.write_by_hook(hook.url, text, key="build-42") for text in ("it is built", "again"))
        assert (first, first.body, first.sender) == (again, "it is built", hook.bot)
        assert [listed.url for listed in admin.incoming_hooks(group.id)] == [None]
        rotated = admin.rotate_incoming_hook(group.id, hook.id)
        assert rotated.url
        assert rotated.title == "Crew"
        with pytest.raises(NotFoundError):
            program.write_by_hook(hook.url, "late")
        program.write_by_hook(rotated.url, "from the new address")
        assert hook.id in [listed.id for listed in admin.all_incoming_hooks()]
        admin.delete_incoming_hook(group.id, hook.id)
        with pytest.raises(NotFoundError):
            program.write_by_hook(rotated.url, "late")


def test_users_are_imported_exported_and_deleted(connect: Connect, gateway: Gateway, root: Person) -> None:
    admin = connect(root).admin
    imported, again = (admin.import_history(IMPORT, source="old") for _ in range(2))
    assert (imported.users.created, imported.conversations.created, imported.messages.created) == (2, 1, 1)
    assert [(line.line, line.field) for line in imported.refused] == [(5, "message.conversation")]
    assert (again.messages.created, again.messages.unchanged) == (0, 1)
    (account,) = admin.accounts("Zoé", status="active")
    assert (account.external_id, account.email) == ("p-1", None)
    assert admin.change_user("ext:p-1", {"display_name": "Pia"}).display_name == "Pia"

    async def export(file: BytesIO) -> None:
        async with AsyncClient(gateway.url, root.token) as client:
            await client.admin.export_user("ext:p-1", file)

    files = BytesIO(), BytesIO()
    admin.export_user("ext:p-1", files[0])
    asyncio.run(export(files[1]))
    for file in files:
        assert "messages.json" in ZipFile(file).namelist()
    job = admin.delete_user("ext:p-1", texts="erase")
    assert job in [deletion["job"] for deletion in admin.jobs()["deletions"]]
    suspended, activated = admin.suspend(["ext:p-2", "ext:nobody"], "left"), admin.activate(["ext:p-2"])
    assert suspended.changed == activated.changed != []
    assert suspended.missing == ["ext:nobody"]


def test_an_export_that_breaks_off_is_an_error() -> None:
    def broken() -> Iterator[bytes]:
        yield b"PK"
        raise httpx.ReadError("broken")

    answers = httpx.MockTransport(lambda _: httpx.Response(200, content=broken()))
    file = BytesIO()
    with Client("http://127.0.0.1", "token", http=httpx.Client(transport=answers)) as bell, pytest.raises(UnreachableError):
        bell.export(file)
    assert file.getvalue() == b"PK"


def test_types_of_notifications_and_topics_are_listed(connect: Connect, root: Person, ana: Person) -> None:
    admin = connect(root).admin
    made = admin.put_notification_type("order.sent", {"words": {"en": {"title": "It left"}}, "email": "hourly"})
    assert (made.type, made.words, made.email, made.group_by) == ("order.sent", {"en": {"title": "It left"}}, "hourly", None)
    assert admin.notification_type("order.sent") == made
    assert list(admin.notification_types()) == [made]
    admin.delete_notification_type("order.sent")
    assert list(admin.notification_types()) == []

    admin.subscribe("doc-7/a", ana.id)
    assert [user.id for user in admin.topic_members("doc-7/a")] == [ana.id]


def test_a_webhook_is_checked_as_standard_webhooks_say() -> None:
    now = datetime.now(UTC)
    headers = {
        "Webhook-Id": "c1",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": f"v1,AAAA {Webhook(SECRET).sign('c1', now, BODY)}",
    }
    assert verify_webhook(BODY.encode(), headers, SECRET) == json.loads(BODY)
    old = now - timedelta(minutes=6)
    aged = {"Webhook-Timestamp": str(int(old.timestamp())), "Webhook-Signature": Webhook(SECRET).sign("c1", old, BODY)}
    for body, sent, secret in (
        (BODY + " ", headers, SECRET),
        (BODY, headers, "whsec_b3RoZXI="),
        (BODY, headers, "none"),
        (BODY, headers | aged, SECRET),
        (BODY, {}, SECRET),
    ):
        with pytest.raises(WebhookVerificationError):
            verify_webhook(body, sent, secret)
