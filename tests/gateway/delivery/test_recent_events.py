"""The newest events in memory: deleted texts leave them, by the id of what was deleted."""

import msgspec
import pytest

from gateway.delivery.recent_events import RecentEvents
from models.log.event import Event


def recent(*events: Event) -> RecentEvents:
    found = RecentEvents(0)
    for event in events:
        found.append(event)
    return found


def event(number: int, stream: str, kind: str, **data: object) -> Event:
    return Event(number, stream, kind, 0, msgspec.json.encode(data))


@pytest.mark.parametrize("before", [{}, {"added": "a field of a later version", "of": {"id": 1}}])
@pytest.mark.parametrize(
    ("stream", "created", "deleted"),
    [
        ("conversation:7", "message.created", "message.deleted"),
        ("conversation:7", "message.updated", "message.deleted"),
        ("posts", "post.created", "post.deleted"),
        ("posts", "comment.created", "comment.deleted"),
    ],
)
def test_a_deleted_text_is_found_by_its_id_wherever_the_field_is(
    stream: str, created: str, deleted: str, before: dict[str, object]
) -> None:
    texts = [event(n, stream, created, **before, id=n, post=1, body="secret") for n in (1, 12, 2)]
    memory = recent(*texts)
    memory.erase_text(event(4, stream, deleted, **before, id=1, post=1))
    assert [b"secret" in text.data for text in memory.after(0)] == [False, True, True]


def test_the_comments_of_a_deleted_post_lose_their_texts() -> None:
    comments = [event(n, "posts", "comment.created", added=1, id=n, post=n % 2, body="secret") for n in (1, 2, 3)]
    memory = recent(*comments)
    memory.erase_text(event(4, "posts", "post.deleted", added=1, id=1))
    assert [b"secret" in comment.data for comment in memory.after(0)] == [False, True, False]
