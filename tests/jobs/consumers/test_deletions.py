"""A deletion removes the texts and names of a person, after any crash, and leaves the data of others as it is."""

import random
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from conf import Settings
from jobs import tasks
from jobs.consumers.deletions import DeletionsConsumer
from jobs.drain.drain import drain
from jobs.mail.compose import Composer
from jobs.mail.file_transport import FileTransport
from models.accounts import deletion, registration
from models.accounts.registration import NewUser
from models.chat import blocks, conversation, message, reports
from models.chat.message import Draft
from models.community import comment, group, like, post
from models.history import import_keys
from models.identity import code, external_id, token
from models.identity.user import User, change, view
from models.log import event
from models.notices import outbox, preference
from models.notices.outbox import NewMail
from models.notices.preference import Choice
from models.records import activity, archive, audit
from models.records.activity import Report
from models.records.audit import AdminCall
from models.schema import TABLES
from models.store.database import engine, execute, rows
from models.transfer import ledger
from tests.jobs.killing import killed_at
from tests.jobs.people import people, scalar
from tests.models.stored_files import store_file

DAY_MS = 24 * 3600 * 1000
WORK = "tasks.drain_log(tasks.consumers['deletions'])"


class Person:
    """A person whose every text is one unique word, among Ana and the admin root, who have texts of their own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._random = random.Random(7)
        self.words: dict[str, str] = {}
        [self.root] = people("root", role="admin")
        [self.ana] = people("ana")
        new = NewUser(
            self.word("username"), f"{self.word('email')}@example.org", self.word("name"), timezone="Asia/Tokyo", locale="ja"
        )
        with event.transaction() as tx:
            [made] = registration.create_active(tx, [new], [None])
            registration.announce(tx, [made.id])
            self.id = made.id
            token.create(tx, self.id, self.word("label"), self.word("address"), is_session=True)
            code.issue(tx, "secret", self.id, code.LOGIN, "123456")
            preference.set_choices(tx, self.id, {"system": Choice(False, "daily")})
        metadata = msgspec.json.encode({"about": self.word("metadata")}).decode()
        User.update(external_id=self.word("external"), metadata=metadata).where(User.id == self.id).execute()
        import_keys.insert("host", import_keys.USER, [(self.words["external"], self.id), ("42", self.ana)])
        self._writes()
        self._is_recorded()
        tasks.run_pending()
        self._has_mail()
        self._is_archived()

    @property
    def address(self) -> str:
        return f"{self.words['email']}@example.org"

    def word(self, place: str) -> str:
        """A new word, for a place in the person's data."""
        self.words[place] = "zq" + "".join(self._random.choices("bcdfghjklmnpqrstvwxyz", k=14))
        return self.words[place]

    def _upload(self, place: str) -> int:
        return store_file(None, self.id, name=f"{self.word(place)}.pdf")

    def _writes(self) -> None:
        attached = self._upload("message file")
        shown = self._upload("post file")
        self._upload("unsent file")
        with event.transaction() as tx:
            crew = conversation.create(tx, self.id, [self.ana, self.root], self.word("title"))
            drafts = [
                Draft(self.id, 0, self.word(f"message {n}"), to=self.ana, client_id=self.word(f"client {n}")) for n in range(45)
            ]
            message.post(tx, [*drafts, Draft(self.id, 0, self.word("group message"), conversation=crew, files=[attached])])
            message.post(tx, [Draft(self.ana, 0, "what Ana wrote", to=self.id)])
        with event.transaction() as tx:
            newest = int(str(scalar("SELECT max(id) FROM messages WHERE sender_id=?", self.id)))
            message.edit(tx, self.id, newest, self.word("edited"))
            message.react(tx, self.id, newest, "👍", added=True)
            public = post.create(tx, self.ana, None, "what Ana posted")
            mine = post.create(tx, self.id, None, self.word("post"), [shown])
            comment.create(tx, self.id, public.id, self.word("comment"), None)
            comment.create(tx, self.ana, public.id, "what Ana answered", None)
            like.like(tx, self.id, public.id)
            like.like(tx, self.ana, mine.id)
            like.bookmark(tx, self.id, public.id)
            club = group.create(tx, self.id, self.word("group"))
            group.join(tx, self.ana, club.id)
            theirs = group.create(tx, self.ana, "Ana's own")
            group.join(tx, self.id, theirs.id)
            conversation.rename(tx, self.id, crew, self.word("new title"))
            blocks.block(tx, self.id, self.ana)
            blocks.block(tx, self.root, self.id)
            reports.report_message(tx, self.ana, newest, "what Ana reported")
            reports.report_post(tx, self.ana, mine.id, "what Ana reported")
            reports.report_post(tx, self.id, public.id, self.word("message reason"))

    def _is_recorded(self) -> None:
        with event.transaction() as tx:
            activity.report(tx, Report(self.root, "order.paid", self.word("act"), {"for": self.word("act data")}, self.id, None))
            body = msgspec.json.encode({"body": {"users": [{"username": self.words["username"], "email": self.address}]}})
            path = f"/api/v1/admin/users/ext:{self.words['external']}"
            audit.record(tx, AdminCall(self.root, "PATCH /api/v1/admin/users/ID", path, body, "done", "127.0.0.1", "1"))
            audit.record(tx, AdminCall(self.id, "GET /api/v1/x", "/api/v1/x", b"{}", "done", self.word("own address"), "2"))

    def _has_mail(self) -> None:
        address, name = self.address, self.words["name"]
        with event.transaction() as tx:
            words = {"title": self.word("mail title"), "body": self.word("mail body")}
            outbox.queue(tx, [NewMail("account", self.id, address, name, words)])
            outbox.queue(tx, [NewMail("account", self.ana, "ana@example.org", "Ana", {"title": "For Ana", "body": ""})])
        mails = FileTransport(self._settings.data_dir / "mail")
        for to, called, message_id in ((address, name, "<1234abcd@x>"), ("ana@example.org", "Ana", "<5678abcd@x>")):
            data = {"title": "A mail", "body": "of words"}
            composed = Composer("bell@example.org", "https://1").compose("account", to, called, data, message_id, 0, "https://1/2")
            mails.send("bell@example.org", to, composed)

    def _is_archived(self) -> None:
        """All records of now are old, and are archived: others come later."""
        for table in ("activities", "audits"):
            if self._settings.database_url is None:
                execute(f"UPDATE {table} SET at_ms=at_ms-?", (200 * DAY_MS,))
        if self._settings.database_url is None:
            tasks.archiver.run(lambda: False)
        self._is_recorded()
        drain(tasks.consumers["activity"])

    def requests(self, texts: str) -> int:
        with event.transaction() as tx:
            return deletion.request(tx, self.id, texts, self.root)

    def places(self) -> list[str]:
        """The places of which the word is anywhere: in a file, byte by byte and in what is compressed, or in a table."""
        held = b"".join(_contents(path) for path in sorted(self._settings.data_dir.rglob("*")) if path.is_file())
        held += "\n".join(str(row) for model in TABLES for row in model.select().tuples()).encode()
        if self._settings.database_url is not None:
            held += str(rows("SELECT rowid, words::text FROM message_search")).encode()
        return [place for place, word in self.words.items() if word.encode() in held]


def _contents(path: Path) -> bytes:
    content = path.read_bytes()
    if path.name.endswith(archive.ENDING):
        content += b"\n".join(archive.read_lines(path, 0, path.stat().st_size))
    return content


def others_texts() -> list[str]:
    bodies = "SELECT body FROM messages UNION SELECT body FROM posts UNION SELECT body FROM comments"
    texts = rows(f"{bodies} UNION SELECT name FROM community_groups")
    return sorted(text for (text,) in texts if "Ana" in text)


ANAS = ["Ana's own", "what Ana answered", "what Ana posted", "what Ana wrote"]


def test_nothing_of_a_person_stays_when_their_texts_are_erased(store: Settings) -> None:
    person = Person(store)
    assert set(person.places()) >= {"username", "email", "external", "message 3", "post", "group", "edited", "act", "title"}
    assert set(person.places()) >= {"message file", "post file", "unsent file"}
    job = person.requests("erase")
    assert view(person.id).username == f"deleted-{person.id}"
    drain(DeletionsConsumer(store), pause=False)
    assert person.places() == []
    assert others_texts() == ANAS
    ended = rows("SELECT stream, data FROM events WHERE type='block.removed' ORDER BY id")
    assert ended == [(f"user:{person.id}", f'{{"user":{person.ana}}}'), (f"user:{person.root}", f'{{"user":{person.id}}}')]
    assert [(r.reason, r.evidence.body, r.author.id) for r in reports.page("open", None, 10)] == [
        ("", "what Ana posted", person.ana),
        ("what Ana reported", "", person.id),
        ("what Ana reported", "", person.id),
    ]
    known = import_keys.find("host", import_keys.USER, ["42", external_id.hashed(person.words["external"])])
    assert sorted(known.values()) == sorted([person.ana, person.id])
    [receipt] = deletion.list_newest(10)
    assert (receipt["job"], receipt["state"], receipt["texts"]) == (job, "done", "erase")
    assert (
        receipt["rows"].items()
        >= {"users": 1, "tokens": 1, "profiles": 1, "messages": 46, "posts": 1, "comments": 1, "mail_files": 1, "files": 1}.items()
    )
    assert rows("SELECT count(*) FROM events WHERE type='message.deleted'") == [(46,)]
    assert [entry.user for entry in ledger.read(store.deletions_path)] == [person.id]
    assert drain(DeletionsConsumer(store), pause=False).rows == 0


def test_texts_stay_when_they_are_kept_and_names_go_and_erasing_later_is_another_job(store: Settings) -> None:
    person = Person(store)
    first = person.requests("keep")
    assert person.requests("keep") == first
    drain(DeletionsConsumer(store), pause=False)
    texts = {
        place
        for place in person.words
        if place.startswith(("message", "client", "group", "post", "comment", "title", "new", "edited"))
    }
    assert set(person.places()) - texts == set()
    assert {"message 3", "group message", "post", "comment", "group", "message file", "post file"} <= set(person.places())
    assert others_texts() == ANAS
    assert person.requests("keep") == first
    second = person.requests("erase")
    assert second != first
    assert person.requests("keep") == second
    drain(DeletionsConsumer(store), pause=False)
    assert {place for place in person.places() if "title" not in place and place != "group"} == set()
    lines = ledger.read(store.deletions_path)
    store.deletions_path.unlink()  # as on another host
    ledger.complete(store.deletions_path)
    ledger.complete(store.deletions_path)
    assert ledger.read(store.deletions_path) == lines
    assert ledger.apply_again(store.deletions_path) == 0


class _EndedError(BaseException):
    """This process ends here."""


def test_an_end_at_every_commit_repeats_nothing_and_leaves_nothing(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run ends after one commit, when the next one's work is done and lost."""
    person = Person(store)
    person.requests("erase")
    commit, ends = engine().commit, 0
    left = 0

    def ending(assigned_ids: Mapping[str, int], newest_event: int | None) -> bool:
        nonlocal left
        left -= 1
        if left < 0:
            raise _EndedError
        return commit(assigned_ids, newest_event)

    monkeypatch.setattr(engine(), "commit", ending)
    while deletion.list_newest(1)[0]["state"] == "running":
        left = 1
        with suppress(_EndedError):
            drain(DeletionsConsumer(store), pause=False)
            break
        ends += 1
        assert ends < 200
    monkeypatch.undo()
    assert ends > 20
    assert person.places() == []
    receipt = deletion.list_newest(1)[0]
    assert (receipt["state"], receipt["rows"]["messages"]) == ("done", 46)
    assert rows("SELECT count(*) FROM events WHERE type='message.deleted'") == [(46,)]
    assert others_texts() == ANAS


@pytest.mark.only("sqlite")  # the files matter here; commits are above
def test_a_kill_is_survived(store: Settings) -> None:
    person = Person(store)
    person.requests("erase")
    killed_at(store, WORK, 25, "after")
    assert deletion.list_newest(1)[0]["state"] == "running"
    tasks.run_pending()
    assert person.places() == []
    assert deletion.list_newest(1)[0]["rows"]["messages"] == 46


def test_what_is_others_stays_whatever_the_person_was_called(store: Settings) -> None:
    """The display name is another's, the username is a word of the protocol, and so is the external id."""
    [ana, root] = people("ana-2", "root")
    with event.transaction() as tx:
        [made] = registration.create_active(tx, [NewUser("normal", "n@example.org", "Ana")], [None])
    User.update(display_name="Ana", display_key="ana").where(User.id == ana).execute()
    User.update(external_id="user").where(User.id == made.id).execute()
    body = {"users": [{"username": "normal", "role": "user"}, {"external_id": "7", "display_name": "Ana", "role": "user"}]}
    with event.transaction() as tx:
        crew = conversation.create(tx, ana, [made.id, root], "Ana")
        message.post(tx, [Draft(sender, 0, "normal Ana", conversation=crew) for sender in (ana, made.id)])
        public = post.create(tx, ana, None, "Ana, a user")
        like.like(tx, made.id, public.id)
        like.like(tx, ana, post.create(tx, root, None, "normal").id)
        activity.report(tx, Report(root, "Ana", "normal", {"status": "user"}, ana, None))
        audit.record(tx, AdminCall(root, "POST /x", "/users/user/normal", msgspec.json.encode(body), "done", "1.2.3.4", "1"))
    tasks.run_pending()
    assert scalar("SELECT title FROM notifications WHERE user_id=? AND type='community'", ana) == "Ana liked your post"
    kept = _others(made.id)
    with event.transaction() as tx:
        deletion.request(tx, made.id, "erase", root)
    drain(DeletionsConsumer(store), pause=False)
    assert _others(made.id)[: len(kept)] == kept
    titles = rows("SELECT title FROM notifications WHERE type='community' ORDER BY user_id")
    assert sorted(titles) == [("Ana liked your post",), ("Deleted user liked your post",)]
    body["users"][0]["username"] = f"deleted-{made.id}"
    assert rows("SELECT description, metadata FROM audits") == [("/users/user/normal", msgspec.json.encode(body).decode())]


def test_names_that_were_changed_before_go_too(store: Settings) -> None:
    [ana, root] = people("ana", "root")
    with event.transaction() as tx:
        [made] = registration.create_active(tx, [NewUser("leaver", "leaver@example.org", "Zora in Old")], [None])
        crew = conversation.create(tx, made.id, [ana], "Crew in Rome")
        message.post(tx, [Draft(made.id, 0, "hi", conversation=crew), Draft(made.id, 0, "hi", to=ana)])
        like.like(tx, made.id, post.create(tx, ana, None, "what Ana posted").id)
        path, body = (
            f"/api/v1/admin/users/{made.id}",
            msgspec.json.encode({"body": {"display_name": "Zora in Old", "role": "user"}}),
        )
        audit.record(tx, AdminCall(root, "PATCH /api/v1/admin/users/ID", path, body, "done", "1.2.3.4", "1"))
    tasks.run_pending()
    mails = FileTransport(store.data_dir / "mail")
    for n, title in enumerate(("Zora in Old liked it", "Zorah in Old liked it")):
        data, message_id = {"title": title, "body": "of words"}, f"<{n}234abcd@x>"
        composed = Composer("bell@example.org", "https://1").compose(
            "account", "ana@x.org", "Ana", data, message_id, 0, "https://1/2"
        )
        mails.send("bell@example.org", "ana@x.org", composed)
    with event.transaction() as tx:
        change(tx, made.id, display_name="Zora")
        deletion.request(tx, made.id, "erase", root)
    drain(DeletionsConsumer(store), pause=False)
    notices = "SELECT title FROM notifications WHERE user_id=? AND type IN ('message', 'community') ORDER BY title"
    titles = [title for (title,) in rows(notices, (ana,))]
    assert titles == ["Deleted user", "Deleted user", "Deleted user liked your post"]  # Crew in Rome was theirs
    events = [msgspec.json.decode(data) for (data,) in rows("SELECT data FROM events WHERE type='notification.created'")]
    assert sorted(each["title"] for each in events if each["type"] in ("message", "community")) == titles
    assert rows("SELECT metadata FROM audits") == [('{"body":{"display_name":"Deleted user","role":"user"}}',)]
    left = "".join(path.read_text() for path in (store.data_dir / "mail").glob("*.eml"))
    assert ("Zora in Old liked" in left, "Zorah in Old liked" in left) == (False, True)
    assert rows("SELECT names FROM deletions") == [("[]",)]


@pytest.mark.parametrize("name", ["a", "of"])
def test_mails_of_others_stay(store: Settings, name: str) -> None:
    """The name is a part of a word, or a word, of every mail."""
    [root] = people("root")
    with event.transaction() as tx:
        [made] = registration.create_active(tx, [NewUser("leaver", "leaver@example.org", name)], [None])
    mails = FileTransport(store.data_dir / "mail")
    for n, to in enumerate(("ana@example.org", "leaver@example.org", "not-leaver@example.org")):
        data, message_id = {"title": "A mail", "body": "of words"}, f"<{n}234abcd@x>"
        composed = Composer("bell@example.org", "https://1").compose("account", to, "Ana", data, message_id, 0, "https://1/2")
        mails.send("bell@example.org", to, composed)
    with event.transaction() as tx:
        deletion.request(tx, made.id, "keep", root)
    drain(DeletionsConsumer(store), pause=False)
    left = "".join(path.read_text() for path in (store.data_dir / "mail").glob("*.eml"))
    assert ("<leaver@" in left, "<not-leaver@" in left, "<ana@" in left) == (False, True, True)


def _others(user: int) -> list[object]:
    """Records of others, and events that are not about the user; notifications are looked at above."""
    records = rows("SELECT action, description, metadata FROM activities WHERE user_id<>? ORDER BY id", (user,))
    events = [(kind, msgspec.json.decode(data)) for kind, data in rows("SELECT type, data FROM events ORDER BY id")]
    kept = [each for each in events if f"'id': {user}," not in str(each) and f"'user': {user}" not in str(each)]
    return [records, *(each for each in kept if each[1].get("sender") != user and not each[0].startswith("notification."))]
