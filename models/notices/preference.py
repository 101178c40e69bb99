"""Preferences: whether a user is notified in-app and by e-mail, for each type of notification."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import peewee

from models.identity.user import User
from models.log.event import Transaction
from models.notices import pending_mail
from models.store.database import Base, chunks, fetch_rows

EMAIL_DEFAULTS = {"account": "instant", "message": "hourly", "community": "instant", "admin": "off", "system": "off"}
TYPES = tuple(EMAIL_DEFAULTS)
MAX_IDS_PER_QUERY = 500
EMAIL_FREQUENCIES = ("off", "instant", "hourly", "daily")


class Preference(Base):
    """A user's choice for one type. There is no row for a type that was never changed."""

    user = peewee.ForeignKeyField(User, index=False, on_delete="CASCADE")
    type = peewee.CharField(max_length=16)
    in_app = peewee.BooleanField()
    email = peewee.CharField(max_length=8)

    class Meta:
        table_name = "preferences"
        primary_key = peewee.CompositeKey("user", "type")


class Choice(NamedTuple):
    """The choice for one type."""

    in_app: bool
    email: str


def all_choices(user: int) -> dict[str, Choice]:
    """The user's choices for all types, with the default where nothing was chosen."""
    choices = find_choices([user])
    return {type_: choices.get((user, type_), default_choice(type_)) for type_ in TYPES}


def default_choice(type_: str) -> Choice:
    """The choice that applies to a type until the user changes it."""
    return Choice(in_app=True, email=EMAIL_DEFAULTS[type_])


def find_choices(users: Collection[int]) -> dict[tuple[int, str], Choice]:
    """(user, type) -> choice, for the types that the users have changed."""
    choices: dict[tuple[int, str], Choice] = {}
    for part in chunks(sorted(users), MAX_IDS_PER_QUERY):
        query = Preference.select(Preference.user, Preference.type, Preference.in_app, Preference.email)
        for user, type_, in_app, email in fetch_rows(query.where(Preference.user.in_(part))):
            choices[user, type_] = Choice(in_app, email)
    return choices


def set_choices(tx: Transaction, user: int, choices: Mapping[str, Choice]) -> None:
    """Set these types, also for notifications that already wait to be mailed."""
    pending_mail.make_due_now(tx, [user])
    for type_, choice in choices.items():
        Preference.insert(user=user, type=type_, in_app=choice.in_app, email=choice.email).on_conflict(
            conflict_target=[Preference.user, Preference.type], preserve=[Preference.in_app, Preference.email]
        ).as_rowcount().execute()


def unsubscribe(tx: Transaction, user: int, types: Collection[str]) -> bool:
    """Turn e-mail of these types off; False when there is no such user or type."""
    if not set(types) <= set(TYPES) or not User.select().where(User.id == user).exists():
        return False
    choices = all_choices(user)
    set_choices(tx, user, {type_: choices[type_]._replace(email="off") for type_ in types})
    return True
