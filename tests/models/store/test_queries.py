"""Peewee's queries run on the engine's own connections, like raw statements."""

import pytest

from conf import Settings
from models.identity.user import User
from models.log import event
from models.store.database import disconnect, engine, fetch_rows, placeholders, rows
from tests.models.people import people


def test_a_query_returns_rows_and_the_number_of_rows_that_it_wrote(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    with event.transaction():
        assert User.update(display_name="100% ?").where(User.id == ana).execute() == 1
    users = User.select(User.id, User.display_name).where(User.id.in_([ana, ben])).order_by(User.id).tuples()
    assert list(users) == [(ana, "100% ?"), (ben, "ben")]


@pytest.mark.only("postgresql")
def test_a_query_is_repeated_on_a_new_connection_after_the_server_closed_the_old_one(store: Settings) -> None:
    (ana,) = people("ana")
    (number,) = rows("SELECT pg_backend_pid()")[0]
    with engine().open("other") as other:  # type: ignore[attr-defined]
        other.execute("SELECT pg_terminate_backend(%s::int)", (number,))
        while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid=%s::int", (number,)).fetchone():
            pass
    assert list(User.select(User.id).tuples()) == [(ana,)]
    disconnect()


def test_no_value_is_in_an_empty_list(store: Settings) -> None:
    assert rows(f"SELECT 1 WHERE 1 IN ({placeholders(0)})") == []
    assert fetch_rows(User.select(User.id).where(User.id.in_([]))) == []


@pytest.mark.only("postgresql")
def test_the_clock_is_never_ahead_of_the_servers_nor_behind_what_was_read_of_it(store: Settings) -> None:
    for _ in range(20):
        with event.transaction(appends=False) as tx:
            before = tx.now_ms
        known = engine().now_ms()
        with event.transaction(appends=False) as tx:
            after = tx.now_ms
        assert before <= known <= after
