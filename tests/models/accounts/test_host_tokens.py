"""Tokens that the host signs, as rows: what one of a known user changes, and which are refused after a revocation."""

from __future__ import annotations

from itertools import count

import pytest

from conf import Settings
from models.accounts import host_tokens, hosted
from models.accounts.host_tokens import HostToken
from models.accounts.hosted import AccountChanges, HostedUser
from models.identity import token
from models.identity import user as users
from models.log import event
from models.store.database import rows
from models.store.errors import DeadTokenError
from tests.models.people import people, scalar

HASHES = (f"{number:064}" for number in count(1))
SECOND = 1_000


def signed(issued_ms: int, name: str | None = None, **said: str) -> HostToken:
    """A new token of the user 42."""
    user = host_tokens.prepared(HostedUser("42", display_name=name, **said))
    return HostToken(next(HASHES), user, issued_ms, 2 * 10**12, "shop", "")


def accept(new: HostToken, since: int | None = None) -> int:
    """Make a row of a token, and return its user."""
    with event.transaction() as tx:
        host_tokens.accept(tx, new, creates=True, unchanged_since=since)
    return token.find([new.hash])[new.hash].user


def compare(new: HostToken) -> int | None:
    return host_tokens.unchanged_since(new, creates=True)


def test_a_token_that_says_nothing_new_is_a_row_and_no_upsert(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    people("ana")
    first = signed(10 * SECOND, "Ana Lima", username="ana", locale="pt-BR", email="ana@shop.example")
    assert compare(first) is None
    ana = accept(first)
    assert users.view(ana).username == "ana-2"  # as `ana` is taken
    again = signed(20 * SECOND, "Ana Lima", username="ana", locale="pt-BR", email="ana@shop.example")
    since = compare(again)
    with monkeypatch.context() as patched:
        patched.setattr(hosted, "upsert_prepared", lambda *_, **__: pytest.fail("it was compared before"))
        head = event.head()
        accept(again, since)
    assert (since, event.head()) == (10 * SECOND, head)
    assert compare(signed(15 * SECOND, "Ana")) is None  # the newest token was issued at 20 s
    accept(signed(15 * SECOND, "Ana"))
    assert users.view(ana).display_name == "Ana Lima"
    for said in (signed(20 * SECOND, "Ana"), signed(20 * SECOND, locale="de"), signed(20 * SECOND, email="a@shop.example")):
        assert compare(said) is None


def test_what_was_compared_before_another_change_is_compared_again(store: Settings) -> None:
    ana = accept(signed(10 * SECOND, "Ana"))
    newer, older = signed(30 * SECOND, "Ana"), signed(20 * SECOND, "Anna")
    since = compare(newer)
    accept(older)
    assert users.view(ana).display_name == "Anna"
    accept(newer, since)
    assert users.view(ana).display_name == "Ana"

    late = signed(40 * SECOND, "Ana")
    since = compare(late)
    with event.transaction() as tx:
        hosted.change(tx, ana, AccountChanges(display_name="By an admin"))
    accept(late, since)
    assert users.view(ana).display_name == "By an admin"  # which came later than the token


def test_of_the_second_of_a_revocation_no_token_is_accepted_and_of_the_next_one_all_are(store: Settings) -> None:
    ana = accept(signed(1))
    known = signed(2)
    accept(known)
    with event.transaction() as tx:
        ended_ms = token.end_all(tx, ana)
        assert ended_ms == tx.now_ms
    second = ended_ms // SECOND * SECOND  # `iat` has whole seconds: it is not known whether it was before or after
    for refused in (signed(second), signed(second), signed(ended_ms), known, signed(0)):
        with pytest.raises(DeadTokenError):
            compare(refused)
        with pytest.raises(DeadTokenError):
            accept(refused, ended_ms)
    assert scalar("SELECT count(*) FROM tokens WHERE user_id=?", ana) == 0
    assert accept(signed(second + SECOND)) == accept(signed(ended_ms + 1)) == ana
    assert rows("SELECT tokens_after_ms FROM users WHERE id=?", (ana,)) == [(ended_ms,)]
