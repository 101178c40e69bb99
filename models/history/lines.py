"""The lines of an import: users, conversations and messages of another system, as JSON objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from models.accounts import hosted
from models.accounts.hosted import HostedUser
from models.chat.conversation import MAX_MEMBERS_PER_REQUEST, MAX_TITLE_CHARS
from models.chat.drafts import BODY_RULE, MAX_BODY_CHARS
from models.history.import_keys import CONVERSATION, MAX_KEY_CHARS, MESSAGE, USER
from models.identity.external_id import PREFIX
from models.store.database import ID_MAX
from models.store.text_rules import is_displayable
from models.store.wrong_fields import UNKNOWN, wrong_field

MAX_LINE_BYTES = 2 * 2**20  # a group of 10,000 members has less
MAX_READERS = 1_000  # in `read_by` of one message
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
KEY_RULE = f"must have 1 to {MAX_KEY_CHARS} printable characters"
PAST_RULE = "must be between 1970 and now"
NUL_RULE = "must not contain NUL characters"
RULES = {  # what the decoder says, and what is expected
    UNKNOWN: "is not a field of such a line",
    "Invalid enum value": "must be one of direct, group",
    "Invalid RFC3339": "must be an RFC 3339 time such as 2024-05-01T10:00:00Z",
    "must be datetime": "must be an RFC 3339 time with an offset, such as 2024-05-01T10:00:00Z",
}
Time = Annotated[datetime, Meta(tz=True)]
Reference = int | str  # a user: an id, or `ext:` and an external id


class ConversationLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A conversation of two users, or a group whose first member owns it."""

    key: str
    kind: Literal["direct", "group"]
    members: list[Reference]
    title: str | None = None
    created_at: Time | None = None


class MessageLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A message of a conversation that an earlier line has named. `read_by`: the members who have read it, all if it is absent."""

    key: str
    conversation: str
    sender: Reference
    body: str
    at: Time
    edited_at: Time | None = None
    reply_to: str | None = None
    read_by: list[Reference] | None = None


class ImportLine(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A line: a user, a conversation or a message."""

    user: HostedUser | UnsetType = UNSET
    conversation: ConversationLine | UnsetType = UNSET
    message: MessageLine | UnsetType = UNSET


class RawLine(NamedTuple):
    """A line as it was read, and its place in the file."""

    place: str
    json: bytes


class Line(NamedTuple):
    """A valid line: its place in the file, its kind (`user`, `conversation` or `message`), its content (of a user a PreparedUser)
    and size in bytes."""

    place: str
    kind: str
    content: Any
    size: int


class Refused(NamedTuple):
    """A line that was not imported: its place, the field that is wrong (empty for the line itself), and why."""

    place: str
    field: str
    reason: str


class WrongLineError(Exception):
    """A line can't be imported."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def parse(raw_lines: Iterable[RawLine | Refused]) -> Iterator[Line | Refused]:
    """Check lines of JSON as far as that needs no store."""
    for raw_line in raw_lines:
        if isinstance(raw_line, Refused):
            yield raw_line
            continue
        place, raw = raw_line
        try:
            yield _parse(place, raw)
        except WrongLineError as error:
            yield Refused(place, error.field, error.reason)


def to_ms(at: datetime) -> int:
    """Convert a time to Unix milliseconds."""
    return (at - EPOCH) // MILLISECOND


_decode: Callable[[bytes], ImportLine] = msgspec.json.Decoder(ImportLine).decode


def _parse(place: str, raw: bytes) -> Line:
    if len(raw) > MAX_LINE_BYTES:
        raise WrongLineError("", f"must have at most {MAX_LINE_BYTES} bytes")
    try:
        decoded = _decode(raw)
    except msgspec.ValidationError as error:
        field, reason = wrong_field(error)
        raise WrongLineError(field, next((text for said, text in RULES.items() if reason.startswith(said)), reason)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WrongLineError("", "is not valid JSON") from None
    present = (decoded.user is not UNSET) + (decoded.conversation is not UNSET) + (decoded.message is not UNSET)
    if present != 1:
        raise WrongLineError("", "must have exactly one of user, conversation and message")
    kind = MESSAGE if decoded.message is not UNSET else USER if decoded.user is not UNSET else CONVERSATION
    content = getattr(decoded, kind)
    CHECKS[kind](content)
    if kind == USER:
        (content,) = hosted.prepare([content])
    return Line(place, kind, content, len(raw))


def _require(field: str, reason: str, *, is_valid: bool) -> None:
    if not is_valid:
        raise WrongLineError(field, reason)


def _require_key(field: str, key: str) -> None:
    if not (1 <= len(key) <= MAX_KEY_CHARS and key.isprintable()):
        raise WrongLineError(field, KEY_RULE)


def _require_references(field: str, references: Iterable[Reference]) -> None:
    for reference in references:
        is_valid = (
            0 < reference < ID_MAX if isinstance(reference, int) else reference.startswith(PREFIX) and reference.isprintable()
        )
        if not is_valid:
            raise WrongLineError(field, "must be a user id, or `ext:` and an external id")


def _check_user(user: HostedUser) -> None:
    for field, reason in hosted.invalid_fields(user, "user."):
        raise WrongLineError(field, reason)


def _check_conversation(line: ConversationLine) -> None:
    _require_key("conversation.key", line.key)
    _require_references("conversation.members", line.members)
    members = len(set(line.members))
    if line.kind == "direct":
        _require("conversation.members", "must be two different users", is_valid=members == 2)
        _require("conversation.title", "must be absent from a direct conversation", is_valid=line.title is None)
    is_allowed = 1 <= members <= MAX_MEMBERS_PER_REQUEST
    _require("conversation.members", f"must be 1 to {MAX_MEMBERS_PER_REQUEST} users", is_valid=is_allowed)
    if line.title is not None:
        is_shown = len(line.title) <= MAX_TITLE_CHARS and is_displayable(line.title)
        _require("conversation.title", f"must have 1 to {MAX_TITLE_CHARS} printable characters", is_valid=is_shown)
    if line.created_at is not None:
        _require("conversation.created_at", PAST_RULE, is_valid=line.created_at >= EPOCH)


def _check_message(line: MessageLine) -> None:
    _require_key("message.key", line.key)
    _require_key("message.conversation", line.conversation)
    if line.reply_to is not None:
        _require_key("message.reply_to", line.reply_to)
    if not 1 <= len(line.body) <= MAX_BODY_CHARS:
        raise WrongLineError("message.body", BODY_RULE)
    if "\0" in line.body:
        raise WrongLineError("message.body", NUL_RULE)
    if line.at < EPOCH:
        raise WrongLineError("message.at", PAST_RULE)
    if line.edited_at is not None and line.edited_at < line.at:
        raise WrongLineError("message.edited_at", "must not be before `at`")
    _require_references("message.sender", (line.sender,))
    if line.read_by is not None:
        _require("message.read_by", f"must have at most {MAX_READERS} users", is_valid=len(line.read_by) <= MAX_READERS)
        _require_references("message.read_by", line.read_by)


CHECKS: dict[str, Callable[[Any], None]] = {
    USER: _check_user,
    CONVERSATION: _check_conversation,
    MESSAGE: _check_message,
}
