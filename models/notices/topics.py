"""Topics: what users follow in the host's product, such as an order or a project. A membership is an interval of the log, so that
the place of a notification alone decides who receives it."""

from __future__ import annotations

import peewee

from models.identity.user import VIEW_COLUMNS, User, UserView
from models.log.event import Transaction, head
from models.notices.host_notices import HostNotice
from models.store.database import Base, fetch_rows
from models.store.errors import NotFoundError

MAX_TOPIC_CHARS = 128


class TopicMember(Base):
    """A membership: the user receives the notifications with from_event <= their event < to_event."""

    id = peewee.BigAutoField()
    topic = peewee.CharField(max_length=MAX_TOPIC_CHARS)
    user = peewee.ForeignKeyField(User, index=False, on_delete="CASCADE")
    from_event = peewee.BigIntegerField()
    to_event = peewee.BigIntegerField(null=True)

    class Meta:
        table_name = "topic_members"
        indexes = ((("topic", "user"), False), (("user", "topic"), False))


OPEN = TopicMember.to_event.is_null()
TopicMember.add_index(  # at most one open interval for each member
    TopicMember.index(
        TopicMember.topic, TopicMember.user, unique=True, where=peewee.SQL("to_event IS NULL"), name="topic_member_open"
    )
)
TopicMember.add_index(TopicMember.index(TopicMember.to_event, where=peewee.SQL("to_event IS NOT NULL"), name="topic_member_closed"))


def join(tx: Transaction, topic: str, user: int) -> None:
    """Make a user a member from the next event on; one who is a member stays it. Raises NotFoundError for an unknown user."""
    _require_user(user)
    if not TopicMember.select().where(TopicMember.topic == topic, TopicMember.user == user, OPEN).exists():
        TopicMember.insert(topic=topic, user=user, from_event=tx.next_event_id()).as_rowcount().execute()


def leave(tx: Transaction, topic: str, user: int) -> None:
    """End a user's membership with the next event, if there is one. Raises NotFoundError for an unknown user."""
    _require_user(user)
    of_user = (TopicMember.topic == topic) & (TopicMember.user == user)
    TopicMember.update(to_event=tx.next_event_id()).where(of_user, OPEN).execute()


def _require_user(user: int) -> None:
    if not User.select().where(User.id == user, User.status.not_in(("pending", "deleted"))).exists():
        raise NotFoundError


def members(topic: str, after: int | None, limit: int) -> list[UserView]:
    """Return the present members, by id, after one of them."""
    query = TopicMember.select(*VIEW_COLUMNS).join(User).where(TopicMember.topic == topic, OPEN, TopicMember.user > (after or 0))
    return [UserView(*row) for row in fetch_rows(query.order_by(TopicMember.user).limit(limit))]


def trim(tx: Transaction, limit: int) -> int:
    """Delete memberships that ended before every notification that is not delivered yet, and at most `limit`; returns how many."""
    first = HostNotice.select(peewee.fn.MIN(HostNotice.event)).where(HostNotice.ended_ms.is_null()).scalar()
    end = head() + 1 if first is None else first
    ended = TopicMember.select(TopicMember.id).where(TopicMember.to_event <= end).order_by(TopicMember.to_event).limit(limit)
    return int(TopicMember.delete().where(TopicMember.id.in_(ended)).execute())
