"""Retries: the steps of a call, performed by the test."""

import pytest

from bellwire_client.backoff import FIRST_WAIT_S, MAX_WAIT_S, Backoff
from bellwire_client.errors import ProblemError, UnreachableError
from bellwire_client.steps import Answer, Method, Pause, Request, send_with_retries

SEND = Request("POST", "/messages", {"body": "hello", "client_id": "mine"}, repeatable=True)
UNREPEATABLE = Request("POST", "/conversations")
DONE = Answer(201, {}, {"id": 7})


def refusal(status: int, **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, None)


def test_waits_double_up_to_a_limit_and_half_of_each_is_random() -> None:
    waits = Backoff()
    for n in range(20):
        upper = min(MAX_WAIT_S, FIRST_WAIT_S * 2**n)
        assert upper / 2 <= waits.next_s() <= upper
    waits.reset()
    assert waits.next_s() <= FIRST_WAIT_S


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_the_server_requests_is_respected(status: int) -> None:
    steps = send_with_retries(SEND, 60)
    assert next(steps) == SEND

    pause = steps.send(refusal(status, retry_after="7"))
    assert isinstance(pause, Pause)
    assert 7 < pause.seconds <= 7 + FIRST_WAIT_S
    assert steps.send(None) == SEND, "the same request, with the same client_id"
    with pytest.raises(StopIteration) as end:
        steps.send(DONE)
    assert end.value.value == DONE


@pytest.mark.parametrize("status", [408, 502, 503, 504])
def test_a_call_is_repeated_when_a_proxy_has_no_gateway(status: int) -> None:
    steps = send_with_retries(SEND, 60)
    next(steps)
    assert isinstance(steps.send(refusal(status)), Pause)


def test_a_broken_connection_is_tried_again() -> None:
    steps = send_with_retries(SEND, 60)
    next(steps)
    assert isinstance(steps.throw(UnreachableError("broken")), Pause)
    assert steps.send(None) == SEND


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 422, 500])
def test_permanent_refusals_are_not_repeated(status: int) -> None:
    steps = send_with_retries(SEND, 60)
    next(steps)
    with pytest.raises(ProblemError):
        steps.send(refusal(status))


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_methods_that_may_be_repeated_are(method: Method) -> None:
    steps = send_with_retries(Request(method, "/me"), 60)
    next(steps)
    assert isinstance(steps.throw(UnreachableError("broken")), Pause)


def test_a_post_that_may_have_been_done_is_not_repeated() -> None:
    for failure in (UnreachableError("broken"), None):
        steps = send_with_retries(UNREPEATABLE, 60)
        next(steps)
        with pytest.raises((UnreachableError, ProblemError)):
            steps.throw(failure) if failure else steps.send(refusal(503))


def test_a_post_that_was_refused_for_now_is_repeated() -> None:
    steps = send_with_retries(UNREPEATABLE, 60)
    next(steps)
    assert isinstance(steps.send(refusal(429, retry_after="1")), Pause)


def test_a_wait_longer_than_the_patience_is_not_started() -> None:
    steps = send_with_retries(SEND, 5)
    next(steps)
    with pytest.raises(ProblemError) as refused:
        steps.send(refusal(429, retry_after="6"))
    assert refused.value.retry_after_s == 6


def test_a_page_of_something_else_is_a_problem_without_a_slug() -> None:
    steps = send_with_retries(SEND, 5)
    next(steps)
    with pytest.raises(ProblemError, match="go to https://elsewhere") as refused:
        steps.send(refusal(301, location="https://elsewhere"))
    assert refused.value.slug == ""
