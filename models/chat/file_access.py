"""Access to the bytes of files: a file that nobody has sent is its owner's alone; one in a message is for those who may see the
message, one in a post for those who may see the post."""

from __future__ import annotations

from typing import NamedTuple

from models.community import post as posts
from models.files.file import PENDING
from models.identity.contacts import Bound
from models.store.database import rows
from models.store.errors import NotFoundError

UNREADABLE = "the picture could not be read, so its place and camera could not be removed: only its owner may have it"


class StoredObject(NamedTuple):
    """An object in the store."""

    key: str
    bytes: int
    sha256: str


class FoundFile(NamedTuple):
    """A file that a user may see. While it is `withheld` they may not have its bytes yet, or never if it is not `pending`: these
    may name a place or a camera."""

    name: str
    type: str
    pending: bool
    withheld: bool
    content: StoredObject
    thumbnail: StoredObject | None


def find(user: int, file: int, caller: Bound | None) -> FoundFile:
    """A file that the user may see. Raises NotFoundError."""
    # Raw: a page of messages reads one for each of its pictures.
    found = rows(
        "SELECT f.owner_id, f.name, f.type, f.state, f.private, f.message, f.post, "
        "c.key, c.bytes, c.sha256, t.key, t.bytes, t.sha256 "
        "FROM files f JOIN blobs c ON c.id=f.content_id LEFT JOIN blobs t ON t.id=f.thumbnail_id WHERE f.id=?",
        (file,),
    )
    if not found:
        raise NotFoundError
    owner, name, type_, state, private, message, post, *objects = found[0]
    _require_access(user, owner, message, post, caller)
    thumbnail = StoredObject(*objects[3:]) if objects[3] is not None else None
    is_withheld = bool(private) and user != owner
    return FoundFile(name, type_, state == PENDING, is_withheld, StoredObject(*objects[:3]), thumbnail)


def _require_access(user: int, owner: int, message: int | None, post: int | None, caller: Bound | None) -> None:
    if message is not None:
        _require_reader(user, message)
    elif post is not None:
        posts.require_visible(user, post, caller)
    elif user != owner:
        raise NotFoundError


def _require_reader(user: int, message: int) -> None:
    sql = (
        "SELECT 1 FROM messages x JOIN memberships m ON m.conversation_id=x.conversation_id "
        "WHERE x.id=? AND x.deleted_ms IS NULL AND m.user_id=? AND m.to_event IS NULL"
    )
    if not rows(sql, (message, user)):
        raise NotFoundError
