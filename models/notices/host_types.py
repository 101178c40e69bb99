"""The host's notification types: their words in each language, what is grouped, and their defaults.

The host is the product that embeds this one. Words and links are templates (jobs/rules/templates.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import msgspec
import peewee

from models.log.event import Transaction
from models.store.clock import rfc3339
from models.store.database import Base, chunks, fetch_column, fetch_rows
from models.store.errors import ConflictError, NotFoundError

MAX_TYPES = 500
MAX_NAME_CHARS = 60
MAX_IDS_PER_QUERY = 500
NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*", re.ASCII)
HOST = "host"  # all of these types in metrics, and in the unsubscribe link of a mail about many of them


class HostType(Base):
    """A type: `words` as JSON, by locale, and `group_by`, a list of names of values."""

    name = peewee.CharField(max_length=MAX_NAME_CHARS, primary_key=True)
    words = peewee.TextField()
    group_by = peewee.TextField(null=True)
    in_app = peewee.BooleanField()
    email = peewee.CharField(max_length=8)
    push = peewee.BooleanField(null=True)
    urgent = peewee.BooleanField()
    url = peewee.TextField(null=True)
    created_ms = peewee.BigIntegerField()
    updated_ms = peewee.BigIntegerField()

    class Meta:
        table_name = "notification_types"


class TypeWords(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """The templates of one language: for one cause, for several (None: the same), and the text below the title."""

    title: str
    title_more: str | None = None
    body: str | None = None


class Definition(msgspec.Struct, frozen=True):
    """The host's definition of a type. `email` is off, instant, hourly or daily; `url` is a template."""

    words: dict[str, TypeWords]
    group_by: list[str] | None = None
    in_app: bool = True
    email: str = "off"
    push: bool | None = None
    urgent: bool = False
    url: str | None = None

    @property
    def is_grouped(self) -> bool:
        """Whether several causes become one notification: the host has named what groups them, or words for several."""
        return self.group_by is not None or any(words.title_more is not None for words in self.words.values())


class HostTypeView(msgspec.Struct):
    """A type, as admins see it."""

    type: str
    words: dict[str, TypeWords]
    group_by: list[str] | None
    in_app: bool
    email: str
    push: bool | None
    urgent: bool
    url: str | None
    created_at: str
    updated_at: str


class Defaults(NamedTuple):
    """The preference for a type until a user chooses."""

    in_app: bool
    email: str
    push: bool


def label(name: str) -> str:
    """Return the name of a type for people: `Order shipped` for `order.shipped`."""
    return name.replace(".", " ").replace("_", " ").capitalize()


def put(tx: Transaction, name: str, definition: Definition) -> HostTypeView:
    """Create a type, or replace what was said of it. Raises ConflictError when there are MAX_TYPES already."""
    if find(name) is None and HostType.select().count() >= MAX_TYPES:
        raise ConflictError(f"there are {MAX_TYPES} notification types, which is the limit")
    encode = msgspec.json.encode
    fields: dict[str, Any] = {
        "words": encode(definition.words).decode(),
        "group_by": None if definition.group_by is None else encode(definition.group_by).decode(),
        "in_app": definition.in_app,
        "email": definition.email,
        "push": definition.push,
        "urgent": definition.urgent,
        "url": definition.url,
        "updated_ms": tx.now_ms,
    }
    changed = [getattr(HostType, field) for field in fields]
    HostType.insert(name=name, created_ms=tx.now_ms, **fields).on_conflict(
        conflict_target=[HostType.name], preserve=changed
    ).as_rowcount().execute()
    return view(name)


def delete(tx: Transaction, name: str) -> None:
    """Delete a type. Users' choices stay. Raises NotFoundError."""
    if HostType.delete().where(HostType.name == name).execute() != 1:
        raise NotFoundError


def find(name: str) -> Definition | None:
    """Return what the host says of a type, None for an unknown one."""
    for row in fetch_rows(_select().where(HostType.name == name)):
        return _definition(row[1:-2])
    return None


def view(name: str) -> HostTypeView:
    """Return one type. Raises NotFoundError."""
    for row in fetch_rows(_select().where(HostType.name == name)):
        return _view(row)
    raise NotFoundError


def page(after: str | None, limit: int) -> list[HostTypeView]:
    """Return types by name, after one of them."""
    query = _select() if after is None else _select().where(HostType.name > after)
    return [_view(row) for row in fetch_rows(query.order_by(HostType.name).limit(limit))]


def _select() -> Any:
    said = (HostType.words, HostType.group_by, HostType.in_app, HostType.email, HostType.push, HostType.urgent, HostType.url)
    return HostType.select(HostType.name, *said, HostType.created_ms, HostType.updated_ms)


def _definition(row: tuple[Any, ...]) -> Definition:
    words, group_by, in_app, email, push, urgent, url = row
    return Definition(
        msgspec.json.decode(words, type=dict[str, TypeWords]),
        None if group_by is None else msgspec.json.decode(group_by, type=list[str]),
        *(bool(in_app), email, None if push is None else bool(push), bool(urgent), url),
    )


def _view(row: tuple[Any, ...]) -> HostTypeView:
    name, *said, created_ms, updated_ms = row
    return HostTypeView(
        type=name,
        created_at=rfc3339(created_ms),
        updated_at=rfc3339(updated_ms),
        **msgspec.structs.asdict(_definition(tuple(said))),
    )


def names() -> list[str]:
    """Return the names of all types, in order."""
    return fetch_column(HostType.select(HostType.name).order_by(HostType.name))


def defaults(types: Iterable[str] | None = None) -> dict[str, Defaults]:
    """Return the defaults of these types, or of all, without those that do not exist (any more)."""
    query = HostType.select(HostType.name, HostType.in_app, HostType.email, peewee.fn.COALESCE(HostType.push, HostType.urgent))
    if types is None:
        return {
            name: Defaults(bool(in_app), email, bool(push))
            for name, in_app, email, push in fetch_rows(query.order_by(HostType.name))
        }
    found: dict[str, Defaults] = {}
    for part in chunks(sorted(types), MAX_IDS_PER_QUERY):
        chosen = fetch_rows(query.where(HostType.name.in_(part)))
        found |= {name: Defaults(bool(in_app), email, bool(push)) for name, in_app, email, push in chosen}
    return found


def urgent_names(types: Collection[str]) -> set[str]:
    """Return those of these types that are urgent."""
    urgent = HostType.select(HostType.name).where(HostType.urgent)
    return {
        name for part in chunks(sorted(types), MAX_IDS_PER_QUERY) for name in fetch_column(urgent.where(HostType.name.in_(part)))
    }


def exist(types: Collection[str]) -> bool:
    """Return whether all of these types exist."""
    return len(defaults(types)) == len(set(types))
