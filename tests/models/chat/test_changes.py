"""The changes of a conversation: only of the time in which the user was a member, and in bounded pages."""

import msgspec
import pytest

from conf import Settings
from models.chat import changes, conversation
from models.log import event, trimming
from models.log.event import Transaction
from models.store.errors import NotFoundError
from tests.models.people import group, people, send


def listed(user: int, crew: int, limit: int = 50) -> list[tuple[str, int | str, int]]:
    """Return (type, user or title, by) of all changes, newest first, read in pages."""
    found: list[tuple[str, int | str, int]] = []
    reached = None
    while True:
        page = changes.list_newest(user, crew, reached, limit)
        assert len(page.events) <= limit
        for each in page.events:
            data = msgspec.json.decode(each.data)
            found.append((each.type, data["user"]["id"] if "user" in data else data["title"], data["by"]["id"]))
        reached = page.reached
        if reached is None:
            return found


@pytest.mark.parametrize("max_scanned", [1, 4, changes.MAX_EVENTS_SCANNED])
def test_changes_are_those_of_the_own_memberships(store: Settings, max_scanned: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MAX_EVENTS_SCANNED", max_scanned)
    ana, ben, cy, dan = people("ana", "ben", "cy", "dan")
    crew = group(ana, ben)
    with event.transaction() as tx:
        conversation.rename(tx, ana, crew, "First")
        conversation.add_member(tx, ana, crew, cy)
        conversation.rename(tx, ana, crew, "Second")
        conversation.remove_member(tx, ana, crew, cy)
        conversation.add_member(tx, ana, crew, dan)
    send(ana, at=crew)
    with event.transaction() as tx:
        conversation.remove_member(tx, dan, crew, dan)
        conversation.add_member(tx, ana, crew, cy)
        conversation.rename(tx, ana, crew, "Third")
    send(ben, at=crew)
    first, second, third = (("conversation.updated", title, ana) for title in ("First", "Second", "Third"))
    came, left = ("member.joined", cy, ana), ("member.left", cy, ana)
    others = [("member.left", dan, dan), ("member.joined", dan, ana)]
    assert listed(ana, crew) == listed(ben, crew) == [third, came, *others, left, second, came, first]
    assert listed(cy, crew) == [third, came, left, second, came]
    assert (listed(ana, crew, 3), listed(cy, crew, 2)) == (listed(ana, crew), listed(cy, crew))
    with pytest.raises(NotFoundError):
        changes.list_newest(dan, crew, None, 50)
    with event.transaction() as tx:
        trimming.trim(tx, tx.now_ms + 1, newest(tx) - 3, 1_000)
    assert listed(ana, crew) == [third, came], "what is left of the log"


def newest(tx: Transaction) -> int:
    return tx.newest_id("events")
