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


def redeem(digits: str, *accounts: int, purpose: str = code.LOGIN) -> int | None:
    with event.transaction() as tx:
        return code.redeem(tx, SECRET, accounts, purpose, digits)


def test_a_code_is_valid_once(store: Settings) -> None:
    issue(ANA, "123456")
    assert redeem("123456", ANA) == ANA
    assert redeem("123456", ANA) is None


def test_a_code_is_valid_only_for_its_account_and_purpose(store: Settings) -> None:
    issue(ANA, "123456")
    assert redeem("123456", BEN) is None
    assert redeem("123456", ANA, purpose=code.SIGNUP) is None
    assert redeem("123456", ANA) == ANA


@pytest.mark.parametrize(
    "typed", [" 123456", "123-456", "123 456\n", "\uff11\uff12\uff13\uff14\uff15\uff16", "\u0661\u0662\u0663\u0664\u0665\u0666"]
)
def test_only_the_digits_of_a_code_count(store: Settings, typed: str) -> None:
    issue(ANA, "123456")
    assert redeem(typed, ANA) == ANA


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef", "\u00b2" * 6])
def test_what_is_no_code_spends_no_try(store: Settings, typed: str) -> None:
    issue(ANA, "123456")
    for _ in range(5):
        assert redeem(typed, ANA) is None
    assert redeem("123456", ANA) == ANA


def test_a_new_code_invalidates_the_old_one(store: Settings) -> None:
    issue(ANA, "111111")
    issue(ANA, "222222")
    assert redeem("111111", ANA) is None
    assert redeem("222222", ANA) == ANA


def test_five_wrong_tries_invalidate_a_code_and_four_do_not(store: Settings) -> None:
    issue(ANA, "123456")
    issue(BEN, "123456")
    for wrong in range(4):
        assert redeem(f"00000{wrong}", ANA) is None
    assert redeem("123456", ANA) == ANA
    for wrong in range(5):
        assert redeem(f"00000{wrong}", BEN) is None
    assert redeem("123456", BEN) is None


def test_a_code_is_matched_among_several_accounts_and_a_wrong_try_counts_for_each(store: Settings) -> None:
    issue(ANA, "111111", code.SIGNUP)
    issue(BEN, "222222", code.SIGNUP)
    assert redeem("222222", ANA, BEN, purpose=code.SIGNUP) == BEN
    for _ in range(5):
        redeem("999999", ANA, BEN, purpose=code.SIGNUP)
    assert redeem("111111", ANA, purpose=code.SIGNUP) is None


def test_a_try_for_no_account_writes_as_much_as_for_an_account(store: Settings) -> None:
    for tries in (0, 1, 2):
        assert redeem("123456") is None
        assert rows("SELECT account, tries FROM codes") == [(code.NOBODY, tries)]


def test_the_placeholder_code_is_never_valid(store: Settings) -> None:
    issue(code.NOBODY, "123456")
    assert redeem("123456", code.NOBODY) is None


def test_the_stored_code_reveals_nothing_without_the_secret(store: Settings) -> None:
    issue(ANA, "123456")
    mac = str(scalar("SELECT mac FROM codes"))
    assert mac == code.mac(SECRET, ANA, code.LOGIN, "123456")
    assert mac != code.mac("another", ANA, code.LOGIN, "123456")
    assert "123456" not in mac


def test_a_code_has_six_digits() -> None:
    assert all(len(digits) == 6 and digits.isdigit() for digits in (code.new() for _ in range(1000)))


def test_expired_codes_are_deleted(store: Settings, one_clock: None) -> None:
    with time_machine.travel(START, tick=False) as clock:
        issue(ANA, "123456")
        issue(code.NOBODY, "123456")
        clock.shift(timedelta(seconds=code.VALID_FOR_S))
        issue(BEN, "123456")
        with event.transaction() as tx:
            assert code.trim(tx, 10) == 1
    assert {account for (account,) in rows("SELECT account FROM codes")} == {BEN, code.NOBODY}


class CodeMachine(RuleBasedStateMachine):
    """The codes of one account against a simple model, while time passes."""

    current: str | None = None
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
        return self.current is not None and self.tries < 5 and datetime.now(UTC) < self.until

    @rule(digits=st.sampled_from(["111111", "222222", "333333"]))
    def request_code(self, digits: str) -> None:
        issue(ANA, digits)
        self.current, self.tries, self.until = digits, 0, datetime.now(UTC) + timedelta(minutes=10)

    @rule(digits=st.sampled_from(["111111", "222222", "333333", "", "x" * 100, "１１１１１１"]))
    def try_code(self, digits: str) -> None:
        valid = self.is_good() and code.digits_of(digits) == self.current
        assert redeem(digits, ANA) == (ANA if valid else None)
        if valid:
            self.current = None
        elif self.is_good() and len(code.digits_of(digits)) == 6:
            self.tries += 1

    @rule(seconds=st.integers(1, 400))
    def wait(self, seconds: int) -> None:
        self.now.shift(timedelta(seconds=seconds))

    @precondition(lambda self: self.is_good())
    @rule()
    def use_just_before_it_expires(self) -> None:
        self.now.move_to(self.until - timedelta(milliseconds=1))
        assert redeem(self.current or "", ANA) == ANA
        self.current = None

    @invariant()
    def other_account_is_refused(self) -> None:
        if self.current is not None:
            assert redeem(self.current, BEN) is None


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory: pytest.TempPathFactory, database: Database) -> Iterator[None]:
    with database.fresh() as named:
        connect(settings_of(tmp_path_factory.mktemp("codes"), {**named, "durability": "normal"}))
        schema.migrate()
        yield
        disconnect()


def test_codes_follow_the_model_in_any_order_of_requests_tries_and_time(shared_store: None, one_clock: None) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        CodeMachine,
        settings=settings(max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)),
    )


@given(st.text(max_size=20), st.text(max_size=20))
@settings(max_examples=50)
def test_only_equal_codes_have_equal_macs(first: str, second: str) -> None:
    same = code.mac(SECRET, ANA, code.LOGIN, first) == code.mac(SECRET, ANA, code.LOGIN, second)
    assert same == (first == second)
