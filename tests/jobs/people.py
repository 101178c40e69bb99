"""People, groups and messages for the tests of background work."""

from models.accounts import registration
from models.accounts.registration import NewUser
from models.chat import conversation
from models.chat.message import Draft, Posted, post
from models.log import event
from models.store.database import rows


def people(*names: str, role: str = "user") -> list[int]:
    """Create active users; returns their ids."""
    new = [NewUser(name, f"{name}@example.org", display_name=name.capitalize(), role=role) for name in names]
    with event.transaction() as tx:
        return [made.id for made in registration.create_active(tx, new, [None] * len(new))]


def group(owner: int, members: list[int], title: str = "Crew") -> int:
    """Create a group conversation; returns its id."""
    with event.transaction() as tx:
        return conversation.create(tx, owner, members, title)


def send(
    sender: int, count: int = 1, *, to: int | None = None, at: int | None = None, priority: str = "normal", body: str = "words"
) -> list[int]:
    """Send messages to a user or to a conversation (`at`), in one transaction; returns their ids."""
    drafts = [Draft(sender, 0, f"{body} {n}", to=to, conversation=at, priority=priority) for n in range(count)]
    with event.transaction() as tx:
        sent = post(tx, drafts)
    assert all(isinstance(outcome, Posted) for outcome in sent)
    newest = rows("SELECT max(id) FROM messages")[0][0]
    return list(range(newest - count + 1, newest + 1))


def scalar(sql: str, *params: object) -> object:
    """The single value of a query."""
    return rows(sql, params)[0][0]
