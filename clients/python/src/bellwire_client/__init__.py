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
from bellwire_client.shapes import Conversation, Event, Found, Me, Member, Message, Notification, Reset, State, User

__version__ = "0.1.0"
__all__ = [
    "AsyncClient",
    "AsyncEvents",
    "BellwireError",
    "Client",
    "Conversation",
    "Event",
    "Events",
    "FieldError",
    "Found",
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
    "User",
    "__version__",
]
