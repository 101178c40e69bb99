"""Tables, the verbs on them, and the event log. Knows no asyncio and no HTTP; imports conf alone."""

from models.activity import Activity, ActivityHour
from models.archive import ArchiveFile
from models.audit import Audit
from models.cause import NotificationCause
from models.checkpoint import Checkpoint
from models.code import Code
from models.comment import Comment
from models.conversation import Conversation, Membership
from models.database import connect, disconnect
from models.deadwork import DeadWork
from models.duty import Duty
from models.email import Email
from models.event import EventRow
from models.fanout import Fanout
from models.group import Group, GroupMember
from models.like import Bookmark, Like
from models.mailing import Digest, WaitingMail
from models.message import Message, MessageCopy, Reaction
from models.notification import Notification
from models.post import Post, PostCopy
from models.preference import Preference
from models.presence import Lease, Online, Visit
from models.store import Fact
from models.token import Token
from models.user import Profile, User, Wallet
from models.worker import Worker

TABLES = [
    Fact,
    User,
    Profile,
    Wallet,
    Token,
    Code,
    Preference,
    Conversation,
    Membership,
    Message,
    MessageCopy,
    Reaction,
    Group,
    GroupMember,
    Post,
    PostCopy,
    Like,
    Bookmark,
    Comment,
    EventRow,
    Checkpoint,
    Email,
    DeadWork,
    Activity,
    ActivityHour,
    Audit,
    ArchiveFile,
    Notification,
    NotificationCause,
    WaitingMail,
    Digest,
    Fanout,
    Lease,
    Online,
    Visit,
    Duty,
    Worker,
]

__all__ = ["TABLES", "connect", "disconnect"]
