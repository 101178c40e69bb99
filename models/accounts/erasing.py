"""The steps of a deletion: which rows each table has of a user, and what becomes of them.

A step finds the next few rows after a position, outside any transaction, and changes them in one that moves the position. A row
that was changed before is found no more or stays as it is, so a step may be repeated. docs/embedding.md says what is kept, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import peewee

from models.accounts import deletion, former_names
from models.accounts.deletion import DeletionProgress
from models.accounts.erasing_steps import ROWS_PER_TRANSACTION, Page, Step, deleted, pages, reset
from models.accounts.former_names import FORMER, OF_CONVERSATION, OF_GROUP, FormerNames, Origin
from models.accounts.invitation import Invitation, InvitationUse
from models.chat import conversation as conversations
from models.chat import message as messages
from models.chat.blocks import Block
from models.chat.conversation import Conversation, Membership
from models.chat.message import Message, Reaction
from models.chat.presence import Online, Visit
from models.chat.reports import ContentReport
from models.community import group as groups
from models.community import like as likes
from models.community import removal
from models.community.comment import Comment
from models.community.group import Group, GroupMember
from models.community.like import Bookmark, Like
from models.community.post import Post
from models.files import file as files
from models.files.file import File
from models.files.usage import FileUsage
from models.identity.code import Code
from models.identity.external_id import HASHED_PREFIX, hashed
from models.identity.token import Token
from models.identity.user import LOCALE, TIMEZONE, Profile, SearchName, Wallet, view
from models.log.event import EventRow, Transaction, conversation_stream, user_stream
from models.notices.causes import NotificationCause
from models.notices.host_notices import HostNotice
from models.notices.notification import Notification
from models.notices.outbox import Email
from models.notices.pending_mail import Digest, WaitingMail
from models.notices.preference import Preference
from models.notices.push_subscriptions import PushSubscription
from models.notices.topics import TopicMember
from models.ops.dead_letters import DeadLetter
from models.records import archived_tables
from models.records.archive import RECORD_TYPES
from models.store.database import execute, fetch_column, fetch_rows, placeholders, rows
from models.store.errors import ForbiddenError, NotFoundError

TEXTS_PER_TRANSACTION = 20  # messages and comments: each is removed from its row, the log and the search index
POSTS_PER_TRANSACTION = 5  # with their comments
GROUPS_PER_TRANSACTION = 10
ROWS_SCANNED = 500
MAX_SCANS_PER_PAGE = 20  # then the position is stored though nothing was found

Rename = Callable[..., Sequence[str]]  # takes the values of columns, and returns what they are to be


def _delete_mails(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    DeadLetter.delete().where(DeadLetter.email.in_(list(ids))).execute()
    return int(Email.delete().where(Email.id.in_(list(ids))).execute())


def _import_keys(progress: DeletionProgress, position: str) -> Iterator[Page]:
    """The external ids by which imports know the user: one for each source. Raw: the table's model is in a package above."""
    found = rows("SELECT source, key FROM import_keys WHERE kind='user' AND number=?", (progress.user,))
    keys = [(source, key) for source, key in found if not key.startswith(HASHED_PREFIX)]
    if keys:
        yield Page(keys, "1")


def _hash_keys(tx: Transaction, progress: DeletionProgress, keys: Sequence[Any]) -> int:
    """An import knows the user from the hash, and does not make them again."""
    for source, key in keys:
        execute("UPDATE import_keys SET key=? WHERE source=? AND kind='user' AND key=?", (hashed(key), source, key))
    return len(keys)


def _empty_notices(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    """Empty the notifications that the host requested for the user alone. Those that wait reach nobody."""
    values = {"data": "{}", "url": None, "ended_ms": peewee.fn.COALESCE(HostNotice.ended_ms, tx.now_ms)}
    return int(HostNotice.update(**values).where(HostNotice.id.in_(list(ids))).execute())


def _end_invitations(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    return int(Invitation.update(uses=0, expires_ms=0).where(Invitation.id.in_(list(ids))).execute())


def _remove_blocks(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    """Open ones end with the event that ends each: the caches of committers and the blockers' clients follow the log."""
    chosen = Block.id.in_(list(ids))
    for user, blocked in fetch_rows(Block.select(Block.user, Block.blocked).where(chosen, Block.to_event.is_null())):
        tx.append(user_stream(user), "block.removed", msgspec.json.encode({"user": blocked}))
    return int(Block.delete().where(chosen).execute())


def _empty_reasons(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    return int(ContentReport.update(reason="").where(ContentReport.id.in_(list(ids))).execute())


def _empty_evidence(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    """Remove the texts. Who reported what of whom, when, and what was done stays: admins answer for it."""
    return int(ContentReport.update(evidence="{}").where(ContentReport.id.in_(list(ids))).execute())


def _remove_likes(tx: Transaction, progress: DeletionProgress, posts: Sequence[Any]) -> int:
    return sum(likes.remove(tx, progress.user, post) for post in posts)


def _remove_reactions(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    mine = (Reaction.user == progress.user) & Reaction.message.in_(list(ids))
    query = Reaction.select(Reaction.message, Reaction.emoji, Message.conversation).join(Message).where(mine)
    found = fetch_rows(query)
    for message, emoji, conversation in found:
        data = {"message": message, "conversation": conversation, "user": progress.user, "emoji": emoji, "added": False}
        tx.append(conversation_stream(conversation), "message.reacted", msgspec.json.encode(data))
    return int(Reaction.delete().where(mine).execute())


def _rename_groups(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    """Names of groups that the user owns are texts of theirs."""
    named = fetch_rows(Group.select(Group.id, Group.name).where(Group.id.in_(list(ids)), Group.owner == progress.user))
    deletion.add_names(tx, progress.id, [(name, f"{OF_GROUP}{number}") for number, name in named])
    return sum(Group.update(name=f"Group {number}").where(Group.id == number).execute() for number, _ in named)


def _leave_groups(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    for number in ids:
        groups.leave(tx, progress.user, number)
    return len(ids)


def _leave_conversations(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    left = 0
    for number in ids:
        try:
            conversations.remove_member(tx, progress.user, number, progress.user)
            left += 1
        except NotFoundError:  # somebody has removed them meanwhile
            continue
    return left


def _owned_titles(progress: DeletionProgress, position: str) -> Iterator[Page]:
    """The conversations that the user owns, each with the titles that the log still has: they are texts of theirs."""
    owned = (Membership.role == "owner") & _is_open_group(progress.user) & (Membership.conversation > int(position or 0))
    for conversation in fetch_column(Membership.select(Membership.conversation).where(owned).order_by(Membership.conversation)):
        of_it = (EventRow.stream == conversation_stream(conversation)) & (EventRow.type == "conversation.updated")
        created = (EventRow.stream == user_stream(progress.user)) & (EventRow.type == "conversation.created")
        texts = fetch_column(EventRow.select(EventRow.data).where(of_it | created))
        events = [event for text in texts if (event := msgspec.json.decode(text))["id"] == conversation]
        titles = {event["title"] for event in events if event["title"] is not None}
        yield Page([(conversation, sorted(titles))], str(conversation))


def _remove_titles(tx: Transaction, progress: DeletionProgress, items: Sequence[Any]) -> int:
    for conversation, former in items:
        found = fetch_column(Conversation.select(Conversation.title).where(Conversation.id == conversation))
        titles = {*former, *found} - {None}
        deletion.add_names(tx, progress.id, [(title, f"{OF_CONVERSATION}{conversation}") for title in sorted(titles)])
        with suppress(NotFoundError, ForbiddenError):  # somebody has removed them meanwhile
            conversations.rename(tx, progress.user, conversation, None)
    return len(items)


def _is_open_group(user: int) -> Any:
    of_groups = Conversation.select(Conversation.id).where(Conversation.id == Membership.conversation, Conversation.kind == "group")
    return (Membership.user == user) & Membership.to_event.is_null() & peewee.fn.EXISTS(of_groups)


def _erase_messages(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    Message.update(client_id=None).where(Message.id.in_(list(ids))).execute()
    for number in ids:
        messages.delete(tx, progress.user, "admin", number)
    return len(ids)


def _erase_posts(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    return sum(_was_there(removal.delete_post, tx, progress.user, number) for number in ids)


def _erase_comments(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    return sum(_was_there(removal.delete_comment, tx, progress.user, number) for number in ids)


def _was_there(delete: Callable[[Transaction, int, str, int], None], tx: Transaction, user: int, number: int) -> bool:
    try:
        delete(tx, user, "admin", number)
    except NotFoundError:  # its post was deleted meanwhile
        return False
    return True


def _remove_files(tx: Transaction, progress: DeletionProgress, ids: Sequence[Any]) -> int:
    files.remove(tx, ids)
    return len(ids)


def _is_unclaimed(user: int) -> Any:
    return (File.owner == user) & File.message.is_null() & File.post.is_null()


def _is_present(model: Any, owner: Any) -> Callable[[int], Any]:
    return lambda user: (owner == user) & model.deleted_ms.is_null()


STEPS = (
    reset(Profile, timezone=TIMEZONE, locale=LOCALE, quiet=None),
    reset(Wallet, currency="USD", balance_minor=0),
    Step("import_keys", _import_keys, _hash_keys),
    deleted(SearchName, SearchName.user, SearchName.name),
    deleted(Token, Token.user, Token.id),
    deleted(Code, Code.account, Code.purpose),
    deleted(Preference, Preference.user, Preference.type),
    deleted(PushSubscription, PushSubscription.user, PushSubscription.id),
    deleted(WaitingMail, WaitingMail.user, WaitingMail.notification),
    deleted(Digest, Digest.user, Digest.period),
    Step("emails", pages(Email, Email.id, lambda user: Email.receiver == user), _delete_mails),
    deleted(NotificationCause, NotificationCause.user, NotificationCause.cause),
    deleted(Notification, Notification.user, Notification.id),
    Step("blocks", pages(Block, Block.id, lambda user: Block.user == user), _remove_blocks),
    Step("blocks", pages(Block, Block.id, lambda user: Block.blocked == user), _remove_blocks, of="blocked"),
    Step(
        "reports",
        pages(ContentReport, ContentReport.id, lambda user: ContentReport.reporter == user),
        _empty_reasons,
        of_texts=True,
    ),
    deleted(TopicMember, TopicMember.user, TopicMember.id),
    Step("host_notices", pages(HostNotice, HostNotice.id, lambda user: HostNotice.receivers == f"[{user}]"), _empty_notices),
    deleted(Online, Online.user, Online.gateway),
    deleted(Visit, Visit.user, Visit.id),
    deleted(Bookmark, Bookmark.user, Bookmark.post),
    Step("files", pages(File, File.id, _is_unclaimed), _remove_files),
    deleted(FileUsage, FileUsage.user, FileUsage.day),
    deleted(InvitationUse, InvitationUse.user, InvitationUse.invitation),
    Step("invitations", pages(Invitation, Invitation.id, lambda user: Invitation.created_by == user), _end_invitations),
    Step("community_groups", pages(Group, Group.id, lambda user: Group.owner == user), _rename_groups, of_texts=True),
    Step(
        "group_members",
        pages(
            GroupMember,
            GroupMember.group,
            lambda user: (GroupMember.user == user) & GroupMember.to_event.is_null(),
            GROUPS_PER_TRANSACTION,
        ),
        _leave_groups,
    ),
    Step("conversations", _owned_titles, _remove_titles, of_texts=True),
    Step("memberships", pages(Membership, Membership.conversation, _is_open_group, GROUPS_PER_TRANSACTION), _leave_conversations),
    Step("likes", pages(Like, Like.post, lambda user: Like.user == user, TEXTS_PER_TRANSACTION), _remove_likes, of_texts=True),
    Step("reactions", pages(Reaction, Reaction.message, lambda user: Reaction.user == user), _remove_reactions, of_texts=True),
    Step(
        "messages",
        pages(Message, Message.id, _is_present(Message, Message.sender), TEXTS_PER_TRANSACTION),
        _erase_messages,
        of_texts=True,
    ),
    Step("posts", pages(Post, Post.id, _is_present(Post, Post.author), POSTS_PER_TRANSACTION), _erase_posts, of_texts=True),
    Step(
        "comments",
        pages(Comment, Comment.id, _is_present(Comment, Comment.author), TEXTS_PER_TRANSACTION),
        _erase_comments,
        of_texts=True,
    ),
    Step("files", pages(File, File.id, lambda user: File.owner == user), _remove_files, of_texts=True, of="of texts"),
    Step(  # when there are no more texts that somebody could report
        "reports",
        pages(ContentReport, ContentReport.id, lambda user: ContentReport.author == user),
        _empty_evidence,
        of_texts=True,
        of="of the author",
    ),
)


# Records, and texts of others that name the user


def trace_steps(progress: DeletionProgress) -> list[Step]:
    """The steps that find traces of the user in records and in what was derived. `progress` has all former names."""
    now = msgspec.to_builtins(view(progress.user))
    talks = set(fetch_column(Membership.select(Membership.conversation).where(Membership.user == progress.user)))
    names = FormerNames(progress.user, progress.names, now, erases=progress.erases, conversations=talks, origin=_origin)
    tables = [(kind, table) for kind in RECORD_TYPES for table in (kind.table, *archived_tables.list_tables(kind))]
    return [
        Step("events", _own_notifications, _empty_notifications, of="of the user"),
        *(_emptied_records(table, is_audit=kind.name == "audit") for kind, table in tables),
        _renamed(names, "notifications", ("type", "title", "data"), partial(former_names.in_notification, names)),
        _renamed(names, "dead_work", ("error",), lambda error: (names.in_error(error),)),
        *(
            _renamed(names, table, ("description", "metadata"), partial(former_names.in_record, names, kind.name == "audit"))
            for kind, table in tables
        ),
        _renamed(names, "events", ("type", "data"), partial(former_names.in_event, names)),
    ]


def _own_notifications(progress: DeletionProgress, position: str) -> Iterator[Page]:
    """The events that tell the user of notifications, whose texts the host may have written."""
    while True:
        own = (EventRow.stream == user_stream(progress.user)) & (EventRow.id > int(position or 0))
        query = EventRow.select(EventRow.id, EventRow.type, EventRow.data).where(own).order_by(EventRow.id)
        found = fetch_rows(query.limit(ROWS_PER_TRANSACTION))
        if not found:
            return
        position = str(found[-1][0])
        texts = [(number, data) for number, kind, data in found if kind in ("notification.created", "notification.updated")]
        yield Page(texts, position)


def _empty_notifications(tx: Transaction, progress: DeletionProgress, items: Sequence[Any]) -> int:
    emptied = {"title": "", "body": "", "data": {}}
    tx.scrub_each({number: msgspec.json.encode(msgspec.json.decode(data) | emptied) for number, data in items})
    return len(items)


def _emptied_records(table: str, *, is_audit: bool) -> Step:
    """The user's records keep action and time; of an administrator's calls the path and outcome stay, too."""

    def find(progress: DeletionProgress, position: str) -> Iterator[Page]:
        while True:
            at_ms, _, number = (position or "0:0").partition(":")
            found = rows(
                f"SELECT at_ms, id FROM {table} WHERE (user_id, at_ms, id)>(?,?,?) AND user_id=? ORDER BY at_ms, id LIMIT ?",
                (progress.user, int(at_ms), int(number), progress.user, ROWS_PER_TRANSACTION),
            )
            if not found:
                return
            position = "{}:{}".format(*found[-1])
            yield Page(found, position)

    def change(tx: Transaction, progress: DeletionProgress, items: Sequence[Any]) -> int:
        emptied = "address=''" if is_audit else "description=''"
        execute(
            f"UPDATE {table} SET metadata='{{}}', site=NULL, {emptied} WHERE id IN ({placeholders(len(items))}) "
            "AND at_ms>=? AND at_ms<=?",
            (*(number for _, number in items), items[0][0], items[-1][0]),
        )
        return len(items)

    return Step(table, find, change, of="of the user")


def _renamed(names: FormerNames, table: str, columns: Sequence[str], rename: Rename) -> Step:
    """Names are replaced in a table's columns by what `rename` returns for their values. Those that were not known are noted."""
    listed = ", ".join(columns)

    def find(progress: DeletionProgress, position: str) -> Iterator[Page]:
        scans = 0
        while True:
            found = rows(f"SELECT id, {listed} FROM {table} WHERE id>? ORDER BY id LIMIT ?", (int(position or 0), ROWS_SCANNED))
            if not found:
                return
            position, scans = str(found[-1][0]), scans + 1
            items = [(number, texts, after) for number, *texts in found if (after := list(rename(*texts))) != texts]
            if items or scans % MAX_SCANS_PER_PAGE == 0:
                yield Page(items, position)

    def change(tx: Transaction, progress: DeletionProgress, items: Sequence[Any]) -> int:
        same = " AND ".join(f"{column}=?" for column in columns)
        assigned = ", ".join(f"{column}=?" for column in columns)
        for number, before, after in items:
            execute(f"UPDATE {table} SET {assigned} WHERE id=? AND {same}", (*after, number, *before))
        if names.seen and progress.erases:
            deletion.add_names(tx, progress.id, [(name, FORMER) for name in sorted(names.seen)])
            names.seen.clear()
        return len(items)

    return Step(table, find, change, of="of others")


def _origin(message: int) -> Origin | None:
    query = Message.select(Message.sender, Conversation.kind, Conversation.title).join(Conversation)
    return next((Origin(*row) for row in fetch_rows(query.where(Message.id == message))), None)
