"""Pictures that may name a place: others wait for a while until they have been looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from conf import Settings
from gateway.api import file_downloads
from gateway.api.file_downloads import DownloadHandler
from gateway.http.connections import UnsentAnswers
from models.blobs.opening import open_store
from models.chat.drafts import Draft
from tests.gateway.http.test_connections import Serving, serving, store
from tests.journeys.core import token_of
from tests.models.people import credentials, people
from tests.models.stored_files import replace_content, store_file
from tests.waiting import LIMIT_S, until_async

__all__ = ["store"]
pytestmark = pytest.mark.only("sqlite")  # the store has no part in it
CONTENT, CLEAN = b"a picture of a place", b"a picture"


class Sent:
    """A picture in a message of Ana's to Ben."""

    def __init__(self, served: Serving, settings: Settings) -> None:
        self.served = served
        self.ana, self.ben = people("ana", "ben")
        self.file = store_file(open_store(settings), self.ana, CONTENT, state="pending", private=True)

    async def send(self) -> None:
        """Send it."""
        draft = Draft(self.ana, token_of(self.ana), "", self.ben, files=[self.file])
        await self.served.services.committer.post(draft).future

    async def downloaded(self, user: int) -> bytes:
        """The whole answer to a user's download."""
        (credential,) = credentials(user)
        client = await self.served.request(credential, f"/api/v1/files/{self.file}", "Connection: close\r\n")
        return await self.served.received(client)


@asynccontextmanager
async def sent_picture(settings: Settings) -> AsyncIterator[Sent]:
    async with serving(settings, UnsentAnswers()) as served:
        sent = Sent(served, settings)
        await sent.send()
        yield sent


def test_others_wait_for_a_picture_that_is_being_looked_at(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_downloads, "PENDING_S", LIMIT_S)

    async def scenario() -> None:
        async with sent_picture(store) as sent:
            assert (await sent.downloaded(sent.ana)).endswith(CONTENT)
            answers = [asyncio.create_task(sent.downloaded(sent.ben)) for _ in range(3)]
            await until_async(lambda: DownloadHandler.waiting == len(answers))
            replace_content(open_store(store), sent.file, CLEAN, state="ready", private=False)
            for answer in await asyncio.gather(*answers):
                assert answer.startswith(b"HTTP/1.1 200 ")
                assert answer.endswith(b"\r\n\r\n" + CLEAN)
            assert DownloadHandler.waiting == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(("name", "value"), [("PENDING_S", 0.0), ("MAX_PENDING", 0)])
def test_a_picture_that_takes_long_is_for_later(store: Settings, monkeypatch: pytest.MonkeyPatch, name: str, value: float) -> None:
    monkeypatch.setattr(file_downloads, name, value)

    async def scenario() -> None:
        async with sent_picture(store) as sent:
            answer = await sent.downloaded(sent.ben)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"Retry-After: 1\r\n" in answer
            assert CONTENT not in answer

    asyncio.run(scenario())
