"""Page cursors: the `next` of a list's answer and its `?page=`, an opaque text for a position in the list.

A position is a tuple of the columns that the list is sorted by, such as (time of the last activity in ms, conversation). The text
is its JSON in base64url (RFC 4648, section 5) without padding.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

Integer = Annotated[int, Meta(ge=0, le=2**62)]  # of a position: the stores compare 64-bit integers
P = TypeVar("P", bound=tuple[Any, ...])


class IdPosition(NamedTuple):
    """A position in a list that is sorted by id."""

    id: Integer


def encode(position: tuple[Any, ...]) -> str:
    """Encode a position."""
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode(text: str, position_type: type[P]) -> P:
    """Decode a cursor into a NamedTuple. Raises ValueError if it is not a cursor of a list with such positions."""
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        position: P = msgspec.json.decode(decoded, type=position_type)
    except ValueError:
        raise ValueError("not a cursor of this list") from None
    return position
