"""Tables, the verbs on them, and the event log. Knows no asyncio and no HTTP; imports conf alone."""

from models.activity import Activity
from models.checkpoint import Checkpoint, DeadEvent
from models.conversation import Conversation, Membership
from models.database import connect, disconnect
from models.event import EventRow
from models.message import Message, MessageCopy, Reaction
from models.notification import Notification, NotificationCause
from models.presence import Lease, Online
from models.store import Fact
from models.token import Token
from models.user import Profile, User, Wallet

TABLES = [
    Fact,
    User,
    Profile,
    Wallet,
    Token,
    Conversation,
    Membership,
    Message,
    MessageCopy,
    Reaction,
    EventRow,
    Checkpoint,
    DeadEvent,
    Activity,
    Notification,
    NotificationCause,
    Lease,
    Online,
]

__all__ = ["TABLES", "connect", "disconnect"]
