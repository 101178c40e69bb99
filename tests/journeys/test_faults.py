"""A fault run: three gateways, two workers, nginx, forty readers and constant sends.

Processes, Redis and PostgreSQL are killed, stopped and restarted in random order, then the promises are checked. JOURNEY_ROUNDS=20
runs for minutes.
"""

import asyncio
import random
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from commands.errors import UNREACHABLE
from models.store.database import disconnect, rows
from tests.deploy.proxy import Proxy
from tests.journeys.clients import PickyPoller, Poller, Reader, Sender, Socket, Streamer, Wanderer, reading
from tests.journeys.cluster import Cluster, drained, rounds, seed
from tests.journeys.test_kills import check_background, check_messages
from tests.journeys.test_two_gateways import check_intervals
from tests.models.people import group
from tests.redis_server import RedisServer
from tests.stores import SECRET, PostgresServer, free_port
from tests.waiting import LIMIT_S, until, until_async

pytestmark = [pytest.mark.only("postgresql"), pytest.mark.timeout(3_600)]

GATEWAYS, WORKERS, READERS = 3, 2, 40
PACE_S = 0.05  # between two messages of a sender, each of which goes to forty readers


class PacedSender(Sender):
    """Waits after each message."""

    async def send(self) -> None:
        await super().send()
        await asyncio.sleep(PACE_S * self._chance.random())


class Faults:
    """A cluster with PostgreSQL, Redis and nginx, the faults that may happen to it, and their repair."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.postgres = PostgresServer(max_connections="300").start()
        self.redis = RedisServer().start()
        store = {"database_url": self.postgres.create(), "secret_key": SECRET, "redis_url": self.redis.url}
        self.cluster = Cluster(folder, store)
        self.gateways = [free_port() for _ in range(GATEWAYS)]
        self.workers: list[subprocess.Popen[bytes]] = []
        self.proxy = _proxy(folder / "proxy", self.gateways)
        self.happened: list[str] = []
        self._chance = random.Random(chance.random())  # a separate generator: a seed gives the same faults in the same order

    def start(self) -> None:
        """Start all processes."""
        for port in self.gateways:
            self.cluster.start_gateway(port)
        self.workers = [self.cluster.start_worker() for _ in range(WORKERS)]
        self.proxy.start()
        self.cluster.ports.append(self.proxy.port)

    def close(self) -> None:
        """Stop and remove everything."""
        self.proxy.stop()
        self.cluster.close()
        self.redis.remove()
        self.postgres.remove()

    async def strike(self) -> None:
        """Cause one fault for a while, and repair it."""
        fault = self._chance.choice(
            [
                self._kill_gateway,
                self._kill_gateway,
                self._restart_gateway,
                self._stop_gateway,
                self._kill_worker,
                self._stop_worker,
                self._kill_redis,
                self._hang_redis,
                self._flush_redis,
                self._restart_postgres,
                self._crash_postgres,
                self._hang_postgres,
            ]
        )
        self.happened.append(fault.__name__)
        print(fault.__name__, flush=True)
        await asyncio.to_thread(fault)
        self.supervise()

    def supervise(self) -> None:
        """Restart workers that ended because they found no database, as systemd does."""
        for number, worker in enumerate(self.workers):
            if worker.poll() is not None:
                assert worker.poll() == UNREACHABLE, self.cluster.logged()
                self.workers[number] = self.cluster.start_worker()

    def _while(self, longest_s: float) -> None:
        """Let a fault last for up to `longest_s` seconds. This does not wait for a condition; it gives the fault time."""
        subprocess.run(["sleep", f"{self._chance.random() * longest_s:.3f}"], check=True)

    def _kill_gateway(self) -> None:
        port = self._chance.choice(self.gateways)
        self.cluster.kill_gateway(port)
        self._while(0.5)
        self.cluster.start_gateway(port)

    def _restart_gateway(self) -> None:
        port = self._chance.choice(self.gateways)
        self.cluster.process(port).terminate()
        assert self.cluster.process(port).wait(LIMIT_S) == 0
        self.cluster.start_gateway(port)

    def _stop_gateway(self) -> None:
        self._stop(self.cluster.process(self._chance.choice(self.gateways)), 3.0)

    def _stop(self, process: subprocess.Popen[bytes], longest_s: float) -> None:
        process.send_signal(signal.SIGSTOP)
        self._while(longest_s)
        process.send_signal(signal.SIGCONT)

    def _kill_worker(self) -> None:
        number = self._chance.randrange(WORKERS)
        self.workers[number].kill()
        self.workers[number].wait()
        self.workers[number] = self.cluster.start_worker()

    def _stop_worker(self) -> None:
        self._stop(self._chance.choice(self.workers), 3.0)

    def _kill_redis(self) -> None:
        self.redis.kill()
        self._while(2.0)
        self.redis.start()

    def _hang_redis(self) -> None:
        self.redis.hang()
        self._while(3.0)
        self.redis.go_on()

    def _flush_redis(self) -> None:
        with self.redis.client() as client:
            client.flushall()

    def _restart_postgres(self) -> None:
        self.postgres.stop(signal.SIGINT)
        self._while(1.0)
        self.postgres.start()

    def _crash_postgres(self) -> None:
        self.postgres.stop(signal.SIGQUIT)
        self.postgres.start()

    def _hang_postgres(self) -> None:
        self.postgres.signal_all(signal.SIGSTOP)
        self._while(2.0)
        self.postgres.signal_all(signal.SIGCONT)


def _proxy(folder: Path, gateways: list[int]) -> Proxy:
    """A proxy with the shipped configuration, which names two gateways, and a third one added."""
    made = Proxy(folder, gateways[:2])
    conf = folder / "bellwire" / "gateways.conf"
    lines = []
    for line in conf.read_text().splitlines():
        lines.append(line)
        if line.strip().startswith(f"server 127.0.0.1:{gateways[1]} "):
            lines.append(line.replace(str(gateways[1]), str(gateways[2])))
    conf.write_text("\n".join(lines) + "\n")
    return made


@pytest.fixture
def chance() -> random.Random:
    return random.Random(seed())


@pytest.fixture
def faults(tmp_path: Path, chance: random.Random) -> Iterator[Faults]:
    made = Faults(tmp_path, chance)
    try:
        made.start()
        yield made
    finally:
        made.close()


def test_no_fault_loses_doubles_or_reorders_anything(faults: Faults, chance: random.Random) -> None:
    cluster = faults.cluster
    *people, sleeper = cluster.people(*(f"user{n}" for n in range(10)), "sleeper")
    crews = [group(*people, sleeper), group(*people[:5], sleeper)]
    targets: list[dict[str, int]] = [{"conversation": crew} for crew in crews] + [{"to": sleeper}]
    kinds: list[type[Reader]] = [Poller, PickyPoller, Streamer, Socket, Wanderer]

    async def scenario() -> list[Sender]:
        senders: list[Sender] = [PacedSender(cluster, user, targets, chance, f"{user}") for user in people[:5]]
        readers = [kinds[n % len(kinds)](cluster, people[n % len(people)], chance) for n in range(READERS)]
        stopped = False
        answered: Callable[[], int] = lambda: sum(len(sender.sent) for sender in senders)  # noqa: E731
        async with reading(*readers):
            async with asyncio.TaskGroup() as tasks:
                for sender in senders:
                    tasks.create_task(sender.send_until(lambda: stopped))
                for _ in range(rounds(4)):
                    target = answered() + 20
                    await until_async(lambda target=target: answered() >= target)
                    await faults.strike()
                target = answered() + 20
                await until_async(lambda: answered() >= target)
                stopped = True
            disconnect()
        return senders

    senders = asyncio.run(scenario())
    check_messages(senders)  # 1 and 4: each answered send is there once, and no other
    check_intervals(cluster)  # 2 and 3 were checked by each reader
    faults.supervise()
    until(drained)
    check_background(sleeper)  # 5 and 6
    print(f"{rows('SELECT count(*) FROM messages')[0][0]} messages, {READERS} readers, faults: {' '.join(faults.happened)}")
