"""The export has everything of its user, and nothing of other users."""

import io
import json
import zipfile
from typing import Any

import msgspec
import pytest

from conf import Settings
from models.accounts import invitation, user_export
from models.accounts.export_stream import UserExport
from models.accounts.invitation import InvitationUse
from models.blobs.folder import Folder
from models.files import file
from models.log import event
from models.notices import topics
from models.notices.announcement import Announcement
from models.notices.notification import Notification
from models.notices.pending_mail import Digest, WaitingMail
from models.records import activity, archive, archived_tables, audit
from models.records.audit import AdminCall
from models.store.database import engine, execute, rows
from tests.models.people import people, send
from tests.models.stored_files import store_file

AT = "2024-05-01T10:00:00.000Z"
LINE = {"id": 1, "user": 0, "action": "order.paid", "description": "", "metadata": {}, "triggered_by": None, "site": None, "at": AT}


def begin(store: Settings, user: int) -> UserExport:
    """An export that is to be read."""
    return user_export.write(user, store.data_dir / "exports", archive.folder(store.data_dir), Folder(store.files_path))


def packed(begun: UserExport, size: int = 1_000) -> dict[str, bytes]:
    """Read an export to its end: the content of each of its files, by name."""
    blocks = list(iter(lambda: begun.read(size), b""))
    assert max(map(len, blocks)) <= size
    begun.close()
    with zipfile.ZipFile(io.BytesIO(b"".join(blocks))) as unpacked:
        assert unpacked.testzip() is None
        return {name: unpacked.read(name) for name in unpacked.namelist()}


def export(store: Settings, user: int) -> dict[str, Any]:
    """The JSON files of an export, by name."""
    contents = packed(begin(store, user))
    return {name.removesuffix(".json"): json.loads(content) for name, content in contents.items() if name.endswith(".json")}


def archive_lines(store: Settings, month: str, *lines: dict[str, Any]) -> None:
    """Have records in the archive: of a file, or on PostgreSQL of a detached table."""
    if engine().name == "postgresql":
        table = f"{archived_tables.PREFIX}activities_{month.replace('-', '_')}"
        execute(f"CREATE TABLE {table} (LIKE activities)")
        sql = f"INSERT INTO {table} (id, user_id, action, description, metadata, at_ms) VALUES (?,?,?,'','{{}}',1)"
        for line in lines:
            execute(sql, (line["id"], line["user"], line["action"]))
        return
    folder = archive.folder(store.data_dir)
    number, name = archive.create_folder(folder), archive.file_name("activity", month)
    with event.transaction() as tx:
        archive.commit_size(tx, number, name, 0, archive.append(folder / name, 0, list(map(msgspec.json.encode, lines))))


def archived(exported: dict[str, Any]) -> list[str]:
    """The actions of old records, of files or tables."""
    return [record["action"] for record in exported["archived_activity" if engine().name == "sqlite" else "activity"]]


def test_what_a_user_has_is_exported_and_nothing_of_others(store: Settings) -> None:
    mine, other = people("mine", "other", role="admin")
    numbers = {}
    with event.transaction() as tx:
        for user in (mine, other):
            topics.join(tx, f"topic-{user}", user)
            numbers[user] = invitation.create(tx, user, 1, 3600, None, "user")[0].id
    for n, (user, by) in enumerate(((mine, other), (other, mine)), 1):
        InvitationUse.insert(user=user, invitation=numbers[by]).as_rowcount().execute()
        Digest.insert(user=user, period=f"daily {user}", at_ms=1).as_rowcount().execute()
        notice = {"user": user, "type": "system", "title": "", "body": "", "data": "{}", "count": 1, "grouping": "x"}
        Notification.insert(id=n, **notice, created_ms=1, updated_ms=1).as_rowcount().execute()
        WaitingMail.insert(notification=n, user=user, since_ms=1, due_ms=2, single=False).as_rowcount().execute()
        said = {"by_user": user, "type": "system", "title": f"by {user}", "body": "", "data": "{}", "done": 0, "position": 0}
        Announcement.insert(id=n, **said, created_ms=1).as_rowcount().execute()
    exported = export(store, mine)
    assert [topic["topic"] for topic in exported["topics"]] == [f"topic-{mine}"]
    assert [made["id"] for made in exported["invitations_made"]] == [numbers[mine]]
    assert exported["invitation_accepted"] == [{"invitation": numbers[other]}]
    assert exported["digests"] == [{"period": f"daily {mine}", "at": "1970-01-01T00:00:00.001Z"}]
    assert [waiting["notification"] for waiting in exported["waiting_mails"]] == [1]
    assert [said["title"] for said in exported["announcements"]] == [f"by {mine}"]
    assert exported["left_out"] == []


def test_a_users_files_are_exported_with_their_bytes(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    objects = Folder(store.files_path)
    long = bytes(range(256)) * 2_000
    unsent, sent = (store_file(objects, ana, content, name=name) for name, content in (("ünsent.txt", long), ("2.pdf", b"")))
    number = send(ana, "", to=ben, files=[sent])
    store_file(objects, ben, name="not hers")
    found = packed(begin(store, ana))
    assert {name: content for name, content in found.items() if name.startswith("files/")} == {
        f"files/{unsent}-ünsent.txt": long,
        f"files/{sent}-2.pdf": b"",
    }
    listed = json.loads(found["files.json"])
    assert [(file["id"], file["name"], file["message"]) for file in listed] == [
        (unsent, "ünsent.txt", None),
        (sent, "2.pdf", number),
    ]
    assert json.loads(found["left_out.json"]) == []


def test_files_that_are_gone_when_they_are_read_are_named(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_export, "MAX_FILES", 3)
    (ana,) = people("ana")
    objects = Folder(store.files_path)
    ids = [store_file(objects, ana, name=f"{n}.txt") for n in range(5)]
    begun = begin(store, ana)
    with event.transaction() as tx:
        file.remove(tx, ids[3:4])
    (key,) = rows("SELECT b.key FROM files f JOIN blobs b ON b.id=f.content_id WHERE f.id=?", (ids[2],))[0]
    objects.remove([key])
    found = packed(begun)
    assert [name for name in found if name.startswith("files/")] == [f"files/{ids[4]}-4.txt"]
    left_out = [f"files with ids up to {ids[1]}", f"files/{ids[3]}", f"files/{ids[2]}-2.txt"]
    assert json.loads(found["left_out.json"]) == left_out


def test_an_export_that_is_not_read_to_its_end_leaves_nothing(store: Settings) -> None:
    (ana,) = people("ana")
    store_file(Folder(store.files_path), ana, content=b"x" * 1_000_000)
    for size in (0, 1, 200_000):
        begun = begin(store, ana)
        assert begun.read(size) is not None
        begun.close()
    assert list((store.data_dir / "exports").iterdir()) == []


def test_calls_of_admins_are_those_that_the_user_may_see(store: Settings) -> None:
    mine, other = people("mine", "other", role="admin")
    body, path = msgspec.json.encode({"email": "secret@example.org"}), "/api/v1/admin/users/ext:secret"
    with event.transaction() as tx:
        audit.record(tx, AdminCall(mine, "PATCH /api/v1/admin/users/ID", path, body, "done", "192.0.2.1", "1"))
        audit.record(tx, AdminCall(other, "GET /api/v1/admin/users", path, body, "read", "192.0.2.2", "2"))
        audit.record_changes(tx, AdminCall(other, "POST suspend", path, body, "done", "192.0.2.2", ""), [mine])
    own, about = export(store, mine)["admin_calls"]
    assert (own["action"], own["outcome"], own["address"], own["by_admin"]) == (
        *("PATCH /api/v1/admin/users/ID", "done", "192.0.2.1", False),
    )
    assert (about["action"], about["address"], about["by_admin"]) == ("POST suspend", None, True)
    assert "secret" not in json.dumps([own, about])


def test_archived_activity_is_exported_with_the_newest(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = people("mine", "other")
    activity.record([(mine, "order.new", "", '{"n":1}', None, None, 5)])
    for month, action in (("2024-04", "order.old"), ("2024-05", "order.older")):
        lines = [{"user": mine, "action": action}, {"user": other, "action": f"of.{mine}", "metadata": {"user": mine}}]
        archive_lines(store, month, *(LINE | line | {"id": n} for n, line in enumerate(lines, 2)))
    exported = export(store, mine)
    assert sorted(archived(exported))[-2:] == ["order.old", "order.older"]
    assert exported["activity"][-1] == {
        **{"action": "order.new", "description": "", "metadata": {"n": 1}, "site": None},
        **{"at": "1970-01-01T00:00:00.005Z", "id": exported["activity"][-1]["id"]},
    }
    assert f"of.{mine}" not in json.dumps(exported)
    if engine().name == "sqlite":
        monkeypatch.setattr(user_export, "MAX_ARCHIVE_S", -1)
        late = export(store, mine)
        assert late["left_out"] == ["activity-2024-05.ndjson.gz", "activity-2024-04.ndjson.gz"]
        assert late["archived_activity"] == []
