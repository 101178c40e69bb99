"""Users, groups and messages for tests, created by the functions of the models."""

from collections.abc import Sequence

from models.accounts import registration
from models.accounts.registration import NewUser
from models.chat import conversation, message, search
from models.chat.message import Draft, Posted
from models.identity import token
from models.log import event
from models.notices import push_subscriptions
from models.store.database import rows


def people(*names: str, role: str = "user") -> list[int]:
    """Create active users and return their ids."""
    new = [NewUser(name, f"{name}@example.org", role=role) for name in names]
    with event.transaction() as tx:
        return [user.id for user in registration.create_active(tx, new, [None] * len(new))]


def credentials(*users: int) -> list[str]:
    """Create a token for each user and return the tokens."""
    with event.transaction() as tx:
        return [token.create(tx, user) for user in users]


def group(*members: int, title: str = "Crew") -> int:
    """Create a group that the first member owns, and return its id."""
    with event.transaction() as tx:
        return conversation.create(tx, members[0], members[1:], title)


def send(
    sender: int,
    body: str = "words",
    *,
    to: int | None = None,
    at: int | None = None,
    client_id: str | None = None,
    files: Sequence[int] | None = None,
) -> int:
    """Send a message to a user (`to`) or into a conversation (`at`); return its id. Raise the RefusedError of a refused send."""
    with event.transaction() as tx:
        (posted,) = message.post(tx, [Draft(sender, 0, body, to=to, conversation=at, client_id=client_id, files=files)])
    if not isinstance(posted, Posted):
        raise posted
    return int(rows("SELECT max(id) FROM messages")[0][0])


def index_messages(ids: Sequence[int]) -> int:
    """Index messages as the drain does; return how many were indexed."""
    return sum(search.index(batch) for batch in search.batches(ids))


def scalar(sql: str, *params: object) -> object:
    """Return the single value of a query."""
    return rows(sql, params)[0][0]


P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"  # of RFC 8291, section 5
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"


def subscribe(user: int, address: str = "https://push.example.org/1", p256dh: str = P256DH, auth: str = AUTH) -> None:
    """Subscribe a browser of a user to pushes, in a session of its own."""
    with event.transaction() as tx:
        (session,) = rows("SELECT id FROM tokens WHERE hash=?", (token.digest(token.create(tx, user, is_session=True)),))[0]
        push_subscriptions.put(tx, user, session, push_subscriptions.endpoint_of(address, p256dh, auth), "a browser")
