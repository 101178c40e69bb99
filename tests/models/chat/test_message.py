"""Messages: send, edit, delete, react and search."""

import pytest

from models.chat import conversation, message, search, targets
from models.chat.message import Draft, Posted
from models.log import event
from models.store.database import engine, rows
from models.store.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError, RefusedError
from tests.models.people import group, index_messages, people, scalar, send

pytestmark = pytest.mark.usefixtures("store")


def test_a_retry_gets_the_first_message_also_after_edits_leaving_and_deletion() -> None:
    ana, ben = people("ana", "ben")
    crew = group(ben, ana)
    first = send(ana, "one", at=crew, client_id="x")

    def retry() -> Posted:
        with event.transaction() as tx:
            (result,) = message.post(tx, [Draft(ana, 0, "", to=ana, client_id="x")])
        assert isinstance(result, Posted)
        assert f'"id":{first},'.encode() in result.json
        assert not result.created
        return result

    retry()
    with event.transaction() as tx:
        message.edit(tx, ana, first, "two")
    assert b'"body":"two"' in retry().json
    with event.transaction() as tx:
        conversation.remove_member(tx, ana, crew, ana)
    retry()
    with event.transaction() as tx:
        message.delete(tx, ben, "admin", first)
    assert b'"body":""' in retry().json
    assert scalar("SELECT count(*) FROM messages") == 1
    assert send(ben, "one", at=crew, client_id="x") != first, "two senders may use the same client_id"


def test_equal_drafts_in_one_batch_are_one_message() -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        results = message.post(tx, [Draft(ana, 0, "hi", to=ben, client_id="x") for _ in range(3)])
    assert [result.created for result in results if isinstance(result, Posted)] == [True, False, False]
    assert scalar("SELECT count(*) FROM messages") == 1


@pytest.mark.parametrize(
    ("draft", "error"),
    [
        ({"body": "", "to": 2}, InvalidError),
        ({"body": "x" * 20_001, "to": 2}, InvalidError),
        ({"body": "hi"}, InvalidError),
        ({"body": "hi", "to": 2, "conversation": 1}, InvalidError),
        ({"body": "hi", "to": 1}, InvalidError),
        ({"body": "hi", "to": 99}, NotFoundError),
        ({"body": "hi", "conversation": 99}, NotFoundError),
        ({"body": "hi", "conversation": 1}, NotFoundError),
        ({"body": "hi", "to": 2, "priority": "high"}, InvalidError),
        ({"body": "hi", "to": 2, "reply_to": 1}, InvalidError),
    ],
)
def test_an_invalid_draft_is_refused_and_stores_nothing(draft: dict[str, object], error: type[RefusedError]) -> None:
    ana, ben, cy = people("ana", "ben", "cy")
    send(cy, at=group(ben, cy))
    with event.transaction() as tx:
        (result,) = message.post(tx, [Draft(ana, 0, **draft)])  # type: ignore[arg-type]
    assert type(result) is error
    assert scalar("SELECT count(*) FROM messages") == 1


def test_a_valid_text_is_returned_unchanged() -> None:
    ana, ben = people("ana", "ben")
    for text in (
        "a\u0000b",
        "\ufdd00\0\ufdd01\ufdd0",
        "👩‍👩‍👧 \U0010ffff",
        '"\\\n\u2028',
        "'; DROP TABLE messages; --",
        "x" * 20_000,
        "𝔘" * 20_000,
    ):
        assert message.get_view(ben, send(ana, text, to=ben)).body == text


def test_only_the_sender_edits_and_only_the_sender_or_an_admin_deletes() -> None:
    ana, ben, cy = people("ana", "ben", "cy")
    first = send(ana, to=ben)
    with event.transaction() as tx:
        for user, error in ((ben, ForbiddenError), (cy, NotFoundError)):
            with pytest.raises(error), tx.savepoint():
                message.edit(tx, user, first, "no")
            with pytest.raises(error), tx.savepoint():
                message.delete(tx, user, "user", first)
        message.delete(tx, cy, "admin", first)
        with pytest.raises(NotFoundError):
            message.edit(tx, ana, first, "again")
    assert [type_ for (type_,) in rows("SELECT type FROM events WHERE stream LIKE 'conversation:%' ORDER BY id")] == [
        "message.created",
        "message.deleted",
    ]


def test_deleting_removes_every_earlier_text_from_log_and_search_also_within_one_transaction() -> None:
    ana, ben = people("ana", "ben")
    with event.transaction() as tx:
        message.post(tx, [Draft(ana, 0, "secret one", to=ben)])
        message.edit(tx, ana, 1, "secret two")
        index_messages([1])
    with event.transaction() as tx:
        message.edit(tx, ana, 1, "secret three")
        index_messages([1])
        message.delete(tx, ana, "user", 1)
    stored = rows("SELECT data FROM events UNION ALL SELECT body FROM messages")
    stored += rows(f"SELECT {'body' if engine().name == 'sqlite' else 'words::text'} FROM message_search")
    assert stored
    assert not [text for (text,) in stored if "secret" in text]
    index_messages([1])
    assert search.find(ben, "secret", None, 10).ids == []


def test_a_repeated_reaction_counts_once_and_appends_one_event() -> None:
    ana, ben = people("ana", "ben")
    first = send(ana, to=ben)
    with event.transaction() as tx:
        for added in (True, True, False, False, True):
            message.react(tx, ben, first, "👍", added=added)
    assert message.get_view(ana, first).reactions == {"👍": [ben]}
    assert scalar("SELECT count(*) FROM events WHERE type='message.reacted'") == 3


def test_search_finds_only_messages_in_conversations_of_the_user() -> None:
    ana, ben, cy = people("ana", "ben", "cy")
    message_ids = [send(ana, "der Fluß", to=ben), send(ana, "der Fluss", to=cy)]
    index_messages(message_ids)
    assert search.find(ben, "DER flu", None, 10).ids == message_ids[:1]
    assert search.find(ana, "flu", None, 10).ids == message_ids[::-1]
    for operator in ('"', "* OR", "a AND (", "NEAR/", "col:x", "-"):
        assert search.find(ana, operator, None, 10).ids == []


def test_a_direct_conversation_cannot_be_left_extended_or_renamed() -> None:
    ana, ben, cy = people("ana", "ben", "cy")
    send(ana, to=ben)
    with event.transaction() as tx:
        for verb in (
            lambda: conversation.remove_member(tx, ana, 1, ana),
            lambda: conversation.add_member(tx, ana, 1, cy),
            lambda: conversation.rename(tx, ana, 1, "ours"),
        ):
            with pytest.raises(ConflictError):
                verb()
        assert targets.get_or_create_direct(tx, ben, ana) == (1, False)
