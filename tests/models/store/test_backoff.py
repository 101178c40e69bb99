"""Delays grow while attempts fail; meanwhile one thread at a time attempts, and the others are refused at once."""

import threading

import pytest

from models.store.backoff import Backoff, RetryGate


class DownError(Exception):
    """It is down."""


def gate(delay_s: float) -> RetryGate:
    return RetryGate(Backoff(delay_s, delay_s))


def fail(gate: RetryGate) -> str:
    with pytest.raises(DownError) as caught, gate.attempt(DownError):
        raise DownError("tried")
    return str(caught.value)


def test_delays_grow_to_the_longest_and_start_again_after_a_success() -> None:
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


def test_after_a_failure_no_thread_attempts_for_a_while_and_all_get_the_reason() -> None:
    down, attempts = gate(1_000), 0
    fail(down)
    for _ in range(3):
        with pytest.raises(DownError, match="tried"), down.attempt(DownError):
            attempts += 1
    assert attempts == 0


def test_a_server_that_is_back_is_used_by_all_threads() -> None:
    down, done = gate(1e-9), 0
    fail(down)
    while not done:
        try:
            with down.attempt(DownError):
                done += 1
        except DownError:
            continue
    with down.attempt(DownError), down.attempt(DownError):
        done += 1
    assert done == 2


def test_one_thread_attempts_while_the_others_are_refused() -> None:
    down = gate(0.0)
    fail(down)
    attempting, end = threading.Event(), threading.Event()

    def attempt_slowly() -> None:
        with down.attempt(DownError):
            attempting.set()
            end.wait(30)

    thread = threading.Thread(target=attempt_slowly)
    thread.start()
    assert attempting.wait(30)
    with pytest.raises(DownError), down.attempt(DownError):
        pytest.fail("a second one attempted")
    end.set()
    thread.join()
