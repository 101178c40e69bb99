"""The number of statements that PostgreSQL runs: for a send in a full batch, and for each of the common calls alone."""

import asyncio
import tempfile
from itertools import pairwise
from pathlib import Path

from pydantic import SecretStr

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.client import Client, raw_request
from bench.load.loops import Tally, timed_request
from bench.load.people import Person, create_people
from bench.servers.bellwire import bellwire
from bench.servers.stores import SECRET, Stores, stores
from conf import Settings
from gateway.commit.committer import CommittedBatch, Committer
from models.chat.drafts import Draft
from models.log import event
from models.store.database import connect, disconnect, rows

BATCH = 50
SEND_INTERVAL_S = 0.06  # a user may send 20 messages and posts a second
CALL_INTERVAL_S = 0.011  # and make 100 calls; longer pauses would count more of the statements that run in the background
WARM_UP = 5  # batches or calls, until caches are filled
CALLS = ("send", "like", "read mark", "poll", "state", "conversations", "messages", "notifications")


def _drafts(number: int) -> list[Draft]:
    """Return one send for each of the first users but the last, to the next one."""
    senders = rows("SELECT t.user_id, min(t.id) FROM tokens t GROUP BY t.user_id ORDER BY t.user_id LIMIT ?", (BATCH + 1,))
    return [
        Draft(sender, token, "a message of a full batch", to=receiver, client_id=f"batch {number}")
        for (sender, token), (receiver, _) in pairwise(senders)
    ]


async def _commit(committer: Committer, batches: list[list[Draft]]) -> None:
    """Queue one full batch after the other."""
    for batch in batches:
        await asyncio.gather(*(committer.post(draft).future for draft in batch))


async def _count_batches(store: Stores, batches: int) -> float:
    """Run a committer like a gateway's and return its statements per send once it is warm."""
    sizes: list[int] = []

    def committed(batch: CommittedBatch) -> None:
        sizes.append(len(batch.operations))

    drafts = [_drafts(number) for number in range(WARM_UP + batches)]
    committer = Committer(committed)
    committer.start(event.head())
    await _commit(committer, drafts[:WARM_UP])
    before = store.statements()
    sizes.clear()
    await _commit(committer, drafts[WARM_UP:])
    statements = (store.statements() - before) / sum(sizes)
    await committer.stop()
    return statements


async def _full_batches(store: Stores, batches: int) -> float:
    """Return the statements per send of a committer with BATCH sends at once. No other process may use the database meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder), database_url=store.postgres.url(), redis_url=store.redis.url, secret_key=SecretStr(SECRET)
        )
        connect(settings, "benchmark")
        try:
            return await _count_batches(store, batches)
        finally:
            disconnect()


async def _create_messages(client: Client, sender: Person, receiver: Person, count: int) -> list[dict[str, int]]:
    """Send messages from one person to another; return them."""
    messages = []
    for number in range(count):
        body = {"to": receiver.id, "body": f"message {number}"}
        messages.append(await client.call("POST", "/api/v1/messages", sender.token, body))
        await asyncio.sleep(SEND_INTERVAL_S)
    return messages


async def _create_posts(client: Client, author: Person, count: int) -> list[int]:
    """Create posts; return their ids."""
    posts = []
    for number in range(count):
        posts.append((await client.call("POST", "/api/v1/posts", author.token, {"body": f"post {number}"}))["id"])
        await asyncio.sleep(SEND_INTERVAL_S)
    return posts


async def _requests(client: Client, ana: Person, ben: Person, count: int) -> dict[str, list[bytes]]:
    """Return `count` requests of Ana's for each of CALLS; most act on messages and posts of Ben's."""
    messages, posts = await _create_messages(client, ben, ana, count), await _create_posts(client, ben, count)
    room = f"/api/v1/conversations/{messages[0]['conversation']}"
    cursor = (await client.call("GET", "/api/v1/events", ana.token))["cursor"]
    reads = {
        "poll": f"/api/v1/events?cursor={cursor}&timeout=0",
        "state": "/api/v1/state",
        "conversations": "/api/v1/conversations",
        "messages": f"{room}/messages",
        "notifications": "/api/v1/notifications",
    }
    answers = ({"to": ben.id, "body": f"answer {number}"} for number in range(count))
    return {
        "send": [raw_request("POST", "/api/v1/messages", ana.token, answer) for answer in answers],
        "like": [raw_request("PUT", f"/api/v1/posts/{post}/like", ana.token) for post in posts],
        "read mark": [raw_request("POST", f"{room}/read", ana.token, {"message": message["id"]}) for message in messages],
        **{name: [raw_request("GET", path, ana.token)] * count for name, path in reads.items()},
    }


async def _count_calls(store: Stores, calls: int) -> tuple[dict[str, float], Tally]:
    """Return the statements per call of each of CALLS, one at a time, without a worker."""
    counts, tally = {}, Tally()
    with bellwire(worker=False, settings=store.settings()) as server:
        client, people = Client(server.port), create_people(server, BATCH + 1)
        for name, requests in (await _requests(client, people[0], people[1], WARM_UP + calls)).items():
            for number, request in enumerate(requests):
                if number == WARM_UP:
                    before = store.statements()
                await timed_request(client, request, 201 if name == "send" else 200, tally)
                await asyncio.sleep(SEND_INTERVAL_S if name == "send" else CALL_INTERVAL_S)
            counts[name] = (store.statements() - before) / calls
        client.close()
    return counts, tally


async def statements(scale: Scale) -> Round:
    """Count the calls at a gateway, then full batches at a committer in this process."""
    with stores() as store:
        counts, tally = await _count_calls(store, scale.count(100, 20))
        batch = await _full_batches(store, scale.count(40, 10))
    figures = {"batch": Figure(batch), **{name: Figure(count) for name, count in counts.items()}}
    return round_of(figures, [tally], [])


STATEMENTS = Benchmark(
    "statements",
    {
        "batch": Line(f"statements per send, {BATCH} sends a commit, PostgreSQL", "", Bound(0.2, "measured")),
        **{name: Line(f"statements of one call alone: {name}", "") for name in CALLS},
    },
    statements,
)
