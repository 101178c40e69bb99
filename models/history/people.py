"""The people of an import: accounts of the host's users, made or changed as by the host's own calls, once for each source.

An account that is there keeps its status, so nobody is told of a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from models.accounts import hosted
from models.accounts.hosted import PreparedUser
from models.history import import_keys
from models.history.import_keys import USER
from models.history.lines import Line, Reference, Refused
from models.history.written import Written
from models.identity import external_id
from models.identity.external_id import PREFIX, hashed
from models.identity.user import User
from models.log.event import Transaction
from models.store.database import chunks, fetch_column
from models.store.errors import InvalidError, RefusedError

MAX_IDS_PER_QUERY = 500


def write(tx: Transaction, source: str, lines: Sequence[Line], written: Written) -> None:
    """Make or change the accounts that lines describe. Those that this source has imported before stay as they are."""
    keys = [_key(line) for line in lines]
    known = import_keys.find(source, USER, [*keys, *map(hashed, keys)])
    new: dict[str, Line] = {}
    for line, key in zip(lines, keys, strict=True):
        if key in known or hashed(key) in known or key in new:  # a deleted user's is hashed, and they are not made again
            written.unchanged[USER] += 1
        else:
            new[key] = line
    try:
        _upsert(tx, source, list(new.values()), written)
    except RefusedError:  # one of them: nothing was written
        for line in new.values():
            _upsert_one(tx, source, line, written)


def _key(line: Line) -> str:
    """Return the external id, by which a source knows a user."""
    key: str = line.content.requested.external_id
    return key


def _upsert_one(tx: Transaction, source: str, line: Line, written: Written) -> None:
    try:
        _upsert(tx, source, [line], written)
    except InvalidError as error:
        ((field, reason), *_) = error.errors
        written.refused.append(Refused(line.place, f"user.{field.rpartition('.')[2]}", reason))
    except RefusedError as error:
        written.refused.append(Refused(line.place, "user", str(error)))


def _upsert(tx: Transaction, source: str, lines: Sequence[Line], written: Written) -> None:
    """Make or change the accounts, all or none: of what was written before it was refused, nothing stays."""
    if not lines:
        return
    there = external_id.find(map(_key, lines))
    users = [_without_status(line.content) if _key(line) in there else line.content for line in lines]
    with tx.savepoint():
        done = hosted.upsert_prepared(tx, users)
    import_keys.insert(source, USER, [(_key(line), item.id) for line, item in zip(lines, done.items, strict=True)])
    written.created[USER] += done.created
    written.changed[USER] += done.changed
    written.unchanged[USER] += done.unchanged


def _without_status(user: PreparedUser) -> PreparedUser:
    """Return a user whose status stays as it is: changing it would end tokens, and tell and mail the owner."""
    return msgspec.structs.replace(user, requested=msgspec.structs.replace(user.requested, status=None))


def resolve(references: Iterable[Reference]) -> dict[Reference, int]:
    """Return the users, of any status, that lines name, by reference; unknown ones are absent."""
    named = set(references)
    texts = {reference for reference in named if isinstance(reference, str)}
    known = external_id.find(reference.removeprefix(PREFIX) for reference in texts)
    found: dict[Reference, int] = {f"{PREFIX}{name}": user for name, user in known.items()}
    for part in chunks(named - texts, MAX_IDS_PER_QUERY):
        found.update((user, user) for user in fetch_column(User.select(User.id).where(User.id.in_(part))))
    return found
