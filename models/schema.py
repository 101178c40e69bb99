"""All tables, and the numbered migrations that create and change them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from playhouse.migrations import Runner

from conf import VERSION
from models.accounts.deletion import Deletion
from models.accounts.invitation import Invitation, InvitationUse
from models.blobs.blob import Blob
from models.chat.additions import MemberAddition
from models.chat.blocks import Block
from models.chat.conversation import Conversation, Membership
from models.chat.mentions import Mention
from models.chat.message import Message, MessageCopy, Reaction
from models.chat.presence import GatewayLease, Online, Visit
from models.chat.reports import ContentReport
from models.community.comment import Comment
from models.community.group import Group, GroupMember
from models.community.like import Bookmark, Like
from models.community.post import Post, PostCopy
from models.files.file import File
from models.files.usage import FileUsage
from models.history.import_keys import ImportKey
from models.history.marks import ImportMark
from models.hooks.incoming import IncomingHook
from models.hooks.webhook import Webhook
from models.identity.code import Code
from models.identity.ended_tokens import EndedHostToken
from models.identity.token import Token
from models.identity.user import Profile, SearchName, User, Wallet
from models.log.checkpoint import Checkpoint
from models.log.event import EventRow
from models.notices.announcement import Announcement
from models.notices.bursts import Burst, BurstEvent
from models.notices.causes import NotificationCause
from models.notices.host_notices import HostNotice, HostNoticeKey
from models.notices.host_types import HostType
from models.notices.notification import Notification
from models.notices.outbox import Email
from models.notices.pending_mail import Digest, WaitingMail
from models.notices.preference import Preference
from models.notices.push_subscriptions import PushSubscription
from models.notices.pushes import Push
from models.notices.topics import TopicMember
from models.notices.unseen import UnseenMessage
from models.ops.dead_letters import DeadLetter
from models.ops.lease import Lease
from models.ops.worker import Worker
from models.records import partitions
from models.records.activity import Activity, ActivityHour
from models.records.archive import RECORD_TYPES, ArchiveFile
from models.records.audit import Audit
from models.records.partitions import TablesBusyError
from models.store import facts
from models.store.clock import now_ms
from models.store.database import db, engine, execute
from models.store.facts import Fact

TABLES = [
    Fact,
    User,
    SearchName,
    Profile,
    Wallet,
    Token,
    EndedHostToken,
    Code,
    Preference,
    Conversation,
    Membership,
    MemberAddition,
    Message,
    MessageCopy,
    Reaction,
    Mention,
    Block,
    ContentReport,
    Blob,
    File,
    FileUsage,
    Group,
    GroupMember,
    Post,
    PostCopy,
    Like,
    Bookmark,
    Comment,
    Invitation,
    InvitationUse,
    Deletion,
    EventRow,
    Checkpoint,
    Email,
    DeadLetter,
    Activity,
    ActivityHour,
    Audit,
    ArchiveFile,
    Notification,
    NotificationCause,
    Burst,
    BurstEvent,
    UnseenMessage,
    WaitingMail,
    Digest,
    PushSubscription,
    Push,
    Announcement,
    HostType,
    HostNotice,
    HostNoticeKey,
    TopicMember,
    GatewayLease,
    Online,
    Visit,
    Lease,
    Worker,
    Webhook,
    IncomingHook,
    ImportKey,
    ImportMark,
]

DIRECTORY = Path(__file__).parent / "migrations"


# The oldest code that may run on a store with this code's schema, beside this code: its newest migration, and its version. A
# migration that older code can't work with raises both, to its own number and the version that brings it.
OLDEST_SCHEMA, OLDEST_VERSION = 8, "0.1.0"


class NewerStoreError(Exception):
    """The store needs newer code than this. The text names both versions."""


def newest_schema() -> int:
    """Return the number of this code's newest migration."""
    return int(migrations()[-1].partition("_")[0])


def migrations() -> list[str]:
    """Return the names of this code's migrations, in order."""
    return sorted(path.stem for path in DIRECTORY.glob("[0-9]*.py"))


def is_empty() -> bool:
    """Return whether no migration was ever applied."""
    return not any(m.applied for m in Runner(db.obj, str(DIRECTORY)).status())


def require_usable() -> None:
    """Raise NewerStoreError when the store needs newer code than this. Migrations that older code can work with don't matter."""
    oldest, version = facts.oldest_code()
    if oldest > newest_schema():
        raise NewerStoreError(
            f"the database needs Bellwire {version} or newer (schema {oldest}), and this is Bellwire {VERSION} "
            f"(schema {newest_schema()}): start the newer version, or restore a backup from before it"
        )


def migrate() -> list[str]:
    """Apply the pending migrations and return their names. Safe to run twice, and by several processes at once."""
    with engine().migration_lock():
        names: list[str] = Runner(db.obj, str(DIRECTORY)).up()
        if facts.oldest_code() < (OLDEST_SCHEMA, OLDEST_VERSION):
            facts.set_oldest_code(OLDEST_SCHEMA, OLDEST_VERSION)
        if engine().name == "postgresql":
            _make_partitions(now_ms())
            if names:
                execute("ANALYZE")  # raw; autovacuum never gathers the statistics of partitioned tables, and those of others late
        return names


def _make_partitions(now: int) -> None:
    """Create partitions before records need them. Workers create those whose tables are locked now."""
    for kind in RECORD_TYPES:
        with suppress(TablesBusyError):
            for month in partitions.missing_months(kind, now, now):
                partitions.create(kind, month)


def pending() -> list[str]:
    """Return the names of the migrations that are not applied yet."""
    return [m.name for m in Runner(db.obj, str(DIRECTORY)).status() if m.path is not None and not m.applied]
