"""The first admin of an empty instance, who proves to have access to its terminal by a code, and the organisation's name."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from models.accounts import registration
from models.accounts.registration import NewUser
from models.identity.user import User, UserView
from models.log.event import Transaction
from models.store import facts
from models.store.errors import InvalidError, NotFoundError

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without digits and letters that look alike
CODE_CHARS = 10
NAME_CHARS = (1, 80)  # of an organisation


def new_code() -> str:
    """Replace the code of the first admin, and return the new one: `K7QFB-2MXDA`. Only its hash is stored."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARS))
    facts.write(facts.SETUP_CODE, _digest(code))
    return f"{code[: CODE_CHARS // 2]}-{code[CODE_CHARS // 2 :]}"


def has_admin() -> bool:
    """Whether there is an admin, of any status."""
    return User.select().where(User.role == "admin").exists()


def is_needed() -> bool:
    """Whether there is no admin yet, and a code for the first one."""
    return not has_admin() and bool(facts.read(facts.SETUP_CODE))


def organisation() -> str | None:
    """The organisation's name, None while it has none."""
    return facts.read(facts.ORGANISATION)


def name_organisation(name: str) -> None:
    """Set the organisation's name."""
    facts.write(facts.ORGANISATION, name)


def make_admin(tx: Transaction, code: str, new: NewUser, hashed: str, organisation_name: str | None) -> UserView:
    """Create the first admin, active at once. Raises NotFoundError when there is one already, and InvalidError for a wrong code."""
    if not is_needed():
        raise NotFoundError
    if not matches(code):
        raise InvalidError(("code", "is not the one that the terminal shows"))
    try:
        (made,) = registration.create_active(tx, [new], [hashed])
    except InvalidError as error:
        raise InvalidError(*((field.rpartition(".")[2], message) for field, message in error.errors)) from None
    if organisation_name:
        name_organisation(organisation_name)
    return made


def matches(code: str) -> bool:
    """Whether a text is the code, without regard to case and dashes."""
    stored = facts.read(facts.SETUP_CODE) or ""
    typed = "".join(char for char in code.upper() if char in ALPHABET)
    return hmac.compare_digest(stored, _digest(typed))


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
