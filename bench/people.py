"""Making people, admins and their tokens through the admin API."""

from typing import NamedTuple

from bench.client import Client, spread

USERS_A_CALL = 1000  # the contract's bound


class Person(NamedTuple):
    """A user's id and a token of theirs (empty when none was asked for)."""

    id: int
    token: str


async def make_people(
    client: Client, admin_token: str, count: int, tag: str, role: str = "user", tokens: bool = True
) -> list[Person]:
    """Make `count` active users named TAG0, TAG1, … and return them in that order."""
    ids: list[int] = []
    for start in range(0, count, USERS_A_CALL):
        names = [f"{tag}{number}" for number in range(start, min(count, start + USERS_A_CALL))]
        users = [{"username": name, "email": f"{name}@example.org", "role": role} for name in names]
        made = await client.call("POST", "/api/v1/admin/users", admin_token, {"users": users})
        ids += [user["id"] for user in made["items"]]
    if not tokens:
        return [Person(user, "") for user in ids]
    return await _with_tokens(client, admin_token, ids)


async def _with_tokens(client: Client, admin_token: str, ids: list[int]) -> list[Person]:
    """Issue a token for each id."""
    issued: dict[int, str] = {}

    async def issue(own: Client, user: int) -> None:
        answer = await own.call("POST", f"/api/v1/admin/users/{user}/tokens", admin_token, {})
        issued[user] = answer["token"]

    await spread(client, ids, issue)
    return [Person(user, issued[user]) for user in ids]
