"""The host sends 10,000 users, a thousand a call: all new, all as they are, and all with another name."""

from time import perf_counter
from typing import Any

from bench.benchmark import Benchmark, Bound, Figure, Line, Round, Scale
from bench.load.client import Client
from bench.servers.bellwire import Bellwire, bellwire

USERS, FEW_USERS, USERS_PER_CALL = 10_000, 2_000, 1_000
ROUTE = "/api/v1/admin/users/upsert"
ALL_NEW_S = 3.0


def _users(start: int, name: str) -> list[dict[str, Any]]:
    numbers = range(start, start + USERS_PER_CALL)
    return [{"external_id": f"shop/{n}", "display_name": f"{name} {n}", "email": f"p{n}@example.org"} for n in numbers]


async def _upsert_all(server: Bellwire, count: int, name: str, outcome: str) -> tuple[float, int]:
    """Upsert the users. Return the seconds, and how many had another outcome."""
    client, other = Client(server.port), 0
    start = perf_counter()
    for first in range(0, count, USERS_PER_CALL):
        answer = await client.call("POST", ROUTE, server.admin_token, {"users": _users(first, name)})
        other += USERS_PER_CALL - answer[outcome]
    seconds = perf_counter() - start
    client.close()
    return seconds, other


async def upsert(scale: Scale) -> Round:
    """Upsert the same users three times."""
    count = scale.count(USERS, FEW_USERS)
    with bellwire() as server:
        new_s, others = await _upsert_all(server, count, "Person", "created")
        same_s, others_again = await _upsert_all(server, count, "Person", "unchanged")
        renamed_s, others_renamed = await _upsert_all(server, count, "Customer", "changed")
    figures = {"new": Figure(new_s), "same": Figure(same_s), "renamed": Figure(renamed_s)}
    failed = others + others_again + others_renamed
    return Round(figures, failed, "a user had another outcome" if failed else "", [f"{count} users"])


UPSERTS = Benchmark(
    "upsert",
    {
        "new": Line(f"upsert of {USERS} new users, {USERS_PER_CALL} a call", "s", Bound(ALL_NEW_S, "measured")),
        "same": Line("the same again: nothing changes", "s"),
        "renamed": Line("each with another display name", "s"),
    },
    upsert,
)
