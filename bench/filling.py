"""Records in bulk, and the archive, in a process of its own: `python -m bench.filling fill COUNT DAYS`, or `archive SECONDS`."""

import random
import subprocess
import sys
from collections.abc import Iterable
from itertools import islice
from typing import Any

from bench.server import ROOT, Bellwire, StartFailed

ROWS_A_TRANSACTION = 20_000
ACTIONS = ("message.sent", "page.viewed", "invoice.paid", "file.shared")
RARE = "report.exported"  # one of a thousand
SITES = 20
LATEST_S = 600.0


def _records(users: list[int], count: int, days: int) -> Iterable[tuple[Any, ...]]:
    """Return rows in the order of time: of so many days, the newest of now."""
    from models.store.clock import now_ms

    now, chance = now_ms(), random.Random(7)
    for number in range(count):
        user, site = chance.choice(users), chance.randrange(2 * SITES)
        at_ms = now - (count - number) * days * 86_400_000 // count
        action = RARE if number % 1000 == 0 else chance.choice(ACTIONS)
        metadata = f'{{"message":{number},"conversation":{user},"priority":"normal"}}'
        yield user, action, "Did something", metadata, user, f"site{site}" if site < SITES else None, at_ms


def _fill(count: int, days: int) -> int:
    from models.log import event
    from models.records import activity
    from models.store.database import rows

    rest = iter(_records([user for (user,) in rows("SELECT id FROM users")], count, days))
    while part := list(islice(rest, ROWS_A_TRANSACTION)):
        with event.transaction(appends=False, durable=False):
            activity.record(part)
    return count


def _archive(seconds: float) -> int:
    from commands import opening
    from jobs import tasks
    from jobs.upkeep import archive

    archive.RUN_S = seconds
    tasks.bind(opening.settings())
    return tasks.archiver.run(lambda: False)


def start(server: Bellwire, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    """Begin it beside the server, on the same store, with some settings of its own."""
    command = [sys.executable, "-m", "bench.filling", *arguments]
    env = server.env() | {f"BELLWIRE_{name}": value for name, value in settings.items()}
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> int:
    """Wait for its end; return how many records it dealt with."""
    out, said = process.communicate(timeout=LATEST_S)
    if process.returncode:
        raise StartFailed(said[-2000:])
    return int(out)


def fill(server: Bellwire, count: int, days: int) -> None:
    """Add so many records of the last days."""
    ended(start(server, "fill", str(count), str(days)))


if __name__ == "__main__":
    from commands import opening

    what, *numbers = sys.argv[1:]
    with opening.store(opening.settings()):
        print(_fill(int(numbers[0]), int(numbers[1])) if what == "fill" else _archive(float(numbers[0])))
