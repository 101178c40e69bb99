"""The number of a user's tokens is bounded, of each kind on its own: those that have not been used for longest end."""

import json

import pytest

from conf import Settings
from models.identity import token
from models.log import event
from models.log.event import TransactionCache
from models.store.database import execute, rows
from models.store.errors import DeadTokenError
from tests.models.people import people


@pytest.fixture(autouse=True)
def low_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three sessions, and two other tokens."""
    monkeypatch.setattr(token, "MAX_SESSIONS", 3)
    monkeypatch.setattr(token, "MAX_CREATED_TOKENS", 2)


def create(user: int, label: str, *, is_session: bool = True) -> None:
    with event.transaction() as tx:
        token.create(tx, user, label, is_session=is_session)


def labels(user: int) -> list[str]:
    return [label for (label,) in rows("SELECT label FROM tokens WHERE user_id=? ORDER BY id", (user,))]


def test_a_log_in_ends_the_session_that_was_unused_for_longest(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    execute("DELETE FROM tokens")
    create(ben, "ben's")
    for label in ("bot", "script"):
        create(ana, label, is_session=False)
    for label in ("laptop", "phone", "tablet"):
        create(ana, label)
    execute("UPDATE tokens SET created_ms=1000, used_ms=CASE label WHEN 'laptop' THEN 3000 ELSE 2000 END WHERE label<>'bot'")
    execute("UPDATE tokens SET used_ms=1 WHERE label='phone'")
    (phone,) = rows("SELECT id FROM tokens WHERE label='phone'")[0]
    create(ana, "desktop")

    assert labels(ana) == ["bot", "script", "laptop", "tablet", "desktop"]
    assert labels(ben) == ["ben's"]
    ((data,),) = rows("SELECT data FROM events WHERE type='token.revoked'")
    assert json.loads(data) == {"user": ana, "tokens": [phone]}


def test_a_created_token_ends_only_the_oldest_of_its_kind(store: Settings) -> None:
    (ana,) = people("ana")
    execute("DELETE FROM tokens")
    create(ana, "laptop")
    for label in ("first", "second", "third"):
        create(ana, label, is_session=False)
    assert labels(ana) == ["laptop", "second", "third"]


def test_an_expired_token_is_refused_inside_the_transaction(store: Settings) -> None:
    (ana,) = people("ana")
    cache = TransactionCache()
    with event.transaction(cache) as tx:
        token.create(tx, ana, "short", expires_ms=tx.now_ms + 60_000)
    [(number, expires_ms)] = rows("SELECT id, expires_ms FROM tokens WHERE label='short'")
    with event.transaction(cache) as tx:
        assert token.check_actor(tx, number) == (ana, "user")
        tx.now_ms = expires_ms
        with pytest.raises(DeadTokenError):
            token.check_actor(tx, number)
