"""Messages are deleted while readers catch up: later reads contain no deleted text and skip nothing."""

import asyncio
import random

from models.chat.search_tokens import phrases, query
from models.store.database import engine, rows
from tests.journeys.clients import Link, Poller, Response, Sender, Socket, Streamer, reading
from tests.journeys.cluster import Cluster, rounds, seed
from tests.models.people import group


class DeletionChecker(Poller):
    """A poller that fails when an answer has a text whose deletion was answered before the poll."""

    gone: frozenset[str] = frozenset()  # shared by all readers: texts whose deletion has been answered

    async def _once(self) -> None:
        gone, before = DeletionChecker.gone, len(self.read)
        await super()._once()
        received = {data["body"] for _, kind, data in self.read[before:] if kind.startswith("message.") and "body" in data}
        assert not received & gone, "a deleted text was sent"


def test_no_later_read_contains_a_deleted_text(cluster: Cluster) -> None:
    chance = random.Random(seed())
    ana, *others = cluster.people("ana", "ben", "cy")
    crew = group(ana, *others)
    port = cluster.start_gateway()
    count = rounds(60)
    DeletionChecker.gone = frozenset()

    async def delete(sender: Sender, link: Link) -> None:
        for number, (message, body) in enumerate(list(sender.sent.values())):
            if number % 2:
                new = f"{body} edited."
                assert (await link.call("PATCH", f"/api/v1/messages/{message}", {"body": new})).status == 200
                assert (await link.call("DELETE", f"/api/v1/messages/{message}")).status == 204
                DeletionChecker.gone |= {body, new}

    async def scenario() -> list[Response]:
        sender = Sender(cluster, ana, [{"conversation": crew}], chance)
        await sender.send_until(lambda: len(sender.sent) >= count)
        link = Link(port, cluster.token[ana])
        readers = [DeletionChecker(cluster, user, chance) for user in others for _ in range(6)]
        async with reading(*readers, Streamer(cluster, others[0], chance), Socket(cluster, others[1], chance)):
            await delete(sender, link)
        return [await link.call("GET", f"/api/v1/messages/{m}") for m, body in sender.sent.values() if body in DeletionChecker.gone]

    answers = asyncio.run(scenario())
    assert len(answers) == count // 2
    assert all(answer.body["body"] == "" and answer.body["deleted_at"] for answer in answers)
    for text in DeletionChecker.gone:
        assert rows("SELECT count(*) FROM events WHERE replace(data, ?, '')<>data", (f'"{text}"',)) == [(0,)]
        if engine().name == "sqlite":
            assert rows("SELECT count(*) FROM message_search WHERE body=?", (text,)) == [(0,)]
        else:
            words = "SELECT count(*) FROM message_search WHERE words @@ ?::tsquery"
            assert rows(words, (query(phrases(text.split())),)) == [(0,)]
