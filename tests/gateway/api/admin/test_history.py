import json
from typing import Any

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway
from tests.models.importing import conversation, message, user

NDJSON = {"Content-Type": "application/x-ndjson"}


def post(admin: Client, *lines: Any, **options: Any) -> Any:
    content = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return admin.call("POST", "/admin/import", content=content, headers=NDJSON, **options)


def test_lines_are_imported_and_the_members_hear_of_it_once(gateway: Gateway, admin: Client, ana: Client) -> None:
    cursor = ana.now()
    talk = [
        user("import-1", display_name="Iris"),
        b"",
        conversation("c", "import-1") | {"conversation": {"key": "c", "kind": "direct", "members": ["ext:import-1", ana.id]}},
        message("m1", "c", "import-1", body="long ago"),
        message("m2", "c", "nobody"),
        b"{",
    ]
    answer = post(admin, *talk, params={"source": "shop"})
    assert answer.status_code == 200, answer.text
    counts = {"created": 1, "changed": 0, "unchanged": 0}
    assert {name: answer.json()[name] for name in ("users", "conversations", "messages")} == {
        "users": counts,
        "conversations": counts,
        "messages": counts,
    }
    assert answer.json()["refused"] == [
        {"line": 5, "field": "message.sender", "message": "ext:nobody is not known"},
        {"line": 6, "field": "", "message": "is not valid JSON"},
    ]
    created, imported = ana.get("/events", cursor=cursor, timeout=0).json()["events"]
    where = created["data"]["id"]
    assert (created["type"], imported["type"], imported["data"]["conversation"]) == (
        "conversation.created",
        "history.imported",
        where,
    )
    (found,) = ana.get(f"/conversations/{where}/messages").json()["items"]
    assert (found["body"], found["created_at"], found["id"]) == ("long ago", "2024-05-01T10:00:00.000Z", imported["data"]["last"])
    assert (ana.conversation(where)["unread"], ana.get("/notifications").json()["unread"]) == (0, 0)

    again = post(admin, *talk, params={"source": "shop"}).json()
    assert [again[name]["unchanged"] for name in ("users", "conversations", "messages")] == [1, 1, 1]
    assert ana.get("/events", cursor=cursor, timeout=0).json()["events"] == [created, imported]
    assert gateway.rows("SELECT count(*) FROM audits WHERE metadata LIKE '%long ago%'") == [(0,)]


def test_a_call_has_at_most_a_thousand_lines_of_its_own_type(admin: Client, ana: Client) -> None:
    people = [user(f"many-{n}") for n in range(1_000)]
    assert fields(post(admin, *people, user("many-1000"))) == ["lines"]
    assert post(admin, *people).json()["users"] == {"created": 1_000, "changed": 0, "unchanged": 0}
    assert post(admin, people[0], params={"source": "another"}).json()["users"]["unchanged"] == 1
    assert post(admin).json()["refused"] == []
    problem(admin.post("/admin/import", people[0]), 415, "unsupported-media-type")
    problem(post(admin, b" " * (8 * 2**20 + 1)), 413, "too-large")
    problem(post(ana, people[0]), 403, "forbidden")
    assert fields(post(admin, people[0], params={"source": "x" * 65})) == ["source"]
