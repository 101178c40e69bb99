"""How many statements PostgreSQL runs for a send: over a load, and exactly, for batches of a known size."""

import asyncio
import tempfile
from itertools import pairwise
from pathlib import Path

from pydantic import SecretStr

from bench.stores import DATABASE, SECRET, Stores
from conf import Settings
from gateway.commit.committer import Committed, Committer
from models.chat.message import Draft
from models.log import event
from models.store.database import connect, disconnect, rows

BATCH = 50
WARM_UP = 5  # batches, until the committer has learned who sends and where to
CALLS_SQL = f"""
SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s JOIN pg_database d ON d.oid=s.dbid WHERE d.datname='{DATABASE}'
"""


def calls(stores: Stores) -> int:
    """Return how many statements were run in Bellwire's database, BEGIN and COMMIT included."""
    return int(stores.postgres.rows(CALLS_SQL)[0][0])


def _drafts(turn: int) -> list[Draft]:
    """Return one send for each of the first users but the last, to the next one."""
    found = rows("SELECT t.user_id, min(t.id) FROM tokens t GROUP BY t.user_id ORDER BY t.user_id LIMIT ?", (BATCH + 1,))
    return [
        Draft(sender, token, "a message of a full batch", to=to, client_id=f"batch {turn}")
        for (sender, token), (to, _) in pairwise(found)
    ]


async def _commit(committer: Committer, batches: list[list[Draft]]) -> None:
    """Hand over one full batch after the other."""
    for batch in batches:
        await asyncio.gather(*(committer.post(draft).future for draft in batch))


async def _counted(stores: Stores, batches: int) -> tuple[float, float]:
    """Run a committer like the gateways' and count what it does once it is warm."""
    sizes: list[int] = []

    def committed(batch: Committed) -> None:
        sizes.append(len(batch.operations))

    drafts = [_drafts(turn) for turn in range(WARM_UP + batches)]
    committer = Committer(committed)
    committer.start(event.head())
    await _commit(committer, drafts[:WARM_UP])
    before = calls(stores)
    sizes.clear()
    await _commit(committer, drafts[WARM_UP:])
    found = (calls(stores) - before) / sum(sizes), sum(sizes) / len(sizes)
    await committer.stop()
    return found


async def full_batches(stores: Stores, batches: int) -> tuple[float, float]:
    """Return the statements a send and the sends a commit of a committer that gets BATCH sends at once.

    The database must have BATCH + 1 users with tokens; nothing else may use it meanwhile.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder),
            database_url=stores.postgres.url(),
            redis_url=stores.redis.url,
            secret_key=SecretStr(SECRET),
        )
        connect(settings, "benchmark")
        try:
            return await _counted(stores, batches)
        finally:
            disconnect()
