"""Mentions: the names in a text, and the members whom they name."""

import string
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conf import Settings
from models.accounts import status
from models.chat import conversation, message
from models.chat.mentions import ALL, MAX_NAMES, names
from models.chat.message import Draft, Posted
from models.log import event
from models.store.database import rows
from tests.models.chat.test_views import statements
from tests.models.people import group, people, send

NAME_CHARS = string.ascii_letters + string.digits + "._-"
HOSTILE = ["@" * 20_000, "@ab " * 5_000, "@a" * 10_000, "@" + "a" * 19_999, "@" + "." * 19_999, "@é" * 10_000, "@ab-" * 5_000]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello @bob", ["bob"]),
        ("@Bob, @ANA: hi", ["bob", "ana"]),
        ("ask @bob. Or @ana-", ["bob", "ana"]),
        ("(@bob) @bob's «@ana» thanks.@cy", ["bob", "ana", "cy"]),
        ("@maria-jose_2 and @a.b.c...", ["maria-jose_2", "a.b.c"]),
        ("bob@example.com, a@b.c", []),
        ("@bob@example.com https://example.com/@bob @@bob", []),
        ("@b @ bob @-bob @_bob @", []),
        ("@josé @jose\u0301 é@bob", []),
        ("你好@bob你好", ["bob"]),
        ("@" + "a" * 32 + "... @" + "a" * 33, ["a" * 32]),
        ("@all", ["all"]),
    ],
)
def test_a_name_stands_after_an_at_sign_and_ends_before_a_sentences_dot(text: str, expected: list[str]) -> None:
    assert names(text) == expected


def model_of_names(text: str) -> list[str]:
    """The same, character by character, for texts of ASCII and é."""
    found: list[str] = []
    for start in (n for n, char in enumerate(text) if char == "@"):
        name = ""
        for char in text[start + 1 :]:
            if char not in NAME_CHARS:
                break
            name += char
        before, after = text[start - 1 : start] if start else "", text[start + 1 + len(name) :][:1]
        while name.endswith((".", "-")):
            name = name[:-1]
        is_apart = before not in (*string.ascii_letters, *string.digits, "_", "@", "/", "é") and after not in ("@", "é")
        if is_apart and 2 <= len(name) <= 32 and name[0] not in "._-" and name.lower() not in found:
            found.append(name.lower())
    return found[:MAX_NAMES]


@given(st.text(st.sampled_from("@@@aB1._- ,/é"), max_size=60))
def test_random_texts_have_the_names_of_a_simple_model(text: str) -> None:
    assert names(text) == model_of_names(text)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:4])
def test_a_hostile_text_takes_no_longer_than_its_length(text: str) -> None:
    began = time.process_time()
    for _ in range(20):
        assert len(names(text)) <= 1
    assert time.process_time() - began < 5  # 20 of them; with backtracking, one takes longer


def test_only_the_first_names_of_a_message_count() -> None:
    assert names(" ".join(f"@user{n}" for n in range(3_000))) == [f"user{n}" for n in range(MAX_NAMES)]


def mentioned(number: int) -> tuple[list[int], bool, list[int]]:
    """The mentions of a message as it is read, and the users of its rows."""
    (view,) = message.views([number])
    return (
        view.mentions,
        view.mentions_all,
        [user for (user,) in rows("SELECT user_id FROM mentions WHERE message=? ORDER BY 1", (number,))],
    )


def test_members_are_mentioned_and_nobody_else(store: Settings) -> None:
    ana, ben, cleo, dan, eve = people("ana", "ben", "Cleo", "dan", "all")
    admin, *_ = people("admin", role="admin")
    crew = group(ana, ben, cleo, dan, eve)
    assert mentioned(send(ben, "@CLEO @ana, @admin and @nobody", at=crew)) == ([ana, cleo], False, [ana, cleo])
    assert mentioned(send(ana, "@all, mind @ana", at=crew)) == ([ana], True, [ALL, ana])
    assert mentioned(send(ben, "@all: I own nothing", at=crew)) == ([], False, [])
    assert mentioned(send(ana, "@all @ben", to=ben)) == ([ben], False, [ben])
    with event.transaction() as tx:
        status.suspend(tx, [cleo], admin)
        conversation.remove_member(tx, ana, crew, dan)
    assert mentioned(send(ben, "@cleo @dan", at=crew)) == ([], False, [])


def test_the_first_message_to_a_person_may_name_them(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    assert mentioned(send(ana, "@ben, we have not met", to=ben)) == ([ben], False, [ben])


def test_a_retry_is_answered_with_the_mentions_of_the_first_message(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    first = send(ana, "@ben", to=ben, client_id="x")
    with event.transaction() as tx:
        (posted,) = message.post(tx, [Draft(ana, 0, "@ana", to=ben, client_id="x")])
    assert isinstance(posted, Posted)
    assert (msgspec.json.decode(posted.json)["mentions"], rows("SELECT user_id, message FROM mentions")) == ([ben], [(ben, first)])


def test_a_message_of_the_version_before_mentions_nobody(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    number = send(ana, "hi", to=ben)
    assert rows("SELECT mentions, mentions_all FROM messages WHERE id=?", (number,)) == [(None, None)]
    assert mentioned(number) == ([], False, [])


def last_event() -> dict[str, Any]:
    ((data,),) = rows("SELECT data FROM events ORDER BY id DESC LIMIT 1")
    return msgspec.json.decode(data)  # type: ignore[no-any-return]


def test_an_edit_finds_the_mentions_anew_and_its_event_has_the_new_ones(store: Settings) -> None:
    ana, ben, cleo = people("ana", "ben", "cleo")
    crew = group(ana, ben, cleo)
    number = send(ana, "@ben", at=crew)
    with event.transaction() as tx:
        assert message.edit(tx, ana, number, "@ben and @cleo, @all").mentions == [ben, cleo]
    assert mentioned(number) == ([ben, cleo], True, [ALL, ben, cleo])
    edited = last_event()
    assert (edited["mentions"], edited["mentions_all"]) == ([ben, cleo], True)
    assert (edited["mentions_added"], edited["mentions_all_added"]) == ([cleo], True)
    with event.transaction() as tx:
        message.edit(tx, ana, number, "@cleo, @all")
    edited = last_event()
    assert (edited["mentions"], edited["mentions_added"], edited["mentions_all_added"]) == ([cleo], [], False)
    assert mentioned(number) == ([cleo], True, [ALL, cleo])


def test_a_deleted_message_mentions_nobody(store: Settings) -> None:
    ana, ben = people("ana", "ben")
    number = send(ana, "@ben", to=ben)
    with event.transaction() as tx:
        message.delete(tx, ana, "user", number)
    assert mentioned(number) == ([], False, [])
    (data,) = [data for (data,) in rows("SELECT data FROM events WHERE type='message.created'")]
    assert msgspec.json.decode(data)["mentions"] == []


def test_a_batch_finds_its_mentions_by_a_fixed_number_of_statements(store: Settings) -> None:
    ana, ben, *_ = people("ana", "ben", *(f"user{n}" for n in range(30)))
    crew, others = group(ana, ben), group(ben, ana)

    def post(bodies: list[str]) -> int:
        drafts = [Draft(ana, 0, body, conversation=(crew, others)[n % 2]) for n, body in enumerate(bodies)]
        with event.transaction() as tx:
            return statements(lambda: message.post(tx, drafts))

    plain = post(["hello", "a@b.c"])
    assert post(["hello", "a@b.c"] * 20) == plain, "names are looked up only if there are some"
    few = post(["@ben @all", "hello"])
    assert few == plain + 3, "the members, the owners, and the rows"
    assert post(["@ben @all", "@ana"] * 20) == few
    assert post([" ".join(f"@user{n}{k}" for k in range(60)) for n in range(100)]) == plain + 1
