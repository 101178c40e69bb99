"""A push subscription ends with its session, and one of the host's tokens only when these are revoked."""

import pytest

from conf import Settings
from models.identity import token
from models.log import event
from models.notices import push_key, push_subscriptions
from models.store import facts
from models.store.database import execute, rows
from tests.models.people import AUTH, P256DH, people


def subscribe_with_token(user: int, *, of_host: bool) -> int:
    with event.transaction() as tx:
        hashed = token.digest(token.create(tx, user, is_session=not of_host, expires_ms=1))
        ((number,),) = rows("SELECT id FROM tokens WHERE hash=?", (hashed,))
        if of_host:
            execute("UPDATE tokens SET issued_ms=1 WHERE id=?", (number,))
        endpoint = push_subscriptions.endpoint_of(f"https://push.example.org/{number}", P256DH, AUTH)
        push_subscriptions.put(tx, user, number, endpoint, "")
    return int(number)


def count() -> int:
    return int(rows("SELECT count(*) FROM push_subscriptions")[0][0])


def test_one_of_a_session_ends_when_that_expires_and_one_of_the_hosts_token_does_not(store: Settings) -> None:
    (ana,) = people("ana")
    subscribe_with_token(ana, of_host=False)
    subscribe_with_token(ana, of_host=True)
    with event.transaction() as tx:
        assert token.trim(tx, 10) == 2
    assert count() == 1


@pytest.mark.parametrize("may_return", [True, False])
def test_one_of_the_hosts_token_ends_when_that_is_revoked_for_good(store: Settings, may_return: bool) -> None:
    (ana,) = people("ana")
    number = subscribe_with_token(ana, of_host=True)
    with event.transaction() as tx:
        token.revoke(tx, ana, [number], may_return=may_return)
    assert count() == may_return


def test_all_end_with_all_tokens_of_the_user(store: Settings) -> None:
    (ana,) = people("ana")
    subscribe_with_token(ana, of_host=True)
    with event.transaction() as tx:
        token.trim(tx, 10)
        token.end_all(tx, ana)
    assert count() == 0


def test_the_key_is_made_with_the_store(store: Settings) -> None:
    scalar, _, point = (facts.read(push_key.PUSH_KEY) or "").partition(" ")
    assert (scalar, point) == (push_key.private(), push_key.public())
    assert (len(scalar), len(point)) == (43, 87)
