"""Deleting an account over HTTP: what happens at once, and what it answers."""

import io
import json
import zipfile
from typing import Any

import httpx

from models.accounts import user_export
from models.chat import message
from models.chat.message import Draft
from models.log import event
from models.transfer import ledger
from tests.gateway.client import Client, problem
from tests.gateway.running import Gateway


def test_a_deleted_account_is_out_at_once_and_has_no_name(admin: Client, people: list[Client]) -> None:
    gone, other, _ = people
    admin.gateway.execute("UPDATE users SET external_id=? WHERE id=?", f"host-{gone.id}", gone.id)
    conversation = gone.send("hello", to=other)["conversation"]
    poll, cursor = gone.polling(gone.now()), other.now()
    answer = admin.delete(f"/admin/users/ext:host-{gone.id}", params={"texts": "keep"})
    assert answer.status_code == 202
    assert answer.json().keys() == {"job"}
    problem(poll.result(), 401, "unauthorized")
    problem(gone.get("/me"), 401, "unauthorized")
    expected = {"username": f"deleted-{gone.id}", "display_name": "Deleted user", "status": "deleted", "external_id": None}
    problem(other.get(f"/users/{gone.id}"), 404, "not-found")
    [seen] = [member["user"] for member in other.conversation(conversation)["members"] if member["user"]["id"] == gone.id]
    assert seen.items() >= expected.items()
    [renamed] = [event["data"] for event in other.events(cursor, follow="posts")]
    assert renamed.items() >= expected.items()
    assert other.get(f"/conversations/{conversation}/messages").json()["items"][0]["body"] == "hello"
    assert gone.id not in [user["id"] for user in other.get("/users", q=gone.name).json()["items"]]


def test_a_deletion_is_repeatable_and_shown_with_its_receipt(admin: Client, gateway: Gateway, people: list[Client]) -> None:
    gone = people[0]
    job = admin.delete(f"/admin/users/{gone.id}", params={"texts": "keep"}).json()["job"]
    assert admin.delete(f"/admin/users/{gone.id}", params={"texts": "keep"}).json()["job"] == job
    more = admin.delete(f"/admin/users/{gone.id}", params={"texts": "erase"}).json()["job"]
    [erasing, keeping] = [item for item in admin.get("/admin/jobs").json()["deletions"] if item["user"] == gone.id]
    assert (keeping["job"], keeping["texts"], keeping["by"], keeping["state"]) == (job, "keep", admin.id, "running")
    assert keeping["rows"] == {"users": 1, "tokens": 1}
    assert (erasing["job"], erasing["texts"]) == (more, "erase")
    lines = [line for line in ledger.read(gateway.data / "deletions.ndjson") if line.user == gone.id]  # no worker runs here
    assert [line.texts for line in lines] == ["keep", "erase"]


def test_no_admin_changes_an_account_that_is_deleted(admin: Client, gateway: Gateway, people: list[Client]) -> None:
    gone = people[0].id
    admin.delete(f"/admin/users/{gone}", params={"texts": "erase"})
    before = gateway.rows("SELECT * FROM users WHERE id=?", gone)
    for call in (
        admin.patch(f"/admin/users/{gone}", {"external_id": f"again-{gone}", "email": "again@example.org"}),
        admin.patch(f"/admin/users/{gone}", {"display_name": "Ana", "role": "admin"}),
        admin.post(f"/admin/users/{gone}/tokens", {}),
        admin.delete(f"/admin/users/{gone}/tokens"),
        admin.put(f"/admin/topics/orders/members/{gone}"),
        admin.delete(f"/admin/topics/orders/members/{gone}"),
    ):
        problem(call, 404, "not-found")
    for verb in ("activate", "suspend"):
        assert admin.post(f"/admin/users/{verb}", {"ids": [gone]}).json() == {"changed": [], "unchanged": [], "missing": [gone]}
    acting = admin.get("/me", headers={"Bellwire-As": str(gone)})
    assert problem(acting, 422, "bellwire-as")["detail"] == "Bellwire-As: the user is unknown"
    assert gateway.rows("SELECT * FROM users WHERE id=?", gone) == before


def test_what_can_not_be_deleted(admin: Client, ana: Client) -> None:
    problem(admin.delete(f"/admin/users/{admin.id}", params={"texts": "keep"}), 409, "conflict")
    problem(admin.delete("/admin/users/999999", params={"texts": "keep"}), 404, "not-found")
    problem(admin.delete("/admin/users/ext:nobody", params={"texts": "keep"}), 404, "not-found")
    problem(admin.delete(f"/admin/users/{ana.id}"), 422, "invalid")
    problem(ana.delete(f"/admin/users/{admin.id}", params={"texts": "keep"}), 403, "forbidden")


def test_a_username_that_looks_deleted_is_no_hindrance(admin: Client, gateway: Gateway, people: list[Client]) -> None:
    gone, other, _ = people
    gateway.execute("UPDATE users SET username=?, username_key=? WHERE id=?", *[f"deleted-{gone.id}"] * 2, other.id)
    admin.delete(f"/admin/users/{gone.id}", params={"texts": "keep"})
    assert gateway.rows("SELECT username FROM users WHERE id=?", gone.id) == [(f"deleted-{gone.id}-2",)]


def contents(answer: httpx.Response) -> dict[str, Any]:
    """The JSON files of an export, by name, and the bytes of others."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        packed = {name: archive.read(name) for name in archive.namelist()}
    return {
        name.removesuffix(".json"): json.loads(content) if name.endswith(".json") else content for name, content in packed.items()
    }


def test_an_export_has_everything_of_a_user_and_nothing_of_others(admin: Client, people: list[Client]) -> None:
    mine, other, _ = people
    bodies = [f"mine {n}" for n in range(5)]
    sent = [mine.send(body, to=other) for body in bodies]
    other.send("not mine", to=mine)
    mine.put(f"/messages/{sent[0]['id']}/reactions/👍")
    post = mine.post("/posts", {"body": "posted"}).json()["id"]
    other.post(f"/posts/{post}/comments", {"body": "not mine either"})
    mine.put(f"/posts/{post}/like")
    file = mine.post("/files?name=a.txt", content=b"the words of a file").json()["id"]
    exported = contents(mine.get("/me/export"))
    assert (exported["account"]["username"], exported["account"]["email"]) == (mine.name, f"{mine.name}@example.org")
    assert [item["body"] for item in exported["messages"]] == bodies
    assert [item["created_at"] for item in exported["messages"]] == [item["created_at"] for item in sent]
    assert [item["body"] for item in exported["posts"]] == ["posted"]
    assert exported["reactions"] == [{"message": sent[0]["id"], "emoji": "👍"}]
    assert len(exported["sessions"]) == len(exported["conversations"]) == 1
    assert exported.pop(f"files/{file}-a.txt") == b"the words of a file"
    assert "not mine" not in json.dumps(exported)
    assert contents(admin.get(f"/admin/users/{mine.id}/export")).keys() == {*exported, f"files/{file}-a.txt"}
    problem(admin.get("/admin/users/999999/export"), 404, "not-found")
    problem(mine.get(f"/admin/users/{mine.id}/export"), 403, "forbidden")


def test_an_export_reads_page_by_page(gateway: Gateway, people: list[Client]) -> None:
    mine, other, _ = people
    count = user_export.ROWS_PER_PAGE + 1
    conversation = mine.send("first", to=other)["conversation"]
    with gateway.store(), event.transaction() as tx:
        message.post(tx, [Draft(mine.id, 0, f"body {n}", conversation=conversation) for n in range(count)])
    assert [item["body"] for item in contents(mine.get("/me/export"))["messages"]] == [
        "first",
        *(f"body {n}" for n in range(count)),
    ]
