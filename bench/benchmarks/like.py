"""The time of a like beside that of a message: each over one connection, alternately, on one server."""

import itertools
from collections.abc import Sequence

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale, round_of
from bench.load.client import Client, raw_request, spread
from bench.load.loops import Tally, closed_loop
from bench.load.people import Person, create_people
from bench.load.targets import USERS, Chat, numbers
from bench.servers.bellwire import bellwire

ALTERNATION = 100  # sends, then as many likes, so that both meet the same load of the machine


class Likes:
    """A target whose sends are likes, each of a post without likes; a send's number is the index of its post."""

    created = 200

    def __init__(self, port: int, people: Sequence[Person], posts: Sequence[int]) -> None:
        self.port, self.users, self._people, self._posts = port, len(people), people, posts

    def send(self, user: int, number: int) -> bytes:
        """Return a like."""
        liker = self._people[number % self.users]
        return raw_request("PUT", f"/api/v1/posts/{self._posts[number]}/like", liker.token)


async def _create_posts(port: int, people: Sequence[Person], count: int) -> list[int]:
    """Create public posts; return their ids. The person after the liker of a post is its author."""
    posts = [0] * count

    async def create(client: Client, number: int) -> None:
        author = people[(number + 1) % len(people)]
        body = {"body": f"the view from hill {number} is worth it"}
        posts[number] = int((await client.call("POST", "/api/v1/posts", author.token, body))["id"])

    await spread(port, range(count), create)
    return posts


async def like(scale: Scale) -> Round:
    """Send and like alternately; the first sends and likes warm up."""
    alternations = scale.count(30, 4)
    sends, likes, sent, liked = Tally(), Tally(), numbers(), itertools.count()
    with bellwire() as server:
        people = create_people(server, USERS)
        posts = await _create_posts(server.port, people, ALTERNATION * (alternations + 1))
        chat, liking = Chat(server.port, people), Likes(server.port, people, posts)
        for index in range(alternations + 1):
            messages = await closed_loop(chat, 1, sent, count=ALTERNATION)
            reactions = await closed_loop(liking, 1, liked, count=ALTERNATION)
            if index:
                sends.add(messages)
                likes.add(reactions)
    figures = {
        "p50": Figure(likes.percentile_ms(0.5), sends.percentile_ms(0.5)),
        "p99": Figure(likes.percentile_ms(0.99), sends.percentile_ms(0.99)),
    }
    return round_of(figures, [sends, likes], [])


LIKE = Benchmark(
    "like",
    {
        "p50": Line("like p50, 1 connection; floor: a send", "ms", Bound(1.3), Bound(1.1)),
        "p99": Line("the same, p99", "ms"),
    },
    like,
)
