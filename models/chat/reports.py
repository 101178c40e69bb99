"""Reports: messages and posts that people have reported to the admins, each with the evidence as it was when it was reported.

The evidence stays as it is when the author edits or deletes the text; models/accounts/report_actions.py closes reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import peewee

from models.chat import message as messages
from models.chat.conversation import Conversation
from models.chat.message import Message
from models.community import post as posts
from models.community.post import Post
from models.identity import user as users
from models.identity.contacts import Bound
from models.identity.user import User, UserView
from models.log.event import REPORTS, Transaction
from models.store.clock import rfc3339, rfc3339_or_none
from models.store.database import Base, execute, fetch_column, fetch_rows, rows
from models.store.errors import InvalidError, NotFoundError

KINDS = MESSAGE, POST = "message", "post"
STATES = OPEN, CLOSED = "open", "closed"
ACTIONS = DISMISS, DELETE, SUSPEND = "dismiss", "delete", "suspend"
MAX_REASON_CHARS = MAX_NOTE_CHARS = 500
MAX_OPEN_PER_SUBJECT = 200  # of one message or post: what more people report of it is known by then


class ContentReport(Base):
    """A report of a message or post (`subject`) by one user. It is open without `closed_ms`."""

    id = peewee.BigAutoField()
    reporter = peewee.ForeignKeyField(User, index=False)
    kind = peewee.CharField(max_length=7)
    subject = peewee.BigIntegerField()
    author = peewee.ForeignKeyField(User)
    reason = peewee.TextField()
    evidence = peewee.TextField()
    created_ms = peewee.BigIntegerField()
    closed_ms = peewee.BigIntegerField(null=True, index=True)
    closed_by = peewee.BigIntegerField(null=True)
    action = peewee.CharField(max_length=7, null=True)
    note = peewee.TextField(null=True)

    class Meta:
        table_name = "reports"
        indexes = ((("reporter", "kind", "subject"), True), (("kind", "subject"), False))


ContentReport.add_index(ContentReport.index(ContentReport.id, where=peewee.SQL("closed_ms IS NULL"), name="report_open"))


class ReportRow(NamedTuple):
    """The columns of a report."""

    id: int
    reporter: int
    kind: str
    subject: int
    author: int
    reason: str
    evidence: str
    created_ms: int
    closed_ms: int | None
    closed_by: int | None
    action: str | None
    note: str | None


COLUMNS = [getattr(ContentReport, name) for name in ReportRow._fields]


class Evidence(msgspec.Struct):
    """The message or post as it was when it was reported. Of a message there is the conversation, of a post its group, if any;
    `files` are the names of its files. All of it is absent when the author's account was deleted with its texts."""

    body: str = ""
    created_at: str | None = None
    edited_at: str | None = None
    conversation: int | None = None
    group: int | None = None
    files: list[str] = []


class ReportView(msgspec.Struct):
    """A report, for admins, of a `message` or a `post`, which may be `deleted` by now. `open_reports` is the number of open ones
    about it; `kind` and `title` are those of the message's conversation. A closed one has an `action`, and by whom."""

    id: int
    state: Annotated[str, msgspec.Meta(extra_json_schema={"enum": STATES})]
    message: int | None
    post: int | None
    reporter: UserView
    author: UserView
    reason: str
    evidence: Evidence
    kind: str | None
    title: str | None
    deleted: bool
    open_reports: int
    created_at: str
    closed_at: str | None
    closed_by: UserView | None
    action: str | None
    note: str | None


def report_message(tx: Transaction, user: int, message: int, reason: str) -> bool:
    """Report a message of one of the user's conversations. Returns whether that is new, as `report_post` does."""
    if _is_known(user, MESSAGE, message):
        return False
    view = messages.get_view(user, message)
    if view.deleted_at is not None:
        raise NotFoundError("the message is deleted")
    names = [file.name for file in view.files]
    evidence = Evidence(view.body, view.created_at, view.edited_at, conversation=view.conversation, files=names)
    return _insert(tx, user, MESSAGE, message, view.sender, reason, evidence)


def report_post(tx: Transaction, user: int, post: int, reason: str, caller: Bound | None = None) -> bool:
    """Report a post that the user may see. Returns False if they have reported it before, or so many people that it is known.

    Raises NotFoundError and InvalidError.
    """
    if _is_known(user, POST, post):
        return False
    origin = posts.require_visible(user, post, caller)
    (view,) = posts.event_views([post])
    evidence = Evidence(view.body, view.created_at, group=view.group, files=[file.name for file in view.files])
    return _insert(tx, user, POST, post, origin.author, reason, evidence)


def _is_known(user: int, kind: str, subject: int) -> bool:
    # Raw, as what follows: it runs under the log's lock.
    return bool(rows("SELECT 1 FROM reports WHERE reporter_id=? AND kind=? AND subject=?", (user, kind, subject)))


def _insert(tx: Transaction, user: int, kind: str, subject: int, author: int, reason: str, evidence: Evidence) -> bool:
    require_text("reason", reason)
    if author == user:
        raise InvalidError((kind, "must be somebody else's"))
    if count_open(kind, subject) >= MAX_OPEN_PER_SUBJECT:
        return False
    values = (user, kind, subject, author, reason, msgspec.json.encode(evidence).decode(), tx.now_ms)
    execute(
        "INSERT INTO reports (reporter_id, kind, subject, author_id, reason, evidence, created_ms) VALUES (?,?,?,?,?,?,?)", values
    )
    data = {"kind": kind, "subject": subject, "reporter": user}
    tx.append(REPORTS, "report.created", msgspec.json.encode(data))
    return True


def require_text(field: str, text: str | None) -> None:
    """Raise InvalidError for a text with NUL, which PostgreSQL cannot store."""
    if text is not None and "\0" in text:
        raise InvalidError((field, "must have no NUL"))


def count_open(kind: str, subject: int) -> int:
    """Return the number of open reports of a message or post."""
    ((count,),) = rows("SELECT count(*) FROM reports WHERE kind=? AND subject=? AND closed_ms IS NULL", (kind, subject))
    return int(count)


def backlog(now_ms: int) -> tuple[int, float]:
    """Return the number of open reports, and the age of the oldest in seconds."""
    ((count, oldest_ms),) = rows("SELECT count(*), min(created_ms) FROM reports WHERE closed_ms IS NULL")
    return int(count), 0.0 if oldest_ms is None else max(0.0, (now_ms - oldest_ms) / 1000)


def get(report: int) -> ReportRow:
    """Return one report. Raises NotFoundError."""
    for row in fetch_rows(ContentReport.select(*COLUMNS).where(ContentReport.id == report)):
        return ReportRow(*row)
    raise NotFoundError


def close_all(tx: Transaction, kind: str, subject: int, admin: int, action: str, note: str | None) -> list[int]:
    """Close all open reports of a message or post; returns their reporters."""
    is_open = (ContentReport.kind == kind) & (ContentReport.subject == subject) & ContentReport.closed_ms.is_null()
    reporters = fetch_column(ContentReport.select(ContentReport.reporter).where(is_open).order_by(ContentReport.id))
    ContentReport.update(closed_ms=tx.now_ms, closed_by=admin, action=action, note=note).where(is_open).execute()
    return reporters


def page(state: str, before: int | None, limit: int) -> list[ReportView]:
    """Return a page of the open or closed reports, or of all without a state, the newest first."""
    query = ContentReport.select(*COLUMNS)
    if state:
        query = query.where(ContentReport.closed_ms.is_null(state == OPEN))
    if before is not None:
        query = query.where(ContentReport.id < before)
    return views([ReportRow(*row) for row in fetch_rows(query.order_by(ContentReport.id.desc()).limit(limit))])


def views(found: Sequence[ReportRow]) -> list[ReportView]:
    """Return reports as admins see them, by a fixed number of queries and one count for each."""
    people = users.views(list({user for r in found for user in (r.reporter, r.author, r.closed_by) if user is not None}))
    message_ids, post_ids = ([r.subject for r in found if r.kind == kind] for kind in KINDS)
    deleted = {
        *((MESSAGE, id_) for id_ in fetch_column(Message.select(Message.id).where(_deleted(Message, message_ids)))),
        *((POST, id_) for id_ in fetch_column(Post.select(Post.id).where(_deleted(Post, post_ids)))),
    }
    evidence = {r.id: msgspec.json.decode(r.evidence, type=Evidence) for r in found}
    of = {e.conversation for e in evidence.values() if e.conversation is not None}
    query = Conversation.select(Conversation.id, Conversation.kind, Conversation.title).where(Conversation.id.in_(list(of)))
    conversations = {number: (kind, title) for number, kind, title in fetch_rows(query)}
    return [_view(r, people, evidence[r.id], conversations, is_deleted=(r.kind, r.subject) in deleted) for r in found]


def _deleted(model: Any, ids: Sequence[int]) -> Any:
    return model.id.in_(list(ids)) & ~model.deleted_ms.is_null()


def _view(
    r: ReportRow, people: dict[int, UserView], evidence: Evidence, conversations: dict[int, Any], *, is_deleted: bool
) -> ReportView:
    kind, title = conversations.get(evidence.conversation or 0, (None, None))
    return ReportView(
        r.id,
        OPEN if r.closed_ms is None else CLOSED,
        r.subject if r.kind == MESSAGE else None,
        r.subject if r.kind == POST else None,
        people[r.reporter],
        people[r.author],
        r.reason,
        evidence,
        kind,
        title,
        is_deleted,
        count_open(r.kind, r.subject),
        rfc3339(r.created_ms),
        rfc3339_or_none(r.closed_ms),
        None if r.closed_by is None else people.get(r.closed_by),
        r.action,
        r.note,
    )


def trim(tx: Transaction, closed_before_ms: int, created_before_ms: int, limit: int) -> int:
    """Delete reports that were closed before a time, or that nobody has closed since another; at most `limit`, returns how many."""
    closed = ContentReport.select(ContentReport.id).where(ContentReport.closed_ms < closed_before_ms).limit(limit)
    left = (
        ContentReport.select(ContentReport.id)
        .where(ContentReport.closed_ms.is_null(), ContentReport.created_ms < created_before_ms)
        .limit(limit)
    )
    ids = [*fetch_column(closed), *fetch_column(left)][:limit]
    return int(ContentReport.delete().where(ContentReport.id.in_(ids)).execute())
