"""Incoming hooks: programs write into a conversation."""

from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.api.hook_texts import MAX_ALERTS
from models.chat.message import MAX_BODY_CHARS
from models.hooks import incoming
from tests.gateway.client import API, Client, fields, problem
from tests.gateway.running import Gateway
from tests.waiting import until

ALERT = {  # https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
    "status": "firing",
    "labels": {"alertname": "DiskFull", "instance": "db1"},
    "annotations": {"summary": "db1 is full", "description": "3 % are free"},
    "startsAt": "2026-11-21T09:30:00.000Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus.example/graph",
    "fingerprint": "c1d2",
}
ALERTMANAGER: dict[str, Any] = {
    "version": "4",
    "groupKey": "{}:{alertname=DiskFull}",
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "bellwire",
    "groupLabels": {"alertname": "DiskFull"},
    "commonLabels": {"alertname": "DiskFull"},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager.example",
    "alerts": [ALERT, {"status": "resolved", "labels": {"alertname": "DiskFull", "instance": "db2"}, "annotations": {}}],
}
GRAFANA = {**ALERTMANAGER, "orgId": 1, "title": "[FIRING:1] DiskFull", "state": "alerting", "message": "**Firing**\n\ndb1 is full"}
BLOCKS: list[dict[str, Any]] = [  # https://docs.slack.dev/reference/block-kit/blocks
    {"type": "header", "text": {"type": "plain_text", "text": "Deploy", "emoji": True}},
    {"type": "divider"},
    {"type": "section", "text": {"type": "mrkdwn", "text": "*done*"}, "fields": [{"type": "mrkdwn", "text": "prod"}]},
    {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"text": "by "}, {"text": "ana!"}]}]},
]
DISK_FULL = """[FIRING: 2] DiskFull
- db1 is full
  3 % are free
  http://prometheus.example/graph
- resolved: DiskFull instance=db2"""


@pytest.fixture
def group(ana: Client, ben: Client) -> int:
    return ana.group(ben)


def created(admin: Client, group: int, label: str = "CI ☂") -> tuple[dict[str, Any], str]:
    """A new hook, and the path of its address."""
    answer = admin.post(f"/admin/conversations/{group}/hooks", {"label": label})
    assert answer.status_code == 201, answer.text
    hook = answer.json()
    url = hook.pop("url")
    return hook, url[url.index(API) + len(API) :]


def test_a_hook_writes_as_a_bot_of_its_own(gateway: Gateway, admin: Client, ana: Client, group: int) -> None:
    cursor = ana.now()
    hook, path = created(admin, group)
    outside = gateway.anonymous()
    answer = outside.post(path, {"text": "build 42 has passed", "channel": "#ci"})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["body"], answer.json()["sender"], answer.json()["conversation"]) == (
        "build 42 has passed",
        hook["bot"],
        group,
    )
    bot = ana.get(f"/users/{hook['bot']}").json()
    assert (bot["display_name"], bot["bot"], bot["role"]) == ("CI ☂", True, "user")
    assert ana.event_types(cursor) == ["member.joined", "message.created"]
    assert admin.get(f"/admin/conversations/{group}/hooks").json() == {"items": [hook], "next": None}
    other, other_path = created(admin, group, "Grafana")
    assert other["bot"] != hook["bot"]

    assert admin.delete(f"/admin/conversations/{group + 1}/hooks/{hook['id']}").status_code == 404
    assert admin.delete(f"/admin/conversations/{group}/hooks/{hook['id']}").status_code == 204
    problem(outside.post(path, {"text": "late"}), 404, "not-found")
    assert {member["user"]["id"] for member in ana.conversation(group)["members"]} & {hook["bot"], other["bot"]} == {other["bot"]}
    named = outside.post(other_path, {"text": f"@all: on, @{ana.name}"}).json()
    assert (named["mentions"], named["mentions_all"]) == ([ana.id], False), "the bot owns no group"
    secrets = [p.rpartition("/")[2] for p in (path, other_path)]
    until(lambda: '"route":"/api/v1/in/SECRET"' in gateway.stderr())  # which a thread writes
    assert not any(secret in gateway.dump() + gateway.stderr() for secret in secrets)


def test_a_new_address_ends_the_old_one(gateway: Gateway, admin: Client, ana: Client, group: int) -> None:
    hook, path = created(admin, group)
    other, _ = created(admin, ana.group(admin, title="Other"))
    at = f"/admin/conversations/{group}/hooks/{hook['id']}"
    assert admin.patch(at, {}).json() == hook
    answer = admin.patch(at, {"rotate": True}).json()
    url = answer.pop("url")
    assert answer == hook
    outside = gateway.anonymous()
    problem(outside.post(path, {"text": "late"}), 404, "not-found")
    assert outside.post(url[url.index(API) + len(API) :], {"text": "on"}).json()["sender"] == hook["bot"]
    problem(admin.patch(f"/admin/conversations/{group + 1}/hooks/{hook['id']}", {"rotate": True}), 404, "not-found")
    problem(admin.patch(f"/admin/conversations/{group + 1}/hooks/{hook['id']}", {}), 404, "not-found")
    assert admin.get("/admin/hooks").json()["items"][-2:] == [hook, other]
    assert (hook["title"], other["title"]) == ("Crew", "Other")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (ALERTMANAGER, DISK_FULL),
        (GRAFANA, "[FIRING:1] DiskFull\n**Firing**\n\ndb1 is full"),
        ({"attachments": [{"fallback": "short"}, {"title": "T", "text": "long"}]}, "short\nT\nlong"),
        ({"blocks": BLOCKS}, "Deploy\n*done*\nprod\nby ana!"),
        ({"attachments": [{"fallback": "short", "blocks": BLOCKS[:1]}]}, "Deploy"),
        ({"text": "x" * (MAX_BODY_CHARS + 1)}, "x" * (MAX_BODY_CHARS - 1) + "…"),
        ({"alerts": [{}] * (MAX_ALERTS + 1)}, "\n".join(["[FIRING: 51] alerts", *["- an alert"] * MAX_ALERTS, "… 1 more"])),
    ],
    ids=["alertmanager", "grafana", "slack", "blocks", "attached blocks", "long", "many"],
)
def test_the_shapes_of_others_become_texts(gateway: Gateway, admin: Client, group: int, body: dict[str, Any], text: str) -> None:
    _, path = created(admin, group)
    answer = gateway.anonymous().post(path, body)
    assert (answer.status_code, answer.json()["body"]) == (201, text)


@pytest.mark.parametrize(
    ("form", "text"), [({"payload": '{"text":"a & b"}'}, "a & b"), ({"text": "c", "channel": "#ci"}, "c"), ({"payload": "{"}, None)]
)
def test_slacks_older_senders_write_a_form(
    gateway: Gateway, admin: Client, group: int, form: dict[str, str], text: str | None
) -> None:
    _, path = created(admin, group)
    answer = gateway.anonymous().post(path, content=urlencode(form), headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == (400 if text is None else 201), answer.text
    assert answer.json().get("body") == text


def test_blocks_that_are_nested_deeply_are_not_followed(gateway: Gateway, admin: Client, group: int) -> None:
    _, path = created(admin, group)
    section: Any = "deep"
    for _ in range(400):
        section = {"type": "rich_text_section", "elements": [section]}
    problem(gateway.anonymous().post(path, {"blocks": [section]}), 422, "invalid")
    answer = gateway.anonymous().post(path, {"blocks": [BLOCKS[0], section]})
    assert (answer.status_code, answer.json()["body"].strip()) == (201, "Deploy")


def test_a_repeat_with_the_same_key_is_harmless(gateway: Gateway, admin: Client, group: int) -> None:
    _, path = created(admin, group)
    for key in ("build-42", "k" * 300):
        first, again = (gateway.anonymous().post(path, {"text": key[:9]}, headers={"Idempotency-Key": key}) for _ in range(2))
        assert (first.status_code, again.status_code, first.json()) == (201, 200, again.json())


def test_what_is_no_text_is_refused(gateway: Gateway, admin: Client, ana: Client, ben: Client, group: int) -> None:
    _, path = created(admin, group)
    outside = gateway.anonymous()
    for body in ({}, {"text": " "}, {"text": None, "alerts": []}):
        assert fields(outside.post(path, body)) == ["text"]
    assert fields(outside.post(path, {"text": 3})) == ["text"]
    problem(outside.post(path, content=b"{", headers={"Content-Type": "application/json"}), 400, "malformed")
    problem(outside.post(path, {"text": "x" * 300_000}), 413, "too-large")
    problem(outside.post("/in/" + "x" * 32, {"text": "x"}), 404, "not-found")
    direct = ana.send("hi", to=ben)["conversation"]
    problem(admin.post(f"/admin/conversations/{direct}/hooks", {"label": "x"}), 409, "conflict")
    problem(admin.post("/admin/conversations/99999/hooks", {"label": "x"}), 404, "not-found")
    assert fields(admin.post(f"/admin/conversations/{group}/hooks", {"label": "a\u202eb"})) == ["label"]
    problem(ana.post(f"/admin/conversations/{group}/hooks", {"label": "x"}), 403, "forbidden")


def test_a_hook_has_a_limit_of_its_own(make_gateway: Any) -> None:
    gateway = make_gateway(RATE_LIMITS="on", LIMIT_HOOKS="2/hour")
    admin, ana = gateway.user("admin"), gateway.user()
    paths = [created(admin, ana.group(admin))[1] for _ in range(2)]
    for path in paths:
        assert [gateway.anonymous().post(path, {"text": "x"}).status_code for _ in range(3)] == [201, 201, 429]


def test_their_number_in_a_conversation_is_bounded(
    gateway: Gateway, admin: Client, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "MAX_HOOKS", 0)
    from models.log import event

    with gateway.store(), pytest.raises(incoming.ConflictError), event.transaction() as tx:
        incoming.create(tx, admin.id, group, "x")
