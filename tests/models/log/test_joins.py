"""The limit of joining, in conversations and groups alike."""

import pytest

from conf import Settings
from gateway.http.errors import problem_of
from models.chat import conversation as conversations
from models.community import group as groups
from models.log import event, joins
from models.store.database import execute
from models.store.errors import LimitedError
from tests.models.people import group, people


@pytest.mark.parametrize("kind", ["conversation", "group"])
def test_a_user_joins_only_so_often_a_day(store: Settings, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(joins, "MAX_JOINS_PER_DAY", 3)
    ana, ben = people("ana", "ben")
    crew = group(ana) if kind == "conversation" else None
    with event.transaction() as tx:
        club = groups.create(tx, ana, "Club").id

    def join(tx: event.Transaction) -> None:
        conversations.add_member(tx, ana, crew, ben) if crew else groups.join(tx, ben, club)

    def leave(tx: event.Transaction) -> None:
        conversations.remove_member(tx, ben, crew, ben) if crew else groups.leave(tx, ben, club)

    for _ in range(3):
        for change in (join, join, leave):
            with event.transaction() as tx:
                change(tx)
    with pytest.raises(LimitedError) as refused, event.transaction() as tx:
        join(tx)
    answer = problem_of(refused.value, 500)
    assert answer.status == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 24 * 3600
    with event.transaction() as tx:
        execute("UPDATE events SET at_ms=at_ms-?", (joins.DAY_MS,))
        join(tx)
