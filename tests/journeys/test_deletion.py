"""Messages are deleted while others catch up: who reads later finds no trace of their texts, and skips nothing."""

import asyncio
import random

from models.chat.search_tokens import query
from models.store.database import engine, rows
from tests.journeys.clients import Link, Poller, Response, Sender, Socket, Streamer, reading
from tests.journeys.house import House, rounds, seed
from tests.models.people import group


class Vigilant(Poller):
    """Knows which texts were gone before it asked, and must not be told any of them."""

    gone: frozenset[str] = frozenset()  # of all readers: texts whose deletion has been answered

    async def _once(self) -> None:
        gone, before = Vigilant.gone, len(self.read)
        await super()._once()
        told = {data["body"] for _, kind, data in self.read[before:] if kind.startswith("message.") and "body" in data}
        assert not told & gone, "a deleted text was told"


def test_a_deleted_text_is_told_to_nobody_who_asks_later(house: House) -> None:
    chance = random.Random(seed())
    ana, *others = house.people("ana", "ben", "cy")
    crew = group(ana, *others)
    port = house.start_gateway()
    count = rounds(120)
    Vigilant.gone = frozenset()

    async def delete(sender: Sender, link: Link) -> None:
        for number, (message, body) in enumerate(list(sender.sent.values())):
            if number % 2:
                new = f"{body} edited."
                assert (await link.call("PATCH", f"/api/v1/messages/{message}", {"body": new})).status == 200
                assert (await link.call("DELETE", f"/api/v1/messages/{message}")).status == 204
                Vigilant.gone |= {body, new}

    async def scenario() -> list[Response]:
        sender = Sender(house, ana, [{"conversation": crew}], chance)
        await sender.go_on(lambda: len(sender.sent) >= count)
        link = Link(port, house.token[ana])
        readers = [Vigilant(house, user, chance) for user in others for _ in range(6)]
        async with reading(*readers, Streamer(house, others[0], chance), Socket(house, others[1], chance)):
            await delete(sender, link)
        return [await link.call("GET", f"/api/v1/messages/{m}") for m, body in sender.sent.values() if body in Vigilant.gone]

    shown = asyncio.run(scenario())
    assert len(shown) == count // 2
    assert all(answer.body["body"] == "" and answer.body["deleted_at"] for answer in shown)
    for text in Vigilant.gone:
        assert rows("SELECT count(*) FROM events WHERE replace(data, ?, '')<>data", (f'"{text}"',)) == [(0,)]
        if engine().name == "sqlite":
            assert rows("SELECT count(*) FROM message_search WHERE body=?", (text,)) == [(0,)]
        else:
            words = "SELECT count(*) FROM message_search WHERE words @@ ?::tsquery"
            assert rows(words, (query(text.split()),)) == [(0,)]
