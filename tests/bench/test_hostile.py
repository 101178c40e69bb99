"""The beginning of each attack beside ordinary senders: their messages are accepted, and no answer is a server error."""

import asyncio
import itertools
from collections.abc import Iterator

import pytest

from bench.hostile.battery import ATTACKS, SENDERS
from bench.hostile.fuzz import attack
from bench.hostile.scene import Attack, Scene, Stage, server_errors
from bench.load.loops import closed_loop
from bench.load.people import Person, create_people
from bench.load.targets import Chat, create_chat
from bench.servers.bellwire import Bellwire, bellwire

ATTACKER_REQUESTS = 30
PEOPLE = 200
SENDS = 20
FUZZED_REQUESTS = 1_500
SEED = 1
TIMEOUT_S = 120
MESSAGES = itertools.count(1, 1_000)  # the first numbers of each test's messages


@pytest.fixture(scope="module")
def server() -> Iterator[Bellwire]:
    """A gateway and a worker with default settings, rate limits on."""
    with bellwire() as running:
        yield running


@pytest.fixture(scope="module")
def chat(server: Bellwire) -> Chat:
    """The ordinary senders."""
    return create_chat(server, SENDERS)


@pytest.fixture(scope="module")
def strangers(server: Bellwire) -> list[Person]:
    """The attacks' accounts; the first of each attack's is the attacker."""
    return create_people(server, PEOPLE + len(ATTACKS) + 2, "stranger")


async def begin(attack: Attack, scene: Scene) -> None:
    """Run an attack until it has sent ATTACKER_REQUESTS."""
    running = asyncio.create_task(attack.run(scene))
    async with asyncio.timeout(TIMEOUT_S):
        while scene.requests < ATTACKER_REQUESTS:
            await asyncio.wait([running], timeout=0.01)
            if running.done():
                running.result()
    running.cancel()
    scene.close()


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_gets_no_server_error_and_no_other_sender_is_refused(
    server: Bellwire, chat: Chat, strangers: list[Person], name: str
) -> None:
    attacker = list(ATTACKS).index(name)
    scene = Scene(Stage(server.port, [strangers[attacker], *strangers[len(ATTACKS) :]], SEED))

    async def both() -> tuple[int, str]:
        sends, _ = await asyncio.gather(
            closed_loop(chat, 2, itertools.count(next(MESSAGES)), count=SENDS), begin(ATTACKS[name], scene)
        )
        return sends.failed, sends.first_failure

    assert asyncio.run(both()) == (0, "")
    assert not server_errors(scene.answers), scene.answers


def test_fuzzed_requests_break_nothing_and_leave_nothing(server: Bellwire, strangers: list[Person]) -> None:
    tally = asyncio.run(attack(server, strangers[-2:], FUZZED_REQUESTS, SEED))
    assert not tally.broken
    assert tally.statuses[200] > 50, tally.statuses
