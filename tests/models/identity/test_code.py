from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from conf import Settings
from models import schema
from models.identity import code
from models.log import event
from models.store.database import connect, disconnect, execute, rows
from tests.models.people import scalar
from tests.stores import Database, settings_of

SECRET = "a secret for codes"
ANA, BEN = 7, 8
START = datetime(2026, 11, 25, 12, tzinfo=UTC)


def issue(account: int, digits: str, purpose: str = code.LOGIN) -> None:
    with event.transaction() as tx:
        code.issue(tx, SECRET, account, purpose, digits)


def spend(digits: str, *accounts: int, purpose: str = code.LOGIN) -> int | None:
    with event.transaction() as tx:
        return code.redeem(tx, SECRET, accounts, purpose, digits)


def test_a_code_is_good_once(store: Settings) -> None:
    issue(ANA, "123456")
    assert spend("123456", ANA) == ANA
    assert spend("123456", ANA) is None


def test_a_code_is_good_for_its_account_and_purpose_alone(store: Settings) -> None:
    issue(ANA, "123456")
    assert spend("123456", BEN) is None
    assert spend("123456", ANA, purpose=code.SIGNUP) is None
    assert spend("123456", ANA) == ANA


def test_a_new_code_voids_the_old(store: Settings) -> None:
    issue(ANA, "111111")
    issue(ANA, "222222")
    assert spend("111111", ANA) is None
    assert spend("222222", ANA) == ANA


def test_five_wrong_tries_void_a_code_and_four_do_not(store: Settings) -> None:
    issue(ANA, "123456")
    issue(BEN, "123456")
    for wrong in range(4):
        assert spend(f"00000{wrong}", ANA) is None
    assert spend("123456", ANA) == ANA
    for wrong in range(5):
        assert spend(f"00000{wrong}", BEN) is None
    assert spend("123456", BEN) is None


def test_of_several_attempts_the_one_is_found_and_a_wrong_try_counts_for_each(store: Settings) -> None:
    issue(ANA, "111111", code.SIGNUP)
    issue(BEN, "222222", code.SIGNUP)
    assert spend("222222", ANA, BEN, purpose=code.SIGNUP) == BEN
    for _ in range(5):
        spend("999999", ANA, BEN, purpose=code.SIGNUP)
    assert spend("111111", ANA, purpose=code.SIGNUP) is None


def test_where_there_is_nobody_as_much_is_written(store: Settings) -> None:
    for tries in (0, 1, 2):
        assert spend("123456") is None
        assert rows("SELECT account, tries FROM codes") == [(code.NOBODY, tries)]


def test_nobodys_code_opens_nothing(store: Settings) -> None:
    issue(code.NOBODY, "123456")
    assert spend("123456", code.NOBODY) is None


def test_what_is_kept_tells_nothing_without_the_secret(store: Settings) -> None:
    issue(ANA, "123456")
    kept = str(scalar("SELECT mac FROM codes"))
    assert kept == code.mac(SECRET, ANA, code.LOGIN, "123456")
    assert kept != code.mac("another", ANA, code.LOGIN, "123456")
    assert "123456" not in kept


def test_a_code_has_six_digits() -> None:
    assert all(len(digits) == 6 and digits.isdigit() for digits in (code.new() for _ in range(1000)))


def test_codes_that_have_expired_are_cleared_away(store: Settings) -> None:
    with time_machine.travel(START, tick=False) as clock:
        issue(ANA, "123456")
        issue(code.NOBODY, "123456")
        clock.shift(timedelta(seconds=code.VALID_FOR_S))
        issue(BEN, "123456")
        with event.transaction() as tx:
            assert code.trim(tx, 10) == 1
    assert {account for (account,) in rows("SELECT account FROM codes")} == {BEN, code.NOBODY}


class Rules(RuleBasedStateMachine):
    """One account's codes against a simple model, while the clock moves."""

    kept: str | None = None
    until = START
    tries = 0

    @initialize()
    def begin(self) -> None:
        execute("DELETE FROM codes")
        self.clock = time_machine.travel(START, tick=False)
        self.now = self.clock.start()

    def teardown(self) -> None:
        if hasattr(self, "clock"):
            self.clock.stop()

    def is_good(self) -> bool:
        return self.kept is not None and self.tries < 5 and datetime.now(UTC) < self.until

    @rule(digits=st.sampled_from(["111111", "222222", "333333"]))
    def ask(self, digits: str) -> None:
        issue(ANA, digits)
        self.kept, self.tries, self.until = digits, 0, datetime.now(UTC) + timedelta(minutes=10)

    @rule(digits=st.sampled_from(["111111", "222222", "333333", "", "x" * 100, "１１１１１１"]))
    def try_it(self, digits: str) -> None:
        right = self.is_good() and digits == self.kept
        assert spend(digits, ANA) == (ANA if right else None)
        if right:
            self.kept = None
        elif self.is_good():
            self.tries += 1

    @rule(seconds=st.integers(1, 400))
    def wait(self, seconds: int) -> None:
        self.now.shift(timedelta(seconds=seconds))

    @precondition(lambda self: self.is_good())
    @rule()
    def wait_until_just_before_its_end(self) -> None:
        self.now.move_to(self.until - timedelta(milliseconds=1))
        assert spend(self.kept or "", ANA) == ANA
        self.kept = None

    @invariant()
    def nobody_else_gets_in(self) -> None:
        if self.kept is not None:
            assert spend(self.kept, BEN) is None


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory, database: Database) -> Iterator[None]:
    with database.fresh() as named:
        connect(settings_of(tmp_path_factory.mktemp("codes"), {**named, "durability": "normal"}))
        schema.migrate()
        yield
        disconnect()


def test_any_order_of_asking_trying_and_waiting_keeps_the_rules(shared_store: None) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Rules,
        settings=settings(max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)),
    )


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=50)
def test_two_codes_have_one_mac_only_when_they_are_one(one: str, other: str) -> None:
    same = code.mac(SECRET, ANA, code.LOGIN, one) == code.mac(SECRET, ANA, code.LOGIN, other)
    assert same == (one == other)
