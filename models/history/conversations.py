"""The conversations of an import, and their members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.chat import additions
from models.chat import conversation as conversations
from models.chat.additions import MemberAddition
from models.chat.conversation import MAX_ADDED_PER_TRANSACTION, pair_key
from models.history import import_keys, people
from models.history.import_keys import CONVERSATION
from models.history.lines import PAST_RULE, ConversationLine, Line, Reference, Refused, WrongLineError, to_ms
from models.history.written import Written
from models.log.event import Transaction
from models.store.database import fetch_column, rows

DIRECT = "direct"


def write(tx: Transaction, source: str, lines: Sequence[Line], written: Written) -> None:
    """Create the conversations that lines describe, unless this source has imported them before."""
    known = import_keys.find(source, CONVERSATION, (line.content.key for line in lines))
    users = people.resolve(member for line in lines if line.content.key not in known for member in line.content.members)
    made: dict[str, int] = {}
    for line in lines:
        content: ConversationLine = line.content
        if content.key in known or content.key in made:
            written.unchanged[CONVERSATION] += 1
            if len(content.members) > MAX_ADDED_PER_TRANSACTION and content.key in known:
                written.growing.append(known[content.key])
            continue
        try:
            number, is_new = _find_or_create(tx, content, users)
        except WrongLineError as error:
            written.refused.append(Refused(line.place, error.field, error.reason))
            continue
        made[content.key] = number
        (written.created if is_new else written.unchanged)[CONVERSATION] += 1
        if len(content.members) > MAX_ADDED_PER_TRANSACTION:
            written.growing.append(number)
    import_keys.insert(source, CONVERSATION, made.items())


def _find_or_create(tx: Transaction, line: ConversationLine, users: Mapping[Reference, int]) -> tuple[int, bool]:
    """Return the conversation of a line, and whether it is new. Raises WrongLineError."""
    for member in line.members:
        if member not in users:
            raise WrongLineError("conversation.members", f"{member} is not known")
    created_ms = tx.now_ms if line.created_at is None else to_ms(line.created_at)
    if created_ms > tx.now_ms:
        raise WrongLineError("conversation.created_at", PAST_RULE)
    members = list(dict.fromkeys(users[member] for member in line.members))
    if line.kind == DIRECT:
        return _direct(tx, members, created_ms)
    first, later = members[:MAX_ADDED_PER_TRANSACTION], members[MAX_ADDED_PER_TRANSACTION:]
    conversation = conversations.insert(tx, line.title, None, len(members), created_ms)
    conversations.add_members(tx, conversation, first, owner=members[0])
    if later:
        additions.request(tx, conversation, later)
    return conversation, True


def _direct(tx: Transaction, members: Sequence[int], created_ms: int) -> tuple[int, bool]:
    """Return the direct conversation of two users: the one that they have, if nothing was written in it yet."""
    if len(members) != 2:
        raise WrongLineError("conversation.members", "must be two different users")
    pair = pair_key(*members)
    # Raw: the log's lock is acquired.
    sql = "SELECT c.id, EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id=c.id) FROM conversations c WHERE c.pair=?"
    for conversation, has_messages in rows(sql, (pair,)):
        if has_messages:
            raise WrongLineError("conversation.members", "have a direct conversation already, which is not empty")
        return conversation, False
    conversation = conversations.insert(tx, None, pair, len(members), created_ms)
    conversations.add_members(tx, conversation, members)
    return conversation, True


def add_next_members(tx: Transaction, conversation: int) -> bool:
    """Add some more members to a large group; returns whether others are left. The drain does it, too, if the import is killed."""
    unfinished = (MemberAddition.conversation == conversation) & MemberAddition.ended_ms.is_null()
    for number in fetch_column(MemberAddition.select(MemberAddition.id).where(unfinished).order_by(MemberAddition.id).limit(1)):
        progress = additions.find_unfinished(number)
        if progress is not None:
            additions.add_next(tx, progress)
            return True
    return False
