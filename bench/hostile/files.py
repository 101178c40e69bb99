"""Attacks by files: uploads that do not go on, small ones without a pause, and downloads that nobody reads."""

import asyncio
import contextlib
import itertools

from bench.hostile.scene import Attack, Scene
from bench.load.client import raw_request

HALF_OPEN = 500
LARGE_BYTES = 20_000_000
UNREAD = 1_000
PAUSE_S = 0.02
HEAD = b"POST /api/v1/files?name=a.pdf HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%%PDF-1.7\n"


def head(scene: Scene, length: int) -> bytes:
    """Return the head and the first bytes of an upload."""
    return HEAD % (scene.attacker.token.encode(), length)


async def half_uploads(scene: Scene) -> None:
    """Begin large uploads without a pause, send a byte of each now and then, and keep the newest."""
    while True:
        for _ in range(10):
            scene.send_unread(head(scene, LARGE_BYTES))
        for connection in scene.open_sockets[:-HALF_OPEN]:
            connection.close()
        del scene.open_sockets[:-HALF_OPEN]
        for connection in scene.random.sample(scene.open_sockets, len(scene.open_sockets) // 10):
            connection.setblocking(False)
            with contextlib.suppress(OSError):
                connection.send(b"x")
        await asyncio.sleep(PAUSE_S)


async def small_files(scene: Scene) -> None:
    """Upload files of a few bytes without a pause."""
    await scene.hammer(itertools.repeat(head(scene, 9)))


async def unread_downloads(scene: Scene) -> None:
    """Download a large file without a pause, and receive nothing of it."""
    upload = head(scene, LARGE_BYTES) + bytes(LARGE_BYTES - 9)
    file = (await scene.until_done(upload))["id"]
    while True:
        for _ in range(10):
            scene.send_unread(raw_request("GET", f"/api/v1/files/{file}", scene.attacker.token))
        for connection in scene.open_sockets[:-UNREAD]:
            connection.close()
        del scene.open_sockets[:-UNREAD]
        await asyncio.sleep(PAUSE_S)


FILES = (
    Attack("half_uploads", "up to 500 uploads of 20 MB of which almost nothing comes", half_uploads),
    Attack("small_files", "files of a few bytes uploaded without a pause", small_files),
    Attack("unread_downloads", "up to 1,000 downloads of 20 MB of which nothing is received", unread_downloads),
)
