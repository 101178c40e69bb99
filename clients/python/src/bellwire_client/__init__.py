"""Bellwire's client for Python: `Client` blocks, `AsyncClient` is for asyncio; both have the same calls."""

from bellwire_client.aio import AsyncClient, AsyncEvents
from bellwire_client.client import Client, Events
from bellwire_client.errors import (
    BellwireError,
    FieldError,
    ProblemError,
    UnauthorizedError,
    UnexpectedAnswerError,
    UnreachableError,
)
from bellwire_client.shapes import Conversation, Event, Me, Member, Message, Notification, Reset, State, User

__all__ = [
    "AsyncClient",
    "AsyncEvents",
    "BellwireError",
    "Client",
    "Conversation",
    "Event",
    "Events",
    "FieldError",
    "Me",
    "Member",
    "Message",
    "Notification",
    "ProblemError",
    "Reset",
    "State",
    "UnauthorizedError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "User",
]
