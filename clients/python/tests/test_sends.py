"""Sends during failures: each makes one message."""

import asyncio
from collections.abc import Callable

import pytest

from bellwire_client import AsyncClient, Client, ProblemError, UnauthorizedError, UnreachableError
from clients.python.tests.conftest import Connect
from clients.python.tests.relay import Relay
from tests.gateway.client import Client as Person
from tests.gateway.running import Gateway
from tests.stores import free_port
from tests.waiting import until


def bodies(person: Person, conversation: int) -> list[str]:
    return [message["body"] for message in person.get(f"/conversations/{conversation}/messages").json()["items"]]


@pytest.fixture(scope="module")
def strict(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway with low rate limits."""
    return make_gateway(RATE_LIMITS="on", LIMIT_SEND="1/second", LIMIT_TYPING="1/hour")


def reported(gateway: Gateway) -> float:
    """Return the number of sends whose duration was reported."""
    return gateway.metric("bellwire_client_send_seconds_count")


def test_a_send_is_answered_with_its_message(bot: Client, ana: Person, ben: Person) -> None:
    first = bot.send("hello", to=ben.id, client_id="mine", priority="important")
    answer = bot.send("and more", conversation=first.conversation, reply_to=first.id)

    assert (first.sender, first.body, first.client_id, first.priority) == (ana.id, "hello", "mine", "important")
    assert answer.reply_to == first.id
    assert answer.created_at >= first.created_at
    assert bodies(ben, first.conversation) == ["and more", "hello"]


def test_a_send_whose_gateway_is_killed_before_it_answers_makes_one_message(
    gateway: Gateway, relay: Relay, connect: Connect, ana: Person, ben: Person
) -> None:
    relay.lose_the_next_answer(gateway.restart)

    sent = connect(ana, relay.url).send("once", to=ben.id)

    assert relay.lost == 1
    assert bodies(ben, sent.conversation) == ["once"]


def test_an_async_send_whose_gateway_is_away_waits_for_it(gateway: Gateway, ana: Person, ben: Person) -> None:
    async def scenario() -> int:
        async with AsyncClient(gateway.url, ana.token) as bot:
            gateway.kill()
            sending = asyncio.create_task(bot.send("once", to=ben.id))
            await asyncio.to_thread(gateway.start)
            return (await sending).conversation

    assert bodies(ben, asyncio.run(scenario())) == ["once"]


def test_an_async_send_whose_answer_is_lost_makes_one_message(relay: Relay, ana: Person, ben: Person) -> None:
    async def scenario() -> int:
        async with AsyncClient(relay.url, ana.token) as bot:
            relay.lose_the_next_answer(lambda: None)
            sent = await bot.send("once", to=ben.id)
            relay.lose_the_next_answer(lambda: None)  # that of the report, which fails nothing
        return sent.conversation

    assert bodies(ben, asyncio.run(scenario())) == ["once"]
    assert relay.lost == 2


def test_the_same_client_id_returns_the_first_message(bot: Client, ben: Person) -> None:
    first = bot.send("first", to=ben.id, client_id="kept")
    assert bot.send("second", to=ben.id, client_id="kept") == first


def test_a_rate_limited_sender_waits_as_long_as_requested(strict: Gateway) -> None:
    ana, ben = strict.users(2)
    with Client(strict.url, ana.token) as bot:
        sent = [bot.send(str(n), to=ben.id) for n in range(3)]

    assert bodies(ben, sent[0].conversation) == ["2", "1", "0"]
    refused = strict.metric("bellwire_rate_limited_total", what="send")
    assert 1 <= refused <= 2, "each was refused once at most: the next try came when it was due"


def test_a_wait_longer_than_the_patience_raises(strict: Gateway) -> None:
    ana, ben = strict.users(2)
    with Client(strict.url, ana.token, patience_s=0) as bot:
        at = bot.open_conversation(ben.id).id
        bot.typing(at)
        with pytest.raises(ProblemError) as refused:
            bot.typing(at)

    assert (refused.value.status, refused.value.slug) == (429, "rate-limited")
    assert refused.value.retry_after_s
    assert 1 <= refused.value.retry_after_s <= 3600


def test_what_is_refused_says_which_field_is_wrong(bot: Client, ben: Person) -> None:
    with pytest.raises(ProblemError) as refused:
        bot.send("", to=ben.id)

    assert (refused.value.status, refused.value.slug) == (422, "invalid")
    assert [error.field for error in refused.value.errors] == ["body"]
    assert refused.value.errors[0].message in str(refused.value)


def test_what_is_not_there_is_named_by_its_slug(bot: Client) -> None:
    with pytest.raises(ProblemError) as refused:
        bot.send("hello", conversation=10**9)

    assert (refused.value.status, refused.value.slug) == (404, "not-found")


def test_a_token_that_is_refused_is_an_exception_of_its_own(gateway: Gateway) -> None:
    with Client(gateway.url, "wrong") as bot, pytest.raises(UnauthorizedError):
        bot.send("hello", to=1)


def test_patience_ends() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", "any", patience_s=0.5) as bot, pytest.raises(UnreachableError):
        bot.send("hello", to=1)


def test_sends_are_measured_and_reported(gateway: Gateway, ana: Person, ben: Person) -> None:
    before = reported(gateway)
    with Client(gateway.url, ana.token) as bot:
        for n in range(25):
            bot.send(str(n), to=ben.id)
        until(lambda: reported(gateway) == before + 20)

    assert reported(gateway) == before + 25


def test_async_sends_are_measured_and_reported(gateway: Gateway, ana: Person, ben: Person) -> None:
    async def scenario() -> None:
        async with AsyncClient(gateway.url, ana.token) as bot:
            await asyncio.gather(*(bot.send(str(n), to=ben.id) for n in range(25)))
            await asyncio.to_thread(until, lambda: reported(gateway) == before + 20)

    before = reported(gateway)
    asyncio.run(scenario())
    assert reported(gateway) == before + 25


def test_a_report_that_can_not_be_made_fails_nothing(relay: Relay, ana: Person, ben: Person) -> None:
    with Client(relay.url, ana.token) as bot:
        sent = bot.send("hello", to=ben.id)
        relay.lose_the_next_answer(lambda: None)

    assert sent.body == "hello"
    assert relay.lost == 1
