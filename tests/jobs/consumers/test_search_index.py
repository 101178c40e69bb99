import pytest

from conf import Settings
from jobs.consumers.search_index import SearchIndexConsumer
from jobs.drain.drain import drain
from models.chat import message, search, search_tokens
from models.log import event
from models.store.database import db
from tests.jobs.people import people, send


def test_messages_are_found_by_their_current_text_and_deleted_ones_not(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    kept, edited, deleted = send(ana, 3, to=ben)
    with event.transaction() as tx:
        message.edit(tx, ana, edited, "tulips")
        message.delete(tx, ana, "user", deleted)
    drain(SearchIndexConsumer())
    assert search.find(ben, "words", None, 10).ids == [kept]
    assert search.find(ben, "tulips", None, 10).ids == [edited]


def test_a_later_edit_replaces_the_indexed_text(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    [sent] = send(ana, 1, to=ben)
    drain(SearchIndexConsumer())
    with event.transaction() as tx:
        message.edit(tx, ana, sent, "tulips")
    drain(SearchIndexConsumer())
    assert search.find(ben, "words", None, 10).ids == []
    assert search.find(ben, "tulips", None, 10).ids == [sent]


def test_words_are_found_outside_any_transaction(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    sent = send(ana, 3, to=ben)
    inside = []

    def split(text: str) -> list[str]:
        inside.append(db.in_transaction())
        return text.split()

    monkeypatch.setattr(search_tokens, "split", split)
    drain(SearchIndexConsumer())
    assert inside == [False] * len(sent)
