import asyncio
from types import SimpleNamespace

import pytest

from gateway.api.messages import History
from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway


def test_the_answer_to_a_send_is_the_message_that_all_members_see(ana: Client, ben: Client) -> None:
    sent = ana.send("  Hello, 世界 👩‍👩‍👧\u0000\n ", to=ben, priority="urgent", client_id="c1")

    assert sent == {
        "id": sent["id"],
        "conversation": sent["conversation"],
        "sender": ana.id,
        "body": "  Hello, 世界 👩‍👩‍👧\u0000\n ",
        "priority": "urgent",
        "reply_to": None,
        "client_id": "c1",
        "created_at": sent["created_at"],
        "edited_at": None,
        "deleted_at": None,
        "reactions": {},
        "mentions": [],
        "mentions_all": False,
        "files": [],
    }
    assert len(sent["created_at"]) == len("2026-11-21T09:30:00.123Z")
    assert ben.get(f"/messages/{sent['id']}").json() == sent


@pytest.mark.parametrize("body", ["x", " ", "x" * 20_000, "👩" * 20_000])
def test_a_body_has_1_to_20000_characters(ana: Client, ben: Client, body: str) -> None:
    assert ana.send(body, to=ben)["body"] == body


@pytest.mark.parametrize("body", ["", "x" * 20_001])
def test_a_shorter_or_longer_body_is_refused(ana: Client, ben: Client, body: str) -> None:
    sent = ana.send("there", to=ben)

    assert fields(ana.post("/messages", {"to": ben.id, "body": body})) == ["body"]
    assert fields(ana.patch(f"/messages/{sent['id']}", {"body": body})) == ["body"]
    assert ana.get(f"/messages/{sent['id']}").json() == sent


def test_a_message_goes_to_a_user_or_to_a_conversation(ana: Client, ben: Client) -> None:
    conversation = ana.send("hi", to=ben)["conversation"]

    assert fields(ana.post("/messages", {"body": "x"})) == ["to"]
    assert fields(ana.post("/messages", {"body": "x", "to": ben.id, "conversation": conversation})) == ["to"]
    assert fields(ana.post("/messages", {"body": "x", "to": ana.id})) == ["to"]
    assert fields(ana.post("/messages", {"to": ben.id})) == ["body"]
    assert ana.send("x", at=conversation)["conversation"] == conversation
    problem(ana.post("/messages", {"body": "x", "to": 10**15}), 404, "not-found")
    problem(ana.post("/messages", {"body": "x", "conversation": 10**15}), 404, "not-found")


@pytest.mark.parametrize(("field", "value"), [("priority", "high"), ("priority", ""), ("client_id", ""), ("client_id", "x" * 65)])
def test_an_invalid_value_is_named(ana: Client, ben: Client, field: str, value: str) -> None:
    assert fields(ana.post("/messages", {"to": ben.id, "body": "x", field: value})) == [field]


def test_a_message_without_a_priority_is_normal(ana: Client, ben: Client) -> None:
    assert ana.send("x", to=ben)["priority"] == "normal"
    assert ana.send("x", to=ben, priority="important")["priority"] == "important"


def test_a_reply_is_to_a_message_of_the_same_conversation(ana: Client, ben: Client, cleo: Client) -> None:
    here, there = ana.send("here", to=ben), ana.send("there", to=cleo)

    assert ben.send("yes", to=ana, reply_to=here["id"])["reply_to"] == here["id"]
    assert fields(ana.post("/messages", {"to": ben.id, "body": "x", "reply_to": there["id"]})) == ["reply_to"]
    assert fields(ana.post("/messages", {"to": ben.id, "body": "x", "reply_to": 10**15})) == ["reply_to"]


def test_a_retry_with_the_same_client_id_makes_no_second_message(ana: Client, ben: Client) -> None:
    sent = ana.send("once", to=ben, client_id="retry")
    cursor = ben.now()

    retry = ana.post("/messages", {"to": ben.id, "body": "once", "client_id": "retry"})
    assert (retry.status_code, retry.json()) == (200, sent)
    assert ben.events(cursor) == []
    assert len(ben.get(f"/conversations/{sent['conversation']}/messages").json()["items"]) == 1


@pytest.mark.parametrize(
    "rest",
    [
        {"body": "something else"},
        {"body": ""},
        {"body": "x" * 20_001},
        {"priority": "unheard of"},
        {"reply_to": 10**15},
        {"reply_to": 2**63},
        {"to": 10**15},
        {"to": -1},
        {"to": 2**64},
        {"to": None},
        {"conversation": 10**15},
        {"conversation": 0},
    ],
    ids=str,
)
def test_a_retry_gets_the_first_message_also_with_other_or_invalid_fields(
    ana: Client, ben: Client, rest: dict[str, object]
) -> None:
    sent = ana.send("once", to=ben, client_id="same")

    retry = ana.post("/messages", {"to": ben.id, "body": "once", "client_id": "same", **rest})
    assert (retry.status_code, retry.json()) == (200, sent)


def test_a_retry_without_body_or_recipient_gets_the_first_message(ana: Client, ben: Client) -> None:
    sent = ana.send("once", to=ben, client_id="bare")

    retry = ana.post("/messages", {"client_id": "bare"})
    assert (retry.status_code, retry.json()) == (200, sent)


def test_two_senders_may_use_the_same_client_id(ana: Client, ben: Client) -> None:
    assert ana.send("mine", to=ben, client_id="shared")["id"] != ben.send("mine", to=ana, client_id="shared")["id"]


def test_a_retry_after_an_edit_a_deletion_or_leaving_makes_no_second_message(ana: Client, ben: Client) -> None:
    group = ana.group(ben)
    sent = ben.send("first", at=group, client_id="long ago")
    body = {"conversation": group, "body": "first", "client_id": "long ago"}

    ben.patch(f"/messages/{sent['id']}", {"body": "edited"})
    answer = ben.post("/messages", body)
    assert (answer.status_code, answer.json()["id"], answer.json()["body"]) == (200, sent["id"], "edited")

    ben.delete(f"/messages/{sent['id']}")
    answer = ben.post("/messages", body)
    assert (answer.status_code, answer.json()["id"], answer.json()["body"]) == (200, sent["id"], "")

    ben.delete(f"/conversations/{group}/members/{ben.id}")
    answer = ben.post("/messages", body)
    assert (answer.status_code, answer.json()["id"]) == (200, sent["id"])


def test_many_retries_at_once_make_one_message(gateway: Gateway, ana: Client, ben: Client) -> None:
    body = {"to": ben.id, "body": "once", "client_id": "race"}
    answers = [f.result() for f in [gateway.later(ana.post, "/messages", body) for _ in range(20)]]

    assert sorted(a.status_code for a in answers) == [200] * 19 + [201]
    assert len({a.json()["id"] for a in answers}) == 1


def test_a_client_id_may_be_used_again_after_a_refused_send(ana: Client, ben: Client) -> None:
    assert fields(ana.post("/messages", {"to": ben.id, "body": "", "client_id": "free"})) == ["body"]

    assert ana.send("now", to=ben, client_id="free")["body"] == "now"


def test_many_senders_at_once_each_get_their_own_message(gateway: Gateway) -> None:
    people = gateway.users(8)
    group = people[0].group(*people[1:])
    cursor = people[0].now()

    calls = [(p, f"{p.name} says {n}") for n in range(10) for p in people]
    sent = [f.result() for f in [gateway.later(p.send, text, at=group) for p, text in calls]]
    assert [(m["sender"], m["body"]) for m in sent] == [(p.id, text) for p, text in calls]
    events = people[0].events(cursor)
    assert sorted(e["data"]["id"] for e in events) == sorted(m["id"] for m in sent)
    assert [e["data"]["id"] for e in events] == sorted(e["data"]["id"] for e in events)


def test_only_the_sender_edits_a_message(ana: Client, ben: Client, admin: Client) -> None:
    sent = ana.send("helo", to=ben)
    cursor = ben.now()

    problem(ben.patch(f"/messages/{sent['id']}", {"body": "mine"}), 403, "forbidden")
    problem(admin.patch(f"/messages/{sent['id']}", {"body": "mine"}), 404, "not-found")
    edited = ana.patch(f"/messages/{sent['id']}", {"body": "hello"}).json()
    assert {**edited, "edited_at": None, "body": "helo"} == sent
    assert edited["edited_at"] >= sent["created_at"]
    (event,) = ben.events(cursor)
    assert (event["type"], event["data"]) == ("message.updated", edited | {"mentions_added": [], "mentions_all_added": False})


def test_the_sender_or_an_admin_deletes_a_message(ana: Client, ben: Client, admin: Client) -> None:
    first, second = ana.send("one", to=ben), ana.send("two", to=ben)
    cursor = ben.now()

    problem(ben.delete(f"/messages/{first['id']}"), 403, "forbidden")
    assert ana.delete(f"/messages/{first['id']}").status_code == 204
    assert admin.delete(f"/messages/{second['id']}").status_code == 204
    assert ana.delete(f"/messages/{first['id']}").status_code == 204
    events = ben.events(cursor)
    assert [e["type"] for e in events] == ["message.deleted"] * 2
    deleted = ben.get(f"/messages/{first['id']}").json()
    assert events[0]["data"] == deleted
    assert {**deleted, "deleted_at": None, "body": "one"} == first
    assert deleted["deleted_at"] is not None
    problem(ana.patch(f"/messages/{first['id']}", {"body": "back"}), 404, "not-found")
    assert ben.conversation(first["conversation"])["last_message"]["body"] == ""


def test_a_deletion_removes_the_text_from_the_store_and_from_every_answer(gateway: Gateway, ana: Client, ben: Client) -> None:
    kept = ana.send("kept words", to=ben)
    sent = ana.send("vanishing xylophone", to=ben)
    ana.patch(f"/messages/{sent['id']}", {"body": "vanishing xylophones"})
    poll = ben.polling(ben.now())
    gateway.waiting(1)

    ana.delete(f"/messages/{sent['id']}")

    assert "xylophone" not in poll.result().text
    words = "body" if gateway.kind == "sqlite" else "words::text"
    for table, column in (("events", "data"), ("messages", "body"), ("message_search", words), ("notifications", "body")):
        assert gateway.rows(f"SELECT * FROM {table} WHERE {column} LIKE '%xylophone%'") == []
    for _ in range(2):
        assert "xylophone" not in ben.get("/events", cursor="begin", timeout=0).text
        assert "xylophone" not in ben.get("/state").text
        assert "xylophone" not in ben.get(f"/conversations/{sent['conversation']}/messages").text
        assert "xylophone" not in ben.get("/conversations").text
        events = [e for e in ben.events("begin") if e["type"].startswith("message.")]
        assert [e["type"] for e in events] == ["message.created", "message.created", "message.updated", "message.deleted"]
        assert events[0]["data"] == kept
        assert [e["data"]["body"] for e in events[1:]] == ["", "", ""]
        assert [e["data"]["deleted_at"] is None for e in events[1:]] == [False, False, False]
        gateway.restart()


def test_a_repeated_reaction_counts_once_and_appends_one_event(ana: Client, ben: Client) -> None:
    sent = ana.send("nice?", to=ben)
    cursor = ana.now()

    for emoji in ("👍", "👩‍👩‍👧", "🫨", "%41", "a/b"):
        path = f"/messages/{sent['id']}/reactions/" + "".join(f"%{b:02X}" for b in emoji.encode())
        for _ in range(2):
            assert ben.put(path).status_code == 204
        assert ana.put(path).status_code == 204
        assert ana.get(f"/messages/{sent['id']}").json()["reactions"] == {emoji: [ana.id, ben.id]}
        for _ in range(2):
            assert ben.delete(path).status_code == 204
        assert ana.delete(path).status_code == 204
        events = ana.events(cursor)
        assert [(e["type"], e["data"]["user"], e["data"]["added"]) for e in events] == [
            ("message.reacted", ben.id, True),
            ("message.reacted", ana.id, True),
            ("message.reacted", ben.id, False),
            ("message.reacted", ana.id, False),
        ]
        assert {e["data"]["emoji"] for e in events} == {emoji}
        assert events[0]["data"].items() >= {"message": sent["id"], "conversation": sent["conversation"]}.items()
        cursor = events[-1]["id"]
    assert ana.get(f"/messages/{sent['id']}").json()["reactions"] == {}


def test_of_many_reactions_at_once_fifty_different_ones_are_added(gateway: Gateway, ana: Client, ben: Client) -> None:
    path = f"/messages/{ana.send('nice?', to=ben)['id']}"
    adding = [gateway.later((ana, ben)[n % 2].put, f"{path}/reactions/e{n}") for n in range(56)]
    refused = [answer for answer in (each.result() for each in adding) if answer.status_code != 204]
    assert [fields(answer) for answer in refused] == [["emoji"]] * 6
    assert "50 different" in refused[0].json()["errors"][0]["message"]
    present = list(ana.get(path).json()["reactions"])
    assert len(present) == 50
    assert ana.delete(f"{path}/reactions/{present[0]}").status_code == 204
    assert "at most 50" in str(
        gateway.anonymous().get("/openapi.json").json()["paths"]["/api/v1/messages/{message}/reactions/{emoji}"]
    )


@pytest.mark.parametrize("emoji", ["%20", "x" * 33, "%0A", "a%20b", "%E2%80%8D", "%E2%80%AE", "%E3%85%A4"])
def test_an_invalid_reaction_is_named(ana: Client, ben: Client, emoji: str) -> None:
    sent = ana.send("nice?", to=ben)

    assert fields(ben.put(f"/messages/{sent['id']}/reactions/{emoji}")) == ["emoji"]


def test_a_reaction_that_is_not_utf_8_is_400(ana: Client, ben: Client) -> None:
    sent = ana.send("nice?", to=ben)

    problem(ben.put(f"/messages/{sent['id']}/reactions/%FF"), 400, "malformed")


def test_a_reaction_to_a_deleted_message_is_404(ana: Client, ben: Client) -> None:
    sent = ana.send("nice?", to=ben)
    ana.delete(f"/messages/{sent['id']}")

    problem(ben.put(f"/messages/{sent['id']}/reactions/x"), 404, "not-found")


def test_history_is_listed_newest_first_in_pages(ana: Client, ben: Client) -> None:
    sent = [ana.send(str(n), to=ben) for n in range(5)]
    path = f"/conversations/{sent[0]['conversation']}/messages"

    seen, page = [], {}
    for _ in range(3):
        answer = ben.get(path, limit=2, **page).json()
        seen += answer["items"]
        page = {"page": answer["next"]}
    assert seen == sent[::-1]
    assert answer["next"] is None
    assert ben.get(path, limit=5).json()["next"] is None


@pytest.mark.parametrize(
    ("limit", "indexes"), [(1, [4]), (2, [5, 4]), (3, [5, 4, 3]), (4, [6, 5, 4, 3]), (50, [*range(8, -1, -1)])]
)
def test_history_around_a_message_has_it_in_the_middle(ana: Client, ben: Client, limit: int, indexes: list[int]) -> None:
    sent = [ana.send(str(n), to=ben) for n in range(9)]
    path = f"/conversations/{sent[0]['conversation']}/messages"

    answer = ben.get(path, around=sent[4]["id"], limit=limit).json()
    assert [sent.index(m) for m in answer["items"]] == indexes
    if answer["next"] is not None:
        older = ben.get(path, page=answer["next"]).json()["items"]
        assert [sent.index(m) for m in older] == [*range(indexes[-1] - 1, -1, -1)]


def test_history_around_the_newest_or_the_oldest_message_has_no_gap(ana: Client, ben: Client) -> None:
    sent = [ana.send(str(n), to=ben) for n in range(4)]
    path = f"/conversations/{sent[0]['conversation']}/messages"

    assert ben.get(path, around=sent[3]["id"], limit=4).json()["items"] == sent[::-1]
    assert sent[0] in ben.get(path, around=sent[0]["id"], limit=3).json()["items"]
    assert fields(ben.get(path, around="x")) == ["around"]
    assert fields(ben.get(path, around=0)) == ["around"]


def test_a_nul_is_allowed_in_bodies_and_in_no_other_field(ana: Client, ben: Client) -> None:
    sent = ana.send("a\0b\ufdd0", to=ben)
    assert sent["body"] == ben.get(f"/messages/{sent['id']}").json()["body"] == "a\0b\ufdd0"
    assert ana.patch(f"/messages/{sent['id']}", {"body": "\0"}).json()["body"] == "\0"
    assert fields(ana.post("/messages", {"to": ben.id, "body": "hi", "client_id": "a\0b"})) == ["client_id"]
    assert fields(ana.post("/conversations", {"members": [ben.id], "title": "a\0b"})) == ["title"]
    assert ana.get("/search/messages", q="a\0b").status_code == ana.get("/users", q="\0").status_code == 200
    assert fields(ana.post("/login", {"login": "a\0", "password": "b"})) == ["login"]


@pytest.mark.only("sqlite")
@pytest.mark.parametrize(("body", "counts"), [("x", [21, 201]), ("x" * 19_000, [21, 56]), ("x" * 76_000, [21])])
def test_as_many_messages_around_one_are_read_as_fit_an_answer(body: str, counts: list[int]) -> None:
    read: list[int] = []

    async def fetch(_: object, count: int) -> list[str]:
        read.append(count)
        return [body] * count

    history = History.__new__(History)
    history.actor = SimpleNamespace(user=1)  # type: ignore[assignment]
    history.read = fetch  # type: ignore[assignment,method-assign]
    fetched, count = asyncio.run(history._read_around(1, None, 100, 200))
    assert (read, len(fetched)) == (counts, count + 1)
