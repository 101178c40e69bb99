import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.api.admin import history
from gateway.http.errors import ProblemError
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import ROOT, Gateway
from tests.models.importing import conversation, message, user
from tests.python import run_python

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


def test_lines_are_counted_before_any_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is what is wrong with too many lines, and an answer does not show it."""
    parsed: list[object] = []
    monkeypatch.setattr(history.lines, "parse", parsed.append)
    with pytest.raises(ProblemError, match="lines"):
        history._parse(b"{}\n \n" * 1_001)
    assert parsed == []


def run_import(gateway: Gateway, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BELLWIRE_")}
    settings = {f"BELLWIRE_{name}": value for name, value in gateway.settings.items()}
    return run_python([ROOT / "run.py", "import", *map(str, arguments)], env=environment | settings, cwd=gateway.folder)


def test_the_command_imports_while_the_gateway_runs_and_ends_with_counts(gateway: Gateway, ana: Client, tmp_path: Path) -> None:
    direct = {"conversation": {"key": "d", "kind": "direct", "members": ["ext:file-1", ana.id]}}
    wrong = [message(f"w{n}", "d", "nobody") for n in range(101)]
    lines = [user("file-1"), direct, *(message(f"f{n}", "d", "file-1", n // 20) for n in range(900)), *wrong]
    file, refused = tmp_path / "history.jsonl", tmp_path / "refused.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    cursor = ana.now()
    done = run_import(gateway, file, "--source", "file", "--refused", refused)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[1:] == [
        "users                    1           0           0",
        "conversations            1           0           0",
        "messages               900           0           0",
        "101 lines were refused",
    ]
    shown = [line for line in done.stderr.splitlines() if line.startswith("line ")]
    assert (len(shown), shown[0]) == (100, "line 903: message.sender: ext:nobody is not known")
    assert [json.loads(line)["place"] for line in refused.read_text().splitlines()] == [f"line {n}" for n in range(903, 1004)]

    events = ana.polling(cursor, timeout=30, types="history.imported").result().json()["events"]
    assert events[0]["data"]["messages"] < 900, "a part of them, so that others can write in between"
    file.write_text("\n".join(map(json.dumps, lines[:902])))
    again = run_import(gateway, file, "--source", "file")
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "messages                 0           0         900")
    for arguments in ((tmp_path / "missing",), (file, "--source", ""), (file, "--from", "slack"), (file, "--from", "mattermost")):
        wrong_use = run_import(gateway, *arguments)
        assert (wrong_use.returncode, "Traceback" in wrong_use.stderr) == (2, False), wrong_use.stderr
