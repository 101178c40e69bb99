"""Claims within one transaction: of two drafts that name a file one gets it, and what is undone claims nothing."""

from contextlib import suppress

import pytest

from conf import Settings
from models.chat import message
from models.chat.message import Draft, Posted
from models.community import post
from models.files import claims
from models.files.file import PENDING
from models.log import event
from models.log.event import Transaction
from models.store.database import rows
from models.store.errors import InvalidError
from tests.models.people import people
from tests.models.stored_files import store_file


def posted(tx: Transaction, *drafts: Draft) -> list[bool]:
    """Whether each draft became a message; the others are refused for their files."""
    results = message.post(tx, drafts)
    refused = [result for result in results if not isinstance(result, Posted)]
    assert all(isinstance(r, InvalidError) and list(r.errors) == [(claims.FIELD, claims.RULE)] for r in refused)
    return [isinstance(result, Posted) for result in results]


def owners() -> list[tuple[int, int | None, int | None]]:
    """Each file with the message and the post that has it."""
    return [
        (number, in_message, in_post) for number, in_message, in_post in rows("SELECT id, message, post FROM files ORDER BY id")
    ]


def test_of_drafts_of_one_batch_the_first_gets_a_file(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    first, second = store_file(None, ana), store_file(None, ana)
    with event.transaction() as tx:
        drafts = [Draft(ana, 0, "", to=ben, files=files) for files in ([first], [second, first], [second])]
        assert posted(tx, *drafts, Draft(ben, 0, "", to=ana, files=[second])) == [True, False, True, False]
    assert owners() == [(first, 1, None), (second, 2, None)]


def test_a_retry_in_the_same_batch_claims_nothing(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    first, second = store_file(None, ana), store_file(None, ana)
    with event.transaction() as tx:
        sent = [Draft(ana, 0, "", to=ben, client_id="once", files=files) for files in ([first], [second])]
        a, b = message.post(tx, sent)
        assert isinstance(a, Posted)
        assert isinstance(b, Posted)
        assert (a.created, b.created, a.json) == (True, False, b.json)
    assert owners() == [(first, 1, None), (second, None, None)]


def test_what_is_undone_gives_its_files_back(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    number = store_file(None, ana)
    with event.transaction() as tx:
        with suppress(ZeroDivisionError), tx.savepoint():
            assert posted(tx, Draft(ana, 0, "", to=ben, files=[number])) == [True]
            raise ZeroDivisionError
        with tx.savepoint():
            created = post.create(tx, ana, None, "", [number])
        with pytest.raises(InvalidError), tx.savepoint():
            post.create(tx, ana, None, "", [number])
        assert posted(tx, Draft(ana, 0, "", to=ben, files=[number])) == [False]
    assert owners() == [(number, None, created.id)]


def test_a_pending_picture_is_due_when_it_is_sent(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    numbers = [
        store_file(None, ana, name="a.png", type_="image/png", state=PENDING),
        store_file(None, ana),
        store_file(None, ana, state=PENDING),
    ]
    with event.transaction() as tx:
        assert posted(tx, Draft(ana, 0, "", to=ben, files=numbers)) == [True]
        now_ms = tx.now_ms
    assert rows("SELECT id, position, next_ms FROM files ORDER BY id") == [
        (numbers[0], 0, now_ms),
        (numbers[1], 1, None),
        (numbers[2], 2, now_ms),
    ]
    assert rows("SELECT files FROM messages") == [(3,)]


def test_drafts_without_files_read_and_write_none(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, ben = people("ana", "ben")
    with monkeypatch.context() as patch, event.transaction() as tx:
        for name in ("rows", "execute"):
            patch.setattr(claims, name, lambda *args: 1 // 0)
        assert posted(tx, Draft(ana, 0, "words", to=ben), Draft(ben, 0, "words", to=ana)) == [True, True]
        wrong = Draft(ana, 0, "", to=ben, files=[2**70, *range(1, 100_000)])
        assert posted(tx, wrong) == [False]
