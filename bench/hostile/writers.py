"""Attacks by calls that write or compute: large groups, floods, typing, searches, log-ins, public pages."""

import asyncio
import itertools

from bench.hostile.scene import LARGE_BODY, Attack, Scene
from bench.load.client import raw_request

LARGE_GROUP = 9_999
AWAY_GROUP = 3_000
COMMON_WORDS = ("a", "the", "e", "nap", "i", "they", "make", "we")


async def large_group(scene: Scene) -> None:
    """Make conversations of 10,000 members, one after the other."""
    members = [person.id for person in scene.stage.people[1:]]
    await scene.hammer(scene.repeat("POST", "/conversations", {"members": members, "title": "everybody"}), connections=1)


async def away_group(scene: Scene) -> None:
    """Write into a group of 3,000 people who are away as fast as the limits allow."""
    conversation = await scene.group(AWAY_GROUP)
    await scene.hammer(scene.repeat("POST", "/messages", {"conversation": conversation, "body": "hello"}))


async def typing(scene: Scene) -> None:
    """Type in a large group without a pause."""
    conversation = await scene.group(AWAY_GROUP)
    await scene.hammer(scene.repeat("POST", f"/conversations/{conversation}/typing", {"typing": True}))


async def membership(scene: Scene) -> None:
    """Add and remove one victim without a pause."""
    conversation = await scene.group(1)
    path = f"/api/v1/conversations/{conversation}/members/{scene.stage.people[-1].id}"
    await scene.hammer(raw_request(method, path, scene.attacker.token) for method in itertools.cycle(("PUT", "DELETE")))


async def flood(scene: Scene) -> None:
    """Send messages of 76 KB as fast as the limits allow."""
    body = {"to": scene.stage.people[1].id, "body": LARGE_BODY.replace("x", "😀")}
    await scene.hammer(scene.repeat("POST", "/messages", body))


async def likes(scene: Scene) -> None:
    """Like a post and take it back without a pause."""
    post = await scene.call("POST", "/posts", {"body": "hello"})
    path = f"/api/v1/posts/{post['id']}/like"
    await scene.hammer(raw_request(method, path, scene.attacker.token) for method in itertools.cycle(("PUT", "DELETE")))


async def searches(scene: Scene) -> None:
    """Search messages and people for common words without a pause."""
    conversation = await scene.group(1)
    for number in range(100):
        words = " ".join(scene.random.choices(COMMON_WORDS, k=200))
        await scene.call("POST", "/messages", {"conversation": conversation, "body": f"{number} {words}"})
    paths = [f"/api/v1/{what}?q={word}" for word in COMMON_WORDS for what in ("search/messages", "users")]
    await scene.hammer(raw_request("GET", path, scene.attacker.token) for path in itertools.cycle(paths))


async def logins(scene: Scene) -> None:
    """Try passwords without a pause."""
    bodies = ({"login": f"person{number % 50}", "password": f"password {number}"} for number in itertools.count())
    await scene.hammer(raw_request("POST", "/api/v1/login", body=body) for body in bodies)


async def signups(scene: Scene) -> None:
    """Sign up without a pause."""
    names = (f"new{scene.random.randrange(10**9)}" for _ in itertools.count())
    bodies = ({"username": name, "email": f"{name}@example.org", "password": "correct horse 1"} for name in names)
    await scene.hammer(raw_request("POST", "/api/v1/signup", body=body) for body in bodies)


async def public_pages(scene: Scene) -> None:
    """Load the pages that need no account without a pause."""
    paths = ("/readyz", "/healthz", "/api/v1/openapi.json", "/nothing/here", "/")
    await scene.hammer(raw_request("GET", path) for path in itertools.cycle(paths))


async def states(scene: Scene) -> None:
    """Load the initial state and all lists without a pause."""
    await scene.group(AWAY_GROUP)
    paths = ("/state", "/conversations?limit=200", "/users?limit=200", "/notifications?limit=200", "/posts?limit=200")
    await scene.hammer(raw_request("GET", f"/api/v1{path}", scene.attacker.token) for path in itertools.cycle(paths))


async def connections(scene: Scene) -> None:
    """Open connections without a pause, send half a request over each, and keep them."""
    while True:
        for _ in range(20):
            scene.send_unread(b"POST /api/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n")
        for connection in scene.open_sockets[:-2_000]:
            connection.close()
        del scene.open_sockets[:-2_000]
        await asyncio.sleep(0.02)


WRITING = (
    Attack("large_group", "conversations of 10,000 members made one after the other", large_group, people=LARGE_GROUP + 1),
    Attack("away_group", "messages at the limit into a group of 3,000 who are away", away_group, people=AWAY_GROUP + 1),
    Attack("typing", "typing without a pause in a group of 3,000", typing, people=AWAY_GROUP + 1),
    Attack("membership", "a victim added and removed without a pause", membership, people=3),
    Attack("flood", "messages of 76 KB without a pause", flood),
    Attack("likes", "a like made and taken back without a pause", likes),
    Attack("searches", "common words searched without a pause", searches),
    Attack("logins", "passwords tried without a pause", logins),
    Attack("signups", "sign-ups without a pause", signups),
    Attack("public_pages", "public pages loaded without a pause", public_pages),
    Attack("states", "initial state and lists loaded without a pause", states, people=AWAY_GROUP + 1),
    Attack("connections", "up to 2,000 connections with half a request each", connections),
)
