"""Failed log-ins in the audit: with account and address, by the minute, and never with what was typed."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from conf import Settings
from gateway.commit.recorder import Recorder
from gateway.http.login_failures import LoginFailures
from models.records import failed_logins
from models.store.database import rows
from tests.gateway.client import Client
from tests.gateway.running import Gateway
from tests.models.people import people
from tests.waiting import until

START = datetime(2026, 11, 25, 12, tzinfo=UTC)


class ThisThread(Recorder):
    """A recorder that writes at once."""

    def record(self, write: Callable[..., None], items: object) -> None:
        write(items)


def recorded() -> list[tuple[int | None, str, int]]:
    """Account, address and number of attempts of each record."""
    found = rows("SELECT user_id, address, metadata FROM audits WHERE action=? ORDER BY id", (failed_logins.ACTION,))
    return [(user, address, json.loads(metadata)["attempts"]) for user, address, metadata in found]


def test_an_account_and_an_address_have_one_record_a_minute(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    failures = LoginFailures(ThisThread())
    with time_machine.travel(START, tick=False) as clock:
        for account, address in ((ana, "203.0.113.1"), (ana, "203.0.113.1"), (ben, "203.0.113.1"), (None, "203.0.113.2")):
            failures.add(account, address)
        failures.write()
        failures.add(ana, "203.0.113.1")
        failures.write()
        failures.write()
        assert recorded() == [(ana, "203.0.113.1", 3), (ben, "203.0.113.1", 1), (None, "203.0.113.2", 1)]

        failures.add(ben, "203.0.113.1")
        clock.shift(timedelta(minutes=1))
        failures.add(ana, "203.0.113.1")
        failures.write()
        assert sorted(recorded()[1:], key=str) == sorted(
            [(ben, "203.0.113.1", 2), (None, "203.0.113.2", 1), (ana, "203.0.113.1", 1)], key=str
        )


def test_a_million_attempts_make_few_records(store: Settings) -> None:
    failures = LoginFailures(ThisThread(), max_records=10)
    with time_machine.travel(START, tick=False):
        for number in range(1_000):
            failures.add(None, f"203.0.113.{number}")
        failures.add(None, "203.0.113.1")
        failures.write()
    assert recorded() == [(None, f"203.0.113.{n}", 1 + (n == 1)) for n in range(10)] + [(None, "", 990)]


def test_an_account_that_was_deleted_meanwhile_is_left_out(store: Settings) -> None:
    failures = LoginFailures(ThisThread())
    failures.add(12345, "203.0.113.1")
    failures.write()
    assert recorded() == [(None, "203.0.113.1", 1)]


@pytest.mark.only("sqlite")
def test_records_that_could_not_be_written_are_written_later(store: Settings) -> None:
    class Down(Recorder):
        def record(self, write: Callable[..., None], items: object) -> None:
            """Drop them, as while the store is down."""

    recorder = Down()
    failures = LoginFailures(recorder)
    with time_machine.travel(START, tick=False):
        failures.add(None, "203.0.113.1")
        failures.write()
        failures._recorder = ThisThread()
        failures.write()
    assert recorded() == [(None, "203.0.113.1", 1)]


def test_admins_see_failed_log_ins_without_what_was_typed(gateway: Gateway, admin: Client, ana: Client) -> None:
    secret = "typed by mistake"
    for body in ({"login": f"{ana.name} ", "password": secret}, {"login": secret, "password": secret}):
        assert gateway.anonymous().post("/login", body).status_code == 401
    code = {"email": f"{ana.name}@example.org", "code": "000000"}
    assert gateway.anonymous().post("/login", code).status_code == 401

    def attempts() -> int:
        items = admin.get("/admin/audit", action="login.failed", user=ana.id).json()["items"]
        return sum(item["metadata"]["attempts"] for item in items)

    until(lambda: attempts() == 2)
    (strangers, *_) = [i for i in admin.get("/admin/audit", action="login.failed").json()["items"] if i["user"] is None]
    assert (strangers["address"], strangers["outcome"], strangers["triggered_by"]) == ("127.0.0.1", "failed", None)
    assert secret not in gateway.dump()
