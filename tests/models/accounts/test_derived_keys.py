"""Keys of accounts that an earlier version wrote."""

from __future__ import annotations

import pytest
from playhouse.migrations import Runner

from conf import Settings
from models import schema
from models.accounts import derived_keys, registration
from models.accounts.registration import NewUser
from models.identity import user as users
from models.log import event
from models.store.database import db, engine, execute, rows

MIGRATION = "0009_addresses_and_names"


def account(username: str, address: str, old_key: str) -> int:
    """Create an active account as the version before did, with the address's key in lower case."""
    with event.transaction() as tx:
        (made,) = registration.create_active(tx, [NewUser(username, f"{username}@example.org")], ["hash"])
    execute("UPDATE users SET email=?, email_key=? WHERE id=?", (address, old_key, made.id))
    return made.id


def migrate_again() -> None:
    execute("DELETE FROM schema_migration WHERE name=?", (MIGRATION,))
    assert Runner(db.obj, str(schema.DIRECTORY)).up() == [MIGRATION]


def test_the_migration_corrects_the_keys_of_all_accounts(store: Settings) -> None:
    usual = [account(f"user{n}", f"User{n}@example.org", f"user{n}@example.org") for n in range(derived_keys.USERS_PER_TRANSACTION)]
    look_alike = account("kelvin", "mi\u212ae@example.org", "mike@example.org")
    other_letters = account("ana", "Ana@Bücher.example", "ana@bücher.example")
    with_dot = account("ben", "ben@example.org.", "ben@example.org.")
    migrate_again()
    keys = dict(rows("SELECT id, email_key FROM users"))
    assert [keys[user] for user in usual] == [f"user{n}@example.org" for n in range(len(usual))]
    assert keys[look_alike] == "mi\u212ae@example.org"
    assert keys[other_letters] == "ana@xn--bcher-kva.example"
    assert keys[with_dot] == "ben@example.org"


def test_of_two_accounts_with_one_mailbox_both_log_in(store: Settings) -> None:
    first = account("first", "ana@bücher.example", "ana@bücher.example")
    second = account("second", "ana@bücher.example.", "ana@bücher.example.")
    migrate_again()
    assert users.find_login("Ana@Bücher.example") == (first, "active", "hash")
    assert users.find_login("second") == (second, "active", "hash")


def test_an_account_that_the_version_before_made_later_is_corrected_too(store: Settings) -> None:
    with event.transaction(appends=False) as tx:
        assert derived_keys.correct(tx, 0) == 0
    ana = account("ana", "ana@example.org.", "ana@example.org.")
    with event.transaction(appends=False) as tx:
        assert derived_keys.correct(tx, 0) == ana
        assert derived_keys.correct(tx, ana) == 0
    assert users.find_login("ana@example.org") == (ana, "active", "hash")


def test_people_of_the_version_before_are_found(store: Settings) -> None:
    ana = account("ana", "ana@example.org", "ana@example.org")
    execute("DELETE FROM search_names")
    migrate_again()
    assert [user.id for user in users.search("ana", 0, 10)] == [ana]
    execute("UPDATE users SET display_name='José' WHERE id=?", (ana,))
    with event.transaction(appends=False) as tx:
        derived_keys.correct(tx, 0)
    assert [user.id for user in users.search("jose", 0, 10)] == [ana]


def test_a_search_for_people_reads_a_range_of_an_index_once(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    explain = "EXPLAIN QUERY PLAN " if engine().name == "sqlite" else "EXPLAIN "
    plan: list[str] = []
    monkeypatch.setattr(users, "rows", lambda sql, params: plan.extend(str(row[-1]) for row in rows(explain + sql, params)) or [])
    users.search("a", 0, 50)
    text = " ".join(plan)
    if engine().name == "sqlite":
        assert "SEARCH users USING INTEGER PRIMARY KEY" in text
        assert "search_names USING COVERING INDEX search_name (name>? AND name<?)" in text
    else:
        assert "InitPlan" in text
        assert "search_name" in text
        assert "Join" not in text
        assert "Nested Loop" not in text
