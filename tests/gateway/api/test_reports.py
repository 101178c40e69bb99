"""Reports over HTTP: who may report, and the queue of admins."""

import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway


def test_a_report_waits_for_admins_with_its_evidence(ana: Client, ben: Client, admin: Client) -> None:
    sent = ben.send("an insult", at=ana.group(ben))
    for _ in range(2):
        assert ana.post(f"/messages/{sent['id']}/report", {"reason": "it hurts"}).status_code == 202
    ben.patch(f"/messages/{sent['id']}", {"body": "a compliment"})
    (found,) = (r for r in admin.get("/admin/reports", state="open").json()["items"] if r["message"] == sent["id"])
    assert (found["reporter"]["id"], found["author"]["id"], found["reason"]) == (ana.id, ben.id, "it hurts")
    assert (found["evidence"]["body"], found["evidence"]["conversation"], found["title"]) == (
        "an insult",
        sent["conversation"],
        "Crew",
    )
    path = f"/admin/reports/{found['id']}"
    closed = admin.post(path, {"action": "delete", "note": "seen"})
    assert closed.status_code == 200, closed.text
    assert closed.json() == admin.post(path, {"action": "delete", "note": "seen"}).json()
    assert closed.json() == admin.get("/admin/reports", state="closed").json()["items"][0]
    problem(admin.post(path, {"action": "dismiss"}), 409, "conflict")
    assert ana.get(f"/messages/{sent['id']}").json()["body"] == ""


def test_suspending_by_a_report_is_recorded_and_ends_the_authors_tokens(gateway: Gateway, ana: Client, admin: Client) -> None:
    spammer = gateway.user()
    post = spammer.post("/posts", {"body": "buy"}).json()["id"]
    assert ana.post(f"/posts/{post}/report", {"reason": "spam"}).status_code == 202
    report = admin.get("/admin/reports", state="open").json()["items"][0]["id"]
    assert admin.post(f"/admin/reports/{report}", {"action": "suspend"}).status_code == 200
    problem(spammer.get("/me"), 401, "unauthorized")
    assert gateway.rows("SELECT action FROM activities WHERE user_id=? AND action='account.suspended'", spammer.id)


def test_what_cannot_be_reported(ana: Client, ben: Client, cleo: Client, admin: Client) -> None:
    sent = ben.send("words", to=ana)
    path = f"/messages/{sent['id']}/report"
    problem(cleo.post(path, {"reason": "why"}), 404, "not-found")
    problem(cleo.post("/posts/999999/report", {"reason": "why"}), 404, "not-found")
    assert fields(ben.post(path, {"reason": "why"})) == ["message"]
    for reason in ("", "x" * 501):
        assert fields(ana.post(path, {"reason": reason})) == ["reason"]
    problem(ana.get("/admin/reports"), 403, "forbidden")
    problem(ana.post("/admin/reports/1", {"action": "dismiss"}), 403, "forbidden")
    problem(admin.post("/admin/reports/999999", {"action": "dismiss"}), 404, "not-found")
    assert fields(admin.post("/admin/reports/1", {"action": "burn"})) == ["action"]
    assert fields(admin.get("/admin/reports", state="lost")) == ["state"]


@pytest.mark.parametrize("author", ["the admin", "another"])
def test_no_admin_is_suspended_by_a_report(gateway: Gateway, ana: Client, admin: Client, author: str) -> None:
    writer = admin if author == "the admin" else gateway.user("admin")
    sent = writer.send("words", to=ana)
    ana.post(f"/messages/{sent['id']}/report", {"reason": "why"})
    report = admin.get("/admin/reports", state="open").json()["items"][0]["id"]
    assert fields(admin.post(f"/admin/reports/{report}", {"action": "suspend"})) == ["action"]
    assert admin.post(f"/admin/reports/{report}", {"action": "dismiss"}).status_code == 200
