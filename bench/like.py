"""How long a like takes beside a message: each of one connection, one after another, on one server."""

import itertools
from collections.abc import Sequence

from bench.client import Client, raw_request
from bench.figures import Benchmark, Bound, Line, Outcome, Scale
from bench.load import Tally, closed_loop
from bench.people import Person, make_people
from bench.server import bellwire
from bench.targets import Chat, numbers

A_TURN = 100  # sends, then as many likes, so that both meet whatever else the machine does


class Likes:
    """Somebody likes posts that nobody has liked before, in a send's place."""

    created = 200

    def __init__(self, port: int, liker: Person, posts: Sequence[int]) -> None:
        """Name the port, who likes, and the posts; the number of a send is the place of its post."""
        self.port, self._liker, self._posts = port, liker, posts

    def send(self, user: int, number: int) -> bytes:
        """Return a like."""
        return raw_request("PUT", f"/api/v1/posts/{self._posts[number]}/like", self._liker.token)


async def _posts(client: Client, author: Person, count: int) -> list[int]:
    """Make public posts; return their ids."""
    found = []
    for number in range(count):
        made = await client.call("POST", "/api/v1/posts", author.token, {"body": f"the view from hill {number} is worth it"})
        found.append(int(made["id"]))
    return found


async def like(scale: Scale) -> Outcome:
    """Sends and likes in turns, after a turn of each to warm up."""
    turns = scale.count(30, 4)
    with bellwire() as server:
        client = Client(server.port)
        people = await make_people(client, server.admin_token, 2, "person")
        chat, likes = (
            Chat(server.port, people),
            Likes(server.port, people[0], await _posts(client, people[1], A_TURN * (turns + 1))),
        )
        client.close()
        sent, liked, places = numbers(), Tally(), itertools.count()
        sends = Tally()
        for turn in range(turns + 1):
            one, other = await closed_loop(chat, 1, sent, count=A_TURN), await closed_loop(likes, 1, places, count=A_TURN)
            if turn:
                sends.add(one)
                liked.add(other)
    return Outcome(
        {
            "p50": (liked.percentile_ms(0.5), sends.percentile_ms(0.5)),
            "p99": (liked.percentile_ms(0.99), sends.percentile_ms(0.99)),
        },
        sends.failed + liked.failed,
        sends.first_failure or liked.first_failure,
    )


LIKE = Benchmark(
    "like",
    {
        "p50": Line("like p50, 1 connection; floor: a send", "ms", Bound(1.3), Bound(1.1)),
        "p99": Line("the same, p99", "ms"),
    },
    like,
)
