"""Bellwire's client for Python: `Client` blocks, `AsyncClient` is for asyncio; both have the same calls."""

from bellwire_client.aio import AsyncClient, AsyncEvents
from bellwire_client.client import Client, Events
from bellwire_client.errors import (
    BellwireError,
    FieldError,
    NotFoundError,
    ProblemError,
    UnauthorizedError,
    UnexpectedAnswerError,
    UnreachableError,
)
from bellwire_client.shapes import (
    Conversation,
    CreatedToken,
    Event,
    Found,
    LoggedEvent,
    Me,
    Member,
    Message,
    Notification,
    Reset,
    State,
    Upserted,
    User,
    UserRef,
)
from bellwire_client.webhooks import WebhookVerificationError, verify_webhook

__version__ = "0.1.0"
__all__ = [
    "AsyncClient",
    "AsyncEvents",
    "BellwireError",
    "Client",
    "Conversation",
    "CreatedToken",
    "Event",
    "Events",
    "FieldError",
    "Found",
    "LoggedEvent",
    "Me",
    "Member",
    "Message",
    "NotFoundError",
    "Notification",
    "ProblemError",
    "Reset",
    "State",
    "UnauthorizedError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "Upserted",
    "User",
    "UserRef",
    "WebhookVerificationError",
    "__version__",
    "verify_webhook",
]
