"""Events become visible in id order, however slow the writers are: pollers that return their position skip nothing."""

import random
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from models.log import event
from models.store.database import disconnect, rows
from tests.journeys.cluster import Cluster, rounds, seed
from tests.models.people import group
from tests.waiting import LIMIT_S, until

WRITERS, POLLERS = 4, 3
WRITER = """
import random, signal, sys, time
from models.store.database import connect, disconnect
from conf import load
from models.chat import message
from models.chat.message import Draft
from models.log import event
from models.log.event import TransactionLostError
from models.store.database import is_store_error
from models.store.errors import RefusedError

user, crew, chance = int(sys.argv[1]), int(sys.argv[2]), random.Random(sys.argv[3])
connect(load(), "writer")
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
print("started", flush=True)
while not ended:
    try:
        with event.transaction() as tx:
            time.sleep(chance.random() ** 6 / 20)  # seldom long
            message.post(tx, [Draft(user, 0, f"{n}", conversation=crew) for n in range(chance.randint(1, 5))])
            time.sleep(chance.random() ** 6 / 20)
            if chance.random() < 0.1:
                raise ZeroDivisionError  # assigned ids are assigned again, or skipped
            for _ in range(chance.randint(0, 3)):
                tx.append(f"user:{user}", "read.updated", b"{}")
    except ZeroDivisionError:
        pass
    except Exception as error:
        if not isinstance(error, TransactionLostError) and not is_store_error(error):
            raise
        disconnect()  # PostgreSQL ended the session, because it was stopped for too long
"""


class LogReader:
    """Reads the log repeatedly, as a gateway's tail does."""

    def __init__(self, over: threading.Event, limit: int) -> None:
        self.seen: list[int] = []
        self._over = over
        self._limit = limit
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        last_round = False
        while not last_round:
            last_round = self._over.is_set()
            while found := event.read_after(self.seen[-1] if self.seen else 0, self._limit):
                self.seen += [each.id for each in found]
        disconnect()

    def end(self) -> list[int]:
        """Wait for the end of reading; returns the ids that were read."""
        self._thread.join()
        return self.seen


def pause_one(writers: list[subprocess.Popen[bytes]], chance: random.Random, longest_s: float) -> None:
    """Stop one writer at a random point for a while; the others go on, or wait for it."""
    writer = chance.choice(writers)
    writer.send_signal(signal.SIGSTOP)
    resume_at = monotonic() + chance.random() ** 3 * longest_s
    until(lambda: monotonic() >= resume_at)
    writer.send_signal(signal.SIGCONT)


def test_no_reader_skips_an_event_when_writers_are_stopped_at_random_points(cluster: Cluster, tmp_path: Path) -> None:
    chance = random.Random(seed())
    people = cluster.people(*(f"user{n}" for n in range(WRITERS)))
    crew = group(*people)
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    writers = [cluster.run(script, str(user), str(crew), str(chance.random()), port=0) for user in people]
    until(lambda: cluster.logged().count("started") == WRITERS)
    over = threading.Event()
    readers = [LogReader(over, limit) for limit in (1, 7, 1_000)[:POLLERS]]
    written: Callable[[], int] = lambda: rows("SELECT count(*) FROM messages")[0][0]  # noqa: E731
    for _ in range(rounds(6)):
        before = written()
        pause_one(writers, chance, 1.5)  # longer than PostgreSQL waits for a session that has the lock
        until(lambda before=before: written() > before)
    until(lambda: written() > 100)
    for writer in writers:
        writer.send_signal(signal.SIGTERM)
        assert writer.wait(LIMIT_S) == 0, cluster.logged()
    over.set()
    stored = [i for (i,) in rows("SELECT id FROM events ORDER BY id")]
    assert len(stored) > 100
    for reader in readers:
        assert reader.end() == stored
    announced = rows("SELECT event FROM messages ORDER BY id")
    assert announced == sorted(announced), "messages are not in the order of their events"
