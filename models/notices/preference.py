"""Preferences: whether a user is notified in-app, by e-mail and by push, for each type of notification: Bellwire's own, and the
host's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import peewee
from peewee import fn

from models.identity.user import User
from models.log.event import Transaction
from models.notices import host_types, pending_mail
from models.notices.host_types import HOST, MAX_NAME_CHARS, HostType
from models.store.database import Base, WidenedCharField, chunks, fetch_rows, insert_rows, listed

EMAIL_DEFAULTS = {"account": "instant", "message": "hourly", "community": "instant", "admin": "off", "system": "off"}
PUSH_DEFAULTS = frozenset({"message"})  # the types that are pushed
TYPES = tuple(EMAIL_DEFAULTS)  # Bellwire's own
MAX_IDS_PER_QUERY = 500
EMAIL_FREQUENCIES = ("off", "instant", "hourly", "daily")


class Preference(Base):
    """A user's choice for one type. There is no row for a type that was never changed."""

    user = peewee.ForeignKeyField(User, index=False, on_delete="CASCADE")
    type = WidenedCharField(MAX_NAME_CHARS, 16)
    in_app = peewee.BooleanField()
    email = peewee.CharField(max_length=8)
    push = peewee.BooleanField(null=True)  # NULL: the default of the type

    class Meta:
        table_name = "preferences"
        primary_key = peewee.CompositeKey("user", "type")


class Choice(NamedTuple):
    """The choice for one type."""

    in_app: bool
    email: str
    push: bool = False


DELETED = Choice(in_app=True, email="off")  # of a type of the host's that does not exist any more


def all_choices(user: int) -> dict[str, Choice]:
    """The user's choices for all types, with the default where nothing was chosen."""
    return _choices(user, {type_: default_choice(type_) for type_ in TYPES} | host_defaults())


def choices_of(user: int, types: Collection[str]) -> dict[str, Choice]:
    """The user's choices for these types, which may be deleted ones."""
    defaults = host_defaults(types)
    return _choices(user, {type_: defaults.get(type_) or default_choice(type_) for type_ in types})


def _choices(user: int, defaults: Mapping[str, Choice]) -> dict[str, Choice]:
    chosen = find_choices([user])
    return {type_: chosen.get((user, type_), default) for type_, default in defaults.items()}


def default_choice(type_: str) -> Choice:
    """The choice that applies to one of Bellwire's own types until the user changes it; DELETED for another type."""
    return Choice(in_app=True, email=EMAIL_DEFAULTS[type_], push=type_ in PUSH_DEFAULTS) if type_ in EMAIL_DEFAULTS else DELETED


def host_defaults(types: Iterable[str] | None = None) -> dict[str, Choice]:
    """The defaults of those of these types that are the host's, or of all of the host's."""
    chosen = None if types is None else set(types) - set(TYPES)
    found = host_types.defaults(chosen) if chosen or chosen is None else {}
    return {type_: Choice(*default) for type_, default in found.items()}


def metric_type(type_: str) -> str:
    """The type in metrics, where all of the host's are one."""
    return type_ if type_ in EMAIL_DEFAULTS else HOST


def find_choices(users: Collection[int]) -> dict[tuple[int, str], Choice]:
    """(user, type) -> choice, for the types that the users have changed."""
    choices: dict[tuple[int, str], Choice] = {}
    for part in chunks(sorted(users), MAX_IDS_PER_QUERY):
        push = fn.COALESCE(Preference.push, HostType.push, HostType.urgent)
        query = Preference.select(Preference.user, Preference.type, Preference.in_app, Preference.email, push)
        query = query.join(HostType, peewee.JOIN.LEFT_OUTER, on=Preference.type == HostType.name)
        for user, type_, in_app, email, pushed in fetch_rows(query.where(Preference.user.in_(listed(part)))):
            choices[user, type_] = Choice(in_app, email, type_ in PUSH_DEFAULTS if pushed is None else bool(pushed))
    return choices


def set_choices(tx: Transaction, user: int, choices: Mapping[str, Choice]) -> None:
    """Set these types, also for notifications that already wait to be mailed."""
    pending_mail.make_due_now(tx, [user])
    insert_rows(
        Preference,
        ("user_id", "type", "in_app", "email", "push"),
        [(user, type_, *choice) for type_, choice in choices.items()],
        " ON CONFLICT (user_id, type) DO UPDATE SET in_app=excluded.in_app, email=excluded.email, push=excluded.push",
    )


def unsubscribe(tx: Transaction, user: int, types: Collection[str]) -> bool:
    """Turn e-mail of these types off, HOST being all of the host's; False when there is no such user or none of the types."""
    named = {type_ for name in types for type_ in (host_types.names() if name == HOST else [name])}
    chosen = (named & set(TYPES)) | set(host_defaults(named))
    if not chosen or not User.select().where(User.id == user).exists():
        return False
    set_choices(tx, user, {type_: choice._replace(email="off") for type_, choice in choices_of(user, chosen).items()})
    return True
