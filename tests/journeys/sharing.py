"""People who share files: uploads that break off, messages and posts with files, deletions, and readers who check each byte."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import httpx
from PIL import Image

from tests.journeys.cluster import Cluster
from tests.waiting import LIMIT_S

PAUSE_S = 0.02  # before the next try when a gateway does not answer
MAX_BYTES = 200_000
PDF = b"%PDF-1.7\n"
ORIENTATION, MAKER, PLACE = 0x0112, 0x010F, 0x8825
ROTATED = 6
numbers = itertools.count()  # of files and messages


@dataclass(frozen=True)
class Content:
    """Bytes that are sent, with their type. `size` is that of a picture as it is shown; a private one names a place."""

    data: bytes = field(repr=False)
    type: str
    size: tuple[int, int] | None = None
    is_private: bool = False

    def check(self, delivered: bytes, content_type: str, *, may_be_whole: bool) -> None:
        """Fail unless these are the same bytes, or the same picture without what it says of its maker and place."""
        assert content_type == self.type
        if not self.is_private or (may_be_whole and delivered == self.data):
            assert delivered == self.data
            return
        assert b"A phone" not in delivered
        with Image.open(BytesIO(delivered)) as picture:
            picture.load()
            assert picture.size == self.size
            assert not picture.getexif().get_ifd(PLACE)


@dataclass
class Shared:
    """A message or post that was answered, and its files: id -> content."""

    owner: int
    path: str
    files: dict[int, Content] = field(default_factory=dict)
    is_deleted: bool = False


def document(chance: random.Random) -> Content:
    """A document of any length."""
    return Content(PDF + chance.randbytes(chance.randint(1, MAX_BYTES)), "application/pdf")


def pictures() -> list[Content]:
    """Two pictures: one has nothing to remove, and one is as phones make them."""
    plain, photo = BytesIO(), BytesIO()
    Image.effect_noise((320, 240), 90).save(plain, "PNG")
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKER] = ROTATED, "A phone"
    exif.get_ifd(PLACE)[1] = "N"
    Image.effect_noise((320, 240), 90).convert("RGB").save(photo, "JPEG", exif=exif)
    return [Content(plain.getvalue(), "image/png", (320, 240)), Content(photo.getvalue(), "image/jpeg", (240, 320), True)]


class Sharer:
    """A user who shares files with a conversation, and reads those of others. `shared` is common to all."""

    def __init__(self, cluster: Cluster, user: int, conversation: int, shared: list[Shared], chance: random.Random) -> None:
        self._port, self._token = cluster.ports[0], cluster.token[user]
        self._conversation = conversation
        self._chance = chance
        self._pictures = pictures()
        self._user = user
        self.shared = shared
        self.broken = self.read = 0
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self._port}/api/v1",
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=LIMIT_S,
            trust_env=False,
            verify=False,
        )

    async def share_until(self, is_over: Callable[[], bool]) -> None:
        """Share one thing after the other."""
        while not is_over():
            action = self._chance.choices((self._break_off, self._leave, self._share, self._delete, self._read), (1, 1, 5, 2, 3))[0]
            await action()

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Repeat a call until it is answered, and not by 503."""
        while True:
            try:
                answer = await self._http.request(method, path, **options)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            await asyncio.sleep(PAUSE_S)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _upload(self, content: Content) -> int:
        answer = await self.call("POST", "/files", params={"name": f"{next(numbers)}"}, content=content.data)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        assert (answer.json()["type"], answer.json()["bytes"]) == (content.type, len(content.data))
        return int(answer.json()["id"])

    def _content(self) -> Content:
        return document(self._chance) if self._chance.random() < 0.6 else self._chance.choice(self._pictures)

    async def _share(self) -> None:
        contents = [self._content() for _ in range(self._chance.randint(1, 3))]
        files = {await self._upload(content): content for content in contents}
        is_post = self._chance.random() < 0.2
        body = {"body": "", "files": [*files], **({} if is_post else {"conversation": self._conversation})}
        body |= {} if is_post else {"client_id": f"{self._user}-{next(numbers)}"}
        answer = await self.call("POST", "/posts" if is_post else "/messages", json=body)
        if is_post and answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            return  # an earlier attempt, whose answer was lost, has made it: a post has no key for retries
        assert answer.is_success, answer.text
        assert [file["id"] for file in answer.json()["files"]] == [*files]
        self.shared.append(Shared(self._user, f"/{'posts' if is_post else 'messages'}/{answer.json()['id']}", files))
        if self._chance.random() < 0.2:
            await self._remove(self.shared[-1])

    async def _remove(self, shared: Shared) -> None:
        shared.is_deleted = True  # from now on others may find it deleted
        answer = await self.call("DELETE", shared.path)
        assert answer.status_code in (httpx.codes.NO_CONTENT, httpx.codes.NOT_FOUND), answer.text  # an earlier attempt has done it

    async def _delete(self) -> None:
        own = [shared for shared in self.shared[-20:] if shared.owner == self._user]
        if own:
            await self._remove(self._chance.choice(own))

    async def _leave(self) -> None:
        await self._upload(self._content())

    async def _break_off(self) -> None:
        content = self._content().data
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            head = (
                f"POST /api/v1/files HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {self._token}\r\nContent-Length: {len(content)}"
            )
            writer.write(head.encode() + b"\r\n\r\n" + content[: self._chance.randrange(len(content))])
            await writer.drain()
            writer.close()
        except OSError:
            await asyncio.sleep(PAUSE_S)
        self.broken += 1

    async def _read(self) -> None:
        if self.shared:
            shared = self._chance.choice(self.shared[-10:])
            for file in shared.files:
                await self.check(shared, file)

    async def check(self, shared: Shared, file: int) -> None:
        """Fail unless a file is delivered as it was sent, or is gone with its message. Its owner may have a picture as it was."""
        answer = await self.call("GET", f"/files/{file}")
        if answer.status_code == httpx.codes.NOT_FOUND and shared.is_deleted:
            return
        assert answer.status_code == httpx.codes.OK, (shared, answer.text)
        shared.files[file].check(answer.content, answer.headers["Content-Type"], may_be_whole=shared.owner == self._user)
        self.read += 1
