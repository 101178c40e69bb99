"""Readers of one conversation get each message once all of them wait, and the time of each is known."""

import asyncio

from bench.benchmarks.large_group import create_group
from bench.load.audience import Audience
from bench.servers.bellwire import bellwire

READERS = 5


def test_each_message_has_a_time_for_every_reader() -> None:
    async def read() -> list[list[float]]:
        with bellwire(worker=False) as server:
            assert server.gateway_pids() == [server.gateway_pid()]
            target = await create_group(server, READERS)
            audience = Audience(target)
            await audience.connect()
            times = []
            for number in (1, 2):
                await audience.wait()
                times.append(await audience.times(target.send(0, number)))
            audience.close()
        return times

    first, second = asyncio.run(read())
    assert (len(first), len(second)) == (READERS, READERS)
    assert 0 < first[0] <= first[-1] < second[0] <= second[-1]
