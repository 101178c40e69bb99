"""Random histories of files against a simple model, with crashes between the steps: table and folder agree at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule, run_state_machine_as_test

from conf import Settings
from jobs.upkeep.sweeper import Sweeper
from models.blobs import blob as blobs
from models.blobs.folder import Folder
from models.chat import message
from models.community import post, removal
from models.files import file as file_models
from models.files import upload as uploads
from models.files.upload import BegunUpload, ReceivedFile, UploadLimits
from models.log import event
from models.store.database import execute, rows
from models.store.errors import InvalidError
from tests.models.people import people

LIMITS = UploadLimits(1000, 10_000_000)
CONTENT = b"the bytes of a file"


class CrashError(Exception):
    """The process ends here: what follows does not happen."""


@contextmanager
def crash(*, before_commit: bool) -> Iterator[None]:
    """Lose the transaction, or do nothing."""
    yield
    if before_commit:
        raise CrashError


class FilesMachine(RuleBasedStateMachine):
    """Two users upload, send, delete, edit and are erased; each step may crash at each of its points."""

    store: Settings
    count = 0

    begun = Bundle("begun")

    def __init__(self) -> None:
        super().__init__()
        FilesMachine.count += 1
        self.users = people(f"ana-{self.count}", f"ben-{self.count}")
        self.folder = tempfile.TemporaryDirectory()
        self.objects = Folder(Path(self.folder.name))
        self.unsent: dict[int, int] = {}  # file -> owner
        self.sent: dict[tuple[str, int], list[int]] = {}  # message or post -> its files
        self.owner: dict[tuple[str, int], int] = {}

    def teardown(self) -> None:
        execute("UPDATE files SET created_ms=1 WHERE message IS NULL AND post IS NULL")
        execute("UPDATE blobs SET since_ms=1 WHERE state<>'stored'")
        Sweeper(self.store, objects=self.objects).sweep()
        execute("UPDATE blobs SET since_ms=1 WHERE state<>'stored'")  # those that were left behind wait a minute
        Sweeper(self.store, objects=self.objects).sweep()
        stored = dict(rows("SELECT key, bytes FROM blobs"))
        assert dict(self.objects.sizes()) == stored, "the folder has what the table has"
        assert len(stored) == sum(map(len, self.sent.values()))
        assert rows("SELECT bytes FROM file_usage WHERE bytes<0") == []
        for kind, number in self.sent:  # the next example begins without files
            self._delete(kind, number)
        Sweeper(self.store, objects=self.objects).sweep()
        assert (rows("SELECT id FROM blobs"), list(self.objects.sizes())) == ([], [])
        self.folder.cleanup()

    @rule(target=begun, who=st.integers(0, 1))
    def begins(self, who: int) -> BegunUpload:
        with event.transaction() as tx:
            return uploads.begin(tx, self.users[who], len(CONTENT), LIMITS)

    @rule(upload=consumes(begun), end=st.sampled_from(["whole", "half", "unwritten", "before commit", "broken", "given up"]))
    def ends(self, upload: BegunUpload, end: str) -> None:
        """The upload ends in one of these ways; the process may be killed in each of these moments."""
        if end == "unwritten":
            return
        writer = self.objects.writer(upload.object.key)
        writer.write(CONTENT[:5] if end in ("half", "broken") else CONTENT)
        if end == "half":
            return
        if end == "broken":
            writer.abort()
            with event.transaction() as tx:
                uploads.forget(tx, upload)
            return
        writer.finish()
        if end == "given up":
            with event.transaction() as tx:
                uploads.leave(tx, upload)
            return
        try:
            with event.transaction() as tx, crash(before_commit=end == "before commit"):
                view = uploads.complete(tx, upload, ReceivedFile("a.txt", "text/plain", len(CONTENT), "0" * 64, False))
        except CrashError:
            return
        self.unsent[view.id] = upload.owner

    @precondition(lambda self: self.unsent or self.sent)
    @rule(data=st.data(), kind=st.sampled_from(["message", "post"]), crashes=st.booleans())
    def sends(self, data: st.DataObject, kind: str, *, crashes: bool) -> None:
        known = sorted({*self.unsent, *(file for files in self.sent.values() for file in files)})
        chosen = data.draw(st.lists(st.sampled_from(known), min_size=1, max_size=4))
        who = data.draw(st.integers(0, 1))
        own = len(set(chosen)) == len(chosen) and all(self.unsent.get(file) == self.users[who] for file in chosen)
        try:
            with event.transaction() as tx, crash(before_commit=crashes):
                number = self._send(tx, kind, who, chosen)
        except CrashError:
            return
        except InvalidError:
            assert not own
            return
        assert own
        for file in chosen:
            del self.unsent[file]
        self.sent[kind, number], self.owner[kind, number] = chosen, self.users[who]

    def _send(self, tx: event.Transaction, kind: str, who: int, files: list[int]) -> int:
        user, other = self.users[who], self.users[1 - who]
        if kind == "post":
            return post.create(tx, user, None, "", files).id
        drafts = [message.Draft(user, 0, "", to=other, files=files), message.Draft(user, 0, "", to=other, files=files)]
        first, second = message.post(tx, drafts)
        assert isinstance(second, InvalidError), "of two in one batch, one gets the files"
        if isinstance(first, InvalidError):
            raise first
        return int(rows("SELECT max(id) FROM messages")[0][0])

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), crashes=st.booleans())
    def deletes(self, data: st.DataObject, *, crashes: bool) -> None:
        kind, number = data.draw(st.sampled_from(sorted(self.sent)))
        try:
            self._delete(kind, number, crashes=crashes)
        except CrashError:
            return
        del self.sent[kind, number]

    def _delete(self, kind: str, number: int, *, crashes: bool = False) -> None:
        delete = message.delete if kind == "message" else removal.delete_post
        with event.transaction() as tx, crash(before_commit=crashes):
            delete(tx, self.owner[kind, number], "user", number)

    @rule()
    def unsent_files_are_too_old(self) -> None:
        execute("UPDATE files SET created_ms=1 WHERE message IS NULL AND post IS NULL")
        Sweeper(self.store, objects=self.objects).expire()
        self.unsent.clear()

    @rule(crashes=st.booleans())
    def sweeps(self, *, crashes: bool) -> None:
        sweeper = Sweeper(self.store, objects=self.objects)
        sweeper._expire_at = float("inf")
        with pytest.MonkeyPatch.context() as patch:
            if crashes:
                patch.setattr(blobs, "forget", lambda tx, ids: 1 // 0)
            try:
                sweeper.sweep()
            except ZeroDivisionError:
                assert crashes

    @rule(who=st.integers(0, 1))
    def unsent_files_of_a_user_are_erased(self, who: int) -> None:
        with event.transaction() as tx:
            own = [file for file, owner in self.unsent.items() if owner == self.users[who]]
            file_models.remove(tx, own)
        self.unsent = {file: owner for file, owner in self.unsent.items() if file not in own}

    @invariant()
    def each_file_is_whole_and_belongs_to_one(self) -> None:
        found = rows("SELECT f.id, f.owner_id, f.message, f.post, b.key, b.state FROM files f JOIN blobs b ON b.id=f.content_id")
        belongs = {file: key for key, files in self.sent.items() for file in files}
        assert {row[0] for row in found} == {*self.unsent, *belongs}
        for file, owner, in_message, in_post, key, state in found:
            expected = belongs.get(file)
            assert (("message", in_message) if in_message else ("post", in_post) if in_post else None) == expected
            assert (owner, state) == (self.unsent.get(file) or self.owner[belongs[file]], blobs.STORED)
            assert b"".join(self.objects.read(key)) == CONTENT
        for (kind, number), files in self.sent.items():
            views = message.views([number]) if kind == "message" else post.event_views([number])
            assert [view.id for view in views[0].files] == files
        known = {key for (key,) in rows("SELECT key FROM blobs")}
        assert {key for key, _ in self.objects.sizes()} <= known, "each object has a row at any moment"


def test_table_and_folder_agree_after_any_history(store: Settings) -> None:
    machine = type("Machine", (FilesMachine,), {"store": store})
    health = settings(max_examples=25, stateful_step_count=25, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=health)
