"""Deleting an account over HTTP: what happens at once, and what it answers."""

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
    assert other.get("/users", q=gone.name).json()["items"] == []


def test_a_deletion_is_repeatable_and_shown_with_its_receipt(admin: Client, people: list[Client]) -> None:
    gone = people[0]
    job = admin.delete(f"/admin/users/{gone.id}", params={"texts": "keep"}).json()["job"]
    assert admin.delete(f"/admin/users/{gone.id}", params={"texts": "keep"}).json()["job"] == job
    more = admin.delete(f"/admin/users/{gone.id}", params={"texts": "erase"}).json()["job"]
    [erasing, keeping] = [item for item in admin.get("/admin/jobs").json()["deletions"] if item["user"] == gone.id]
    assert (keeping["job"], keeping["texts"], keeping["by"], keeping["state"]) == (job, "keep", admin.id, "running")
    assert keeping["rows"] == {"users": 1, "tokens": 1}
    assert (erasing["job"], erasing["texts"]) == (more, "erase")
    assert admin.post("/admin/users/activate", {"ids": [gone.id]}).json()["changed"] == []


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
