"""Users and access tokens for the loads, written to the server's store by a process of its own.

The admin API issues one token a call, and the default limits allow an admin 100 calls a second. `python -m bench.load.people COUNT
NAME ROLE ISSUES_TOKENS` creates the users and prints their ids and tokens as JSON.
"""

import sys
from typing import NamedTuple

import msgspec

from bench.servers.bellwire import Bellwire

USERS_PER_TRANSACTION = 1000


class Person(NamedTuple):
    """A user's id and access token; the token is empty when none was issued."""

    id: int
    token: str


def create_people(server: Bellwire, count: int, name: str = "person", *, role: str = "user", tokens: bool = True) -> list[Person]:
    """Create `count` active users called NAME0, NAME1, … and return them in that order."""
    arguments = (str(count), name, role, "yes" if tokens else "no")
    return msgspec.json.decode(server.run("-m", "bench.load.people", *arguments), type=list[Person])


def _created(count: int, name: str, role: str, *, tokens: bool) -> list[Person]:
    """Create the users in the store that the environment names."""
    from models.accounts import registration
    from models.accounts.registration import NewUser
    from models.identity import token
    from models.log import event

    people: list[Person] = []
    for start in range(0, count, USERS_PER_TRANSACTION):
        names = [f"{name}{number}" for number in range(start, min(count, start + USERS_PER_TRANSACTION))]
        users = [NewUser(each, f"{each}@example.org", role=role) for each in names]
        with event.transaction() as tx:
            views = registration.create_active(tx, users, [None] * len(users))
            people += [Person(view.id, token.create(tx, view.id) if tokens else "") for view in views]
    return people


if __name__ == "__main__":
    from commands import opening

    with opening.store(opening.settings()):
        created = _created(int(sys.argv[1]), sys.argv[2], sys.argv[3], tokens=sys.argv[4] == "yes")
    sys.stdout.buffer.write(msgspec.json.encode(created))
