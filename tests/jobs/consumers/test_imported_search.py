import pytest

from conf import Settings
from jobs import tasks
from jobs.consumers.imported_search import ImportedSearchConsumer
from jobs.drain.drain import drain
from jobs.insight import origins
from models.chat import message as messages
from models.chat import search
from models.history import import_keys
from models.identity import external_id
from models.log import event
from models.store.database import rows
from models.store.errors import NotFoundError
from tests.jobs.killing import killed_at
from tests.jobs.people import people, scalar, send
from tests.models.importing import conversation, import_lines, message, user

COUNT = 120


def import_talk() -> int:
    """Import a conversation with messages, some of which say "fish"; return the first user."""
    lines = [message(f"m{n}", "c", "1", n // 10, "fish" if n % 10 == 0 else "words") for n in range(COUNT)]
    import_lines(user("1"), user("2"), conversation("c", "1", "2"), *lines)
    return external_id.find(["1"])["1"]


def test_imported_messages_are_found_and_nobody_hears_of_them(store: Settings) -> None:
    ana = import_talk()
    with event.transaction() as tx:
        messages.edit(tx, ana, 1, "a bird")
        messages.delete(tx, ana, "user", 11)
    before = scalar("SELECT count(*) FROM activities")
    for consumer in tasks.consumers.values():
        drain(consumer)
    assert search.find(ana, "fish", None, 50).ids == list(range(111, 11, -10))
    assert search.find(ana, "bird", None, 50).ids == [1]
    assert [rows(f"SELECT * FROM {table}") for table in ("notifications", "emails", "waiting_mail", "bursts")] == [[]] * 4
    assert scalar("SELECT count(*) FROM activities") == before == 0


@pytest.mark.parametrize("listed", [search.MAX_MESSAGES_LISTED, 0])
def test_days_are_those_of_the_messages_and_not_of_the_import(
    store: Settings, monkeypatch: pytest.MonkeyPatch, listed: int
) -> None:
    [first] = send(*people("ana"), to=people("ben")[0])
    ana = import_talk()
    [last] = send(ana, at=int(str(scalar("SELECT max(id) FROM conversations"))))
    for consumer in ("search", "imported_search"):
        drain(tasks.consumers[consumer])
    monkeypatch.setattr(search, "MAX_MESSAGES_LISTED", listed)
    assert first < last
    assert search.find(ana, "words after:2025-01-01", None, 200).ids == [last]
    assert len(search.find(ana, "fish before:2024-05-02", None, 200).ids) == COUNT // 10
    assert search.find(ana, "fish before:2024-05-01", None, 200).ids == []
    assert len(search.find(ana, "after:2024-05-01 before:2024-05-02", None, 200).ids) == COUNT


def test_a_kill_between_two_transactions_leaves_no_message_without_its_words(store: Settings) -> None:
    ana = import_talk()
    killed_at(store, "tasks.drain_log(tasks.consumers['imported_search'])", 2, "after")
    assert 0 < int(str(scalar("SELECT count(*) FROM message_search"))) < COUNT
    drain(ImportedSearchConsumer())
    assert scalar("SELECT count(*) FROM message_search") == COUNT
    assert len(search.find(ana, "fish", None, 50).ids) == COUNT // 10


def test_an_imported_message_has_no_event_that_explains_it(store: Settings) -> None:
    ana = import_talk()
    (number,) = import_keys.find("shop", import_keys.MESSAGE, ["m7"]).values()
    with pytest.raises(NotFoundError):
        origins.event_of_message(number)
    sent = send(ana, at=int(str(scalar("SELECT id FROM conversations"))))
    assert origins.event_of_message(sent[0]) == event.head()
