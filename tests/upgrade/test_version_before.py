"""A store, a queue and a backup that version 0.1 made are opened by this version, and its unfinished background work is done.

`store-0.1.tar.gz` is a data folder of a gateway of that version, which was killed with a task in its queue and events that no
consumer had read; `store-0.1.json` names what is in it.
"""

import json
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.commands.installation import Installation
from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.waiting import until

FOLDER = Path(__file__).parent
CONTENTS: dict[str, Any] = json.loads((FOLDER / "store-0.1.json").read_text())


def unpack(data: Path) -> None:
    """Unpack the data folder, with its times moved so that the newest is now: old rows would be cleared away."""
    with tarfile.open(FOLDER / "store-0.1.tar.gz") as archive:
        archive.extractall(data, filter="data")
    with closing(sqlite3.connect(data / "bellwire.db")) as connection, connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        age_ms = time.time_ns() // 1_000_000 - connection.execute("SELECT max(at_ms) FROM events").fetchone()[0]
        for table in tables:
            for _, column, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                if column.endswith("_ms") and column != "hour_ms":
                    connection.execute(f"UPDATE {table} SET {column} = {column} + ?", (age_ms,))


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Gateway and worker of this version on the store of the version before."""
    folder = tmp_path_factory.mktemp("upgraded")
    unpack(folder / "data")
    gateway = Gateway(folder, {}, "serve").start()
    yield gateway
    gateway.close()


def person(gateway: Gateway, name: str) -> Client:
    """A user of the version before, with the token that it issued."""
    return Client(gateway, CONTENTS["ids"].get(name, 1), name, CONTENTS["tokens"][name])


def test_tokens_messages_and_cursors_stay_good(upgraded: Gateway) -> None:
    ben, cleo = person(upgraded, "ben"), person(upgraded, "cleo")
    assert ben.get(f"/messages/{CONTENTS['first']}").json()["body"] == "hello Ben"
    history = cleo.get(f"/conversations/{CONTENTS['group']}/messages").json()["items"]
    assert {m["id"]: m["body"] for m in history}[CONTENTS["edited"]] == "soup or bread?"
    assert "unsayable" not in upgraded.dump()
    events = ben.get("/events", cursor=CONTENTS["cursor"]).json()["events"]
    assert [e["data"]["body"] for e in events if e["type"] == "message.created"][:2] == ["hello Ben", "hello Ana"]
    assert ben.get("/search/messages", q="soup").json()["items"][0]["id"] == CONTENTS["edited"]


def test_a_retry_of_a_send_to_the_version_before_makes_no_second_message(upgraded: Gateway) -> None:
    again = person(upgraded, "ana").post("/messages", {"to": CONTENTS["ids"]["ben"], "body": "hello Ben", "client_id": "first"})
    assert again.json()["id"] == CONTENTS["first"]


def test_the_work_that_was_left_is_done_once(upgraded: Gateway) -> None:
    ana = person(upgraded, "ana")

    def titles() -> set[str]:
        return {n["title"] for n in ana.get("/notifications").json()["items"]}

    until(lambda: {"Cleo and 1 other liked your post", "Cleo"} <= titles())
    until(lambda: any("Cleo" in path.read_text() for path in (upgraded.data / "mail").glob("*.eml")))
    assert upgraded.rows("SELECT count(*) FROM dead_work") == [(0,)]


def test_a_backup_of_the_version_before_is_restored(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    unpack(tmp_path / "before")
    installation.succeed("restore", str(tmp_path / "before" / "backup"))
    installation.succeed("migrate")
    installation.succeed("doctor")
    assert installation.rows("SELECT body FROM messages WHERE id=?", CONTENTS["first"]) == [("hello Ben",)]


def test_a_gateway_of_the_version_before_may_write_beside_this_one(upgraded: Gateway) -> None:
    ana, ben = person(upgraded, "ana"), person(upgraded, "ben")
    file = ana.post("/files", content=b"%PDF-1.7\n").json()["id"]
    sent = ana.post("/messages", {"to": ben.id, "body": "", "files": [file]}).json()
    assert ben.get(f"/files/{file}").content == b"%PDF-1.7\n"
    assert ben.get(f"/messages/{CONTENTS['first']}").json()["files"] == []

    names = "conversation_id, sender_id, body, client_id, priority, created_ms, event"  # the columns that it knows
    upgraded.execute(
        f"INSERT INTO messages (id, {names}) SELECT 999, {names.replace('client_id', '?')} FROM messages WHERE id=?",
        "old",
        sent["id"],
    )
    upgraded.execute("UPDATE messages SET deleted_ms=created_ms, body='' WHERE id=?", sent["id"])
    assert ben.get("/messages/999").json()["files"] == []
    assert ben.get(f"/files/{file}").status_code == 404
