"""The messages of an import: many by a few statements, in the order of their time, and read by those who have read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from models.chat import mentions
from models.chat import message as messages
from models.chat.conversation import MAX_MEMBERS_IN_VIEW
from models.chat.drafts import PRIORITIES
from models.chat.mentions import Text
from models.chat.message import Message
from models.history import import_keys, marks, people
from models.history.import_keys import CONVERSATION, MESSAGE
from models.history.lines import PAST_RULE, Line, MessageLine, Reference, Refused, WrongLineError, to_ms
from models.history.marks import Marks
from models.history.written import Written
from models.log.event import Transaction, conversation_stream
from models.store.clock import rfc3339
from models.store.database import chunks, decode_text, encode_text, fetch_column, placeholders, rows

IMPORTED = "history.imported"
COLUMNS = ("id", "conversation_id", "sender_id", "body", "priority", "reply_to", "client_id", "created_ms", "edited_ms", "event")
NO_EVENT = 0  # of an imported message: no event carries its text
MAX_IDS_PER_QUERY = 500
MAX_MARKS_MOVED = 2_000  # of members, in one transaction


class _Conversation(msgspec.Struct):
    """A conversation that lines are for, with what it has so far and what this transaction adds."""

    id: int
    members: int
    newest_ms: int
    count: int = 0
    marks: Marks = msgspec.field(default_factory=Marks)


class MessageWriter:
    """Writes the messages of one transaction, and at its end one event for each conversation and the read marks."""

    def __init__(self, tx: Transaction, source: str, written: Written) -> None:
        self._tx = tx
        self._source = source
        self._written = written
        self._conversations: dict[int, _Conversation] = {}

    def write(self, lines: Sequence[Line]) -> None:
        """Insert the messages of lines, without those that this source has imported before."""
        contents: list[MessageLine] = [line.content for line in lines]
        keys = [key for content in contents for key in (content.key, content.reply_to) if key is not None]
        numbers = import_keys.find(self._source, MESSAGE, keys)
        conversations = self._find_conversations(contents)
        users = people.resolve(user for content in contents for user in (content.sender, *(content.read_by or ())))
        replied = _conversations_of(sorted({numbers[c.reply_to] for c in contents if c.reply_to in numbers}))
        made: list[tuple[str, int]] = []
        values: list[tuple[Any, ...]] = []
        for line, content in zip(lines, contents, strict=True):
            if content.key in numbers:
                self._written.unchanged[MESSAGE] += 1
                continue
            try:
                row = self._row(content, conversations, users, numbers, replied)
            except WrongLineError as error:
                self._written.refused.append(Refused(line.place, f"message.{error.field}", error.reason))
                continue
            numbers[content.key], replied[row[0]] = row[0], row[1]
            values.append(row)
            made.append((content.key, row[0]))
        mentioned = mentions.find((row[0], Text(row[1], row[2], decode_text(row[3]))) for row in values)
        messages.insert(COLUMNS, values, mentioned)
        import_keys.insert(self._source, MESSAGE, made)
        self._written.created[MESSAGE] += len(made)

    def finish(self) -> None:
        """Append one event for each conversation that has got messages, and move its read marks."""
        moved = 0
        for conversation in self._conversations.values():
            if not conversation.count:
                continue
            newest, first = conversation.marks.newest, conversation.marks.first
            data = {"conversation": conversation.id, "messages": conversation.count, "first": first, "last": newest}
            self._tx.append(conversation_stream(conversation.id), IMPORTED, msgspec.json.encode(data))
            moved += conversation.members
            is_small = conversation.members <= MAX_MEMBERS_IN_VIEW and moved <= MAX_MARKS_MOVED
            (marks.move if is_small else marks.move_later)(conversation.id, conversation.marks)

    def _row(
        self,
        line: MessageLine,
        conversations: Mapping[str, _Conversation],
        users: Mapping[Reference, int],
        numbers: Mapping[str, int],
        replied: Mapping[int, int],
    ) -> tuple[Any, ...]:
        """Return the row of a message in the order of COLUMNS. Raises WrongLineError with a field of the line."""
        conversation = conversations.get(line.conversation)
        if conversation is None:
            raise WrongLineError("conversation", f"{line.conversation} is not the key of an imported conversation")
        for field, references in (("sender", (line.sender,)), ("read_by", line.read_by or ())):
            for reference in references:
                if reference not in users:
                    raise WrongLineError(field, f"{reference} is not known")
        at_ms, edited_ms = to_ms(line.at), None if line.edited_at is None else to_ms(line.edited_at)
        for field, time_ms in (("at", at_ms), ("edited_at", edited_ms)):
            if time_ms is not None and time_ms > self._tx.now_ms:
                raise WrongLineError(field, PAST_RULE)
        if at_ms < conversation.newest_ms:
            raise WrongLineError("at", f"must not be before the conversation's newest message, {rfc3339(conversation.newest_ms)}")
        reply_to = None if line.reply_to is None else numbers.get(line.reply_to)
        if line.reply_to is not None and (reply_to is None or replied.get(reply_to) != conversation.id):
            raise WrongLineError("reply_to", "must be the key of an earlier message of this conversation")
        number = self._tx.next_id("messages")
        conversation.newest_ms = at_ms
        conversation.count += 1
        _note_readers(conversation.marks, number, line, users)
        body, priority = encode_text(line.body), PRIORITIES[0]
        return number, conversation.id, users[line.sender], body, priority, reply_to, None, at_ms, edited_ms, NO_EVENT

    def _find_conversations(self, lines: Sequence[MessageLine]) -> dict[str, _Conversation]:
        """Return the conversations of lines by their keys, without unknown ones."""
        numbers = import_keys.find(self._source, CONVERSATION, (line.conversation for line in lines))
        missing = sorted(set(numbers.values()) - self._conversations.keys())
        for part in chunks(missing, MAX_IDS_PER_QUERY):
            # Raw: the subquery reads the end of an index.
            newest = "SELECT m.created_ms FROM messages m WHERE m.conversation_id=c.id ORDER BY m.id DESC LIMIT 1"
            sql = f"SELECT c.id, c.members_count, coalesce(({newest}), 0) FROM conversations c WHERE c.id IN"
            for number, members, newest_ms in rows(f"{sql} ({placeholders(len(part))})", part):
                self._conversations[number] = _Conversation(number, members, newest_ms)
        return {key: self._conversations[number] for key, number in numbers.items() if number in self._conversations}


def ids_between(conversation: int, first: int, last: int) -> list[int]:
    """Return the ids of a conversation's messages from the first to the last."""
    is_between = (Message.conversation == conversation) & (Message.id >= first) & (Message.id <= last)
    return fetch_column(Message.select(Message.id).where(is_between).order_by(Message.id))


def _note_readers(noted: Marks, number: int, line: MessageLine, users: Mapping[Reference, int]) -> None:
    noted.newest, noted.first = number, noted.first or number
    if line.read_by is None:
        noted.read = number
    else:
        noted.users.update((users[reader], number) for reader in line.read_by)


def _conversations_of(messages: Sequence[int]) -> dict[int, int]:
    """Return message -> conversation. Raw SQL: as above."""
    found: dict[int, int] = {}
    for part in chunks(messages, MAX_IDS_PER_QUERY):
        found.update(rows(f"SELECT id, conversation_id FROM messages WHERE id IN ({placeholders(len(part))})", part))
    return found
