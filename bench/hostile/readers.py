"""Attacks by reading: answers that nobody takes, slow readers, quiet crowds, dear catch-ups."""

import asyncio
import contextlib
import itertools

from bench.hostile.scene import LARGE_BODY, PAUSE_S, Attack, Scene
from bench.load.client import Client, raw_request

LARGE_MESSAGES = 200
UNREAD_EACH = 20  # answers of each kind
NEVER_READING = 600
SLOW_READERS = 100
SLOW_BYTES = 64  # taken by a slow reader every PAUSE_S
CURSOR_OF_BEGIN = "/api/v1/events?cursor=begin&timeout=0"


async def _fill(scene: Scene) -> int:
    """Write LARGE_MESSAGES messages of 76 KB into a conversation with oneself and one other; return its id."""
    conversation = await scene.group(1)
    body = {"conversation": conversation, "body": LARGE_BODY.replace("x", "😀")}
    for _ in range(LARGE_MESSAGES):
        await scene.call("POST", "/messages", body)
    return conversation


async def unread(scene: Scene) -> None:
    """Request history, polls and streams, and take none of the answers."""
    conversation = await _fill(scene)
    history = f"/api/v1/conversations/{conversation}/messages?limit=200"
    for path in (history, CURSOR_OF_BEGIN, "/api/v1/events/stream?cursor=begin") * UNREAD_EACH:
        scene.send_unread(raw_request("GET", path, scene.attacker.token))
        await asyncio.sleep(0.01)
    await asyncio.Event().wait()


async def never_read(scene: Scene) -> None:
    """Open NEVER_READING streams of one account while its messages go on, and read none."""
    conversation = await scene.group(1)
    for _ in range(NEVER_READING):
        scene.send_unread(raw_request("GET", "/api/v1/events/stream?cursor=begin", scene.attacker.token))
        await asyncio.sleep(0.005)
    body = {"conversation": conversation, "body": LARGE_BODY}
    await scene.hammer(scene.repeat("POST", "/messages", body), connections=1)


async def slow_readers(scene: Scene) -> None:
    """Take large answers a few bytes at a time over SLOW_READERS connections."""
    conversation = await _fill(scene)
    for _ in range(SLOW_READERS):
        scene.send_unread(raw_request("GET", f"/api/v1/conversations/{conversation}/messages?limit=200", scene.attacker.token))
    for connection in scene.open_sockets:
        connection.setblocking(False)
    while True:
        for connection in scene.open_sockets:
            with contextlib.suppress(OSError):
                connection.recv(SLOW_BYTES)
        await asyncio.sleep(PAUSE_S)


async def quiet_crowd(scene: Scene) -> None:
    """Hold a poll open for each of many accounts: the last use of each token is noted, each has a place in the limiter."""

    async def poll(number: int) -> None:
        client = Client(scene.stage.port)
        token = scene.stage.people[number].token
        await asyncio.sleep(number / 1000)  # about 1,000 polls begin a second
        cursor = ""
        while True:
            try:
                raw = raw_request("GET", f"/api/v1/events?timeout=20{cursor}", token)
                answer = await client.request(raw, 60)
            except OSError:
                scene.answers[0] += 1
                await asyncio.sleep(1)
                continue
            scene.answers[answer.status] += 1
            at = answer.body.rfind(b'"cursor":"')
            cursor = "&cursor=" + answer.body[at + 10 :].split(b'"', 1)[0].decode() if at >= 0 else ""

    await asyncio.gather(*(poll(number) for number in range(len(scene.stage.people))))


async def old_cursors(scene: Scene) -> None:
    """Read the whole log again and again, with a filter that lets nothing through."""
    paths = (CURSOR_OF_BEGIN, CURSOR_OF_BEGIN + "&types=conversation.updated", CURSOR_OF_BEGIN + "&follow=posts")
    await scene.hammer(raw_request("GET", path, scene.attacker.token) for path in itertools.cycle(paths))


async def many_conversations(scene: Scene) -> None:
    """Make as many conversations as the limits allow for 5 s, then catch up over all of them without a pause."""
    bodies = ({"members": [scene.stage.people[1].id], "title": f"room {number}"} for number in itertools.count())
    making = (raw_request("POST", "/api/v1/conversations", scene.attacker.token, body) for body in bodies)
    try:
        async with asyncio.timeout(5):
            await scene.hammer(making)
    except TimeoutError:
        pass
    await old_cursors(scene)


READING = (
    Attack("unread", "60 answers of history, polls and streams over 200 messages of 76 KB, none taken", unread),
    Attack("never_read", f"{NEVER_READING} streams of one account that are never read", never_read),
    Attack("slow_readers", f"{SLOW_READERS} answers taken at about 1 KB/s", slow_readers),
    Attack("quiet_crowd", "10,000 accounts with an open poll each", quiet_crowd, people=10_000, tokens=True),
    Attack("old_cursors", "the log read from its begin without a pause, filtered to nothing", old_cursors),
    Attack("many_conversations", "conversations made at the limit, then read from the begin", many_conversations),
)
