"""Back-off: delays grow while attempts fail. One thread at a time attempts; the others are refused at once."""

import threading

import pytest

from models.store.backoff import Backoff, RetryGate
from tests.waiting import LIMIT_S


class DownError(Exception):
    """The server is down."""


def gate(delay_s: float) -> RetryGate:
    return RetryGate(Backoff(delay_s, delay_s))


def fail(gate: RetryGate) -> str:
    with pytest.raises(DownError) as caught, gate.attempt(DownError):
        raise DownError("tried")
    return str(caught.value)


def test_delays_grow_to_a_maximum_and_start_again_after_a_success() -> None:
    backoff = Backoff(0.5, 4.0)
    assert [backoff.record_failure() for _ in range(5)] == [0.5, 1.0, 2.0, 4.0, 4.0]
    backoff.record_success()
    assert backoff.failures == 0
    assert backoff.record_failure() == 0.5
    assert Backoff(1.0, 100.0, factor=3.0).delay_s(3) == 9.0


def test_no_number_of_failures_is_too_large() -> None:
    assert Backoff(0.05, 3600.0).delay_s(10**9) == 3600.0


def test_jitter_spreads_the_delay_between_its_bounds() -> None:
    delays = {Backoff(2.0, 2.0, jitter=(0.75, 1.25)).delay_s(1) for _ in range(200)}
    assert len(delays) > 100
    assert min(delays) >= 1.5
    assert max(delays) <= 2.5


def test_the_next_attempt_is_due_after_the_delay_or_a_success() -> None:
    backoff = Backoff(1_000, 1_000)
    assert backoff.is_due()
    backoff.record_failure()
    assert not backoff.is_due()
    backoff.record_success()
    assert backoff.is_due()
    backoff = Backoff(0.0, 0.0)
    backoff.record_failure()
    assert backoff.is_due()


def test_during_the_delay_after_a_failure_all_threads_are_refused_with_the_reason() -> None:
    retry_gate, attempts = gate(1_000), 0
    fail(retry_gate)
    for _ in range(3):
        with pytest.raises(DownError, match="tried"), retry_gate.attempt(DownError):
            attempts += 1
    assert attempts == 0


def test_after_a_success_all_threads_may_attempt() -> None:
    retry_gate, done = gate(1e-9), 0
    fail(retry_gate)
    while not done:
        try:
            with retry_gate.attempt(DownError):
                done += 1
        except DownError:
            continue
    with retry_gate.attempt(DownError), retry_gate.attempt(DownError):
        done += 1
    assert done == 2


def test_while_one_thread_attempts_the_others_are_refused() -> None:
    retry_gate = gate(0.0)
    fail(retry_gate)
    attempting, finish = threading.Event(), threading.Event()

    def attempt_slowly() -> None:
        with retry_gate.attempt(DownError):
            attempting.set()
            finish.wait(LIMIT_S)

    thread = threading.Thread(target=attempt_slowly)
    thread.start()
    assert attempting.wait(LIMIT_S)
    with pytest.raises(DownError), retry_gate.attempt(DownError):
        pytest.fail("a second thread attempted")
    finish.set()
    thread.join()
