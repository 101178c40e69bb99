import json

import pytest

from tests.gateway.client import Client, fields, problem
from tests.gateway.running import Gateway


def roles(member: Client, conversation: int) -> dict[int, str]:
    return {m["user"]["id"]: m["role"] for m in member.conversation(conversation)["members"]}


def test_two_users_have_one_direct_conversation_whichever_of_them_creates_it(ana: Client, ben: Client) -> None:
    created = ana.post("/conversations", {"members": [ben.id]})
    again = ben.post("/conversations", {"members": [ana.id, ben.id]})
    sent = ana.send("hi", to=ben)

    assert (created.status_code, again.status_code) == (201, 200)
    assert created.json()["id"] == again.json()["id"] == sent["conversation"]
    assert created.json()["kind"] == "direct"
    assert created.json()["title"] is None
    assert [m["user"]["id"] for m in created.json()["members"]] == [ana.id, ben.id]
    assert created.json()["last_message"] is None
    assert created.json()["unread"] == 0
    assert "members_count" not in created.json()
    assert created.json()["presence"] == {str(ben.id): False}


def test_a_first_message_creates_the_direct_conversation_and_both_get_its_events(ana: Client, ben: Client) -> None:
    before = {user: user.now() for user in (ana, ben)}
    sent = ana.send("hi", to=ben)

    for user, cursor in before.items():
        first, second = user.events(cursor)
        assert (first["type"], second["type"]) == ("conversation.created", "message.created")
        assert first["data"]["id"] == sent["conversation"]
        assert second["data"] == sent


def test_two_members_with_a_title_are_a_new_group_each_time(ana: Client, ben: Client) -> None:
    assert ana.group(ben, title="Two") != ana.group(ben, title="Two")


def test_a_group_has_its_creator_as_owner_and_each_member_once(ana: Client, ben: Client, cleo: Client) -> None:
    cursor = cleo.now()
    created = ana.post("/conversations", {"members": [ben.id, cleo.id, ben.id, ana.id]}).json()

    assert created["kind"] == "group"
    assert created["title"] is None
    assert [(m["user"]["id"], m["role"], m["read"]) for m in created["members"]] == [
        (ana.id, "owner", None),
        (ben.id, "member", None),
        (cleo.id, "member", None),
    ]
    (event,) = cleo.events(cursor)
    assert event["type"] == "conversation.created"
    assert event["data"]["id"] == created["id"]
    assert [m["user"]["id"] for m in event["data"]["members"]] == [ana.id, ben.id, cleo.id]


@pytest.mark.parametrize("members", [[], [0], [-1], [2**53], [2**63], [10**15], "x", [None], ["1"], None])
def test_invalid_members_are_named(ana: Client, ben: Client, members: object) -> None:
    if isinstance(members, list) and members:
        members = [ben.id, *members]
    (field,) = fields(ana.post("/conversations", {"members": members}))

    assert field.partition(".")[0] == "members"


def test_a_conversation_needs_another_active_user(gateway: Gateway, ana: Client, ben: Client) -> None:
    gateway.execute("UPDATE users SET status='suspended' WHERE id=?", ben.id)

    assert fields(ana.post("/conversations", {"members": [ana.id]})) == ["members"]
    assert fields(ana.post("/conversations", {"members": [ben.id]})) == ["members"]
    problem(ana.post("/messages", {"to": ben.id, "body": "hi"}), 404, "not-found")


@pytest.mark.parametrize("title", ["", "  ", "x" * 121, "two\nlines", "tab\there", "turn\u202earound", 5, "\u200d"])
def test_an_invalid_title_is_named(ana: Client, ben: Client, title: object) -> None:
    group = ana.group(ben)

    assert fields(ana.post("/conversations", {"members": [ben.id], "title": title})) == ["title"]
    assert fields(ana.patch(f"/conversations/{group}", {"title": title})) == ["title"]


@pytest.mark.parametrize("title", ["x" * 120, "👩‍👩‍👧 family", "<b>&\"'", "日本"])
def test_a_valid_title_is_stored_unchanged(ana: Client, ben: Client, title: str) -> None:
    assert ana.conversation(ana.group(ben, title=title))["title"] == title


def test_an_owner_renames_a_group_and_all_members_get_the_event(ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben, cleo)
    cursor = ben.now()

    assert ana.patch(f"/conversations/{group}", {"title": "Other"}).json()["title"] == "Other"
    (event,) = ben.events(cursor)
    by = ana.get(f"/users/{ana.id}").json()
    assert (event["type"], event["data"]) == ("conversation.updated", {"id": group, "title": "Other", "by": by})
    problem(ben.patch(f"/conversations/{group}", {"title": "Mine"}), 403, "forbidden")
    assert ben.conversation(group)["title"] == "Other"


def test_title_and_members_of_a_direct_conversation_cannot_change(ana: Client, ben: Client, cleo: Client) -> None:
    direct = ana.send("hi", to=ben)["conversation"]

    problem(ana.patch(f"/conversations/{direct}", {"title": "x"}), 409, "conflict")
    problem(ana.put(f"/conversations/{direct}/members/{cleo.id}"), 409, "conflict")
    problem(ana.delete(f"/conversations/{direct}/members/{ana.id}"), 409, "conflict")
    problem(ana.delete(f"/conversations/{direct}/members/{ben.id}"), 409, "conflict")


def test_only_owners_add_and_remove_members(ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben)

    problem(ben.put(f"/conversations/{group}/members/{cleo.id}"), 403, "forbidden")
    problem(ben.delete(f"/conversations/{group}/members/{ana.id}"), 403, "forbidden")
    assert ana.put(f"/conversations/{group}/members/{cleo.id}").status_code == 204
    assert ana.put(f"/conversations/{group}/members/{cleo.id}").status_code == 204
    assert roles(cleo, group) == {ana.id: "owner", ben.id: "member", cleo.id: "member"}
    assert ana.delete(f"/conversations/{group}/members/{cleo.id}").status_code == 204
    problem(ana.delete(f"/conversations/{group}/members/{cleo.id}"), 404, "not-a-member")
    problem(ana.put(f"/conversations/{group}/members/{10**15}"), 404, "not-found")
    problem(cleo.get(f"/conversations/{group}"), 404, "not-found")
    assert group not in [c["id"] for c in cleo.get("/conversations").json()["items"]]


def test_adding_a_member_again_appends_no_event(ana: Client, ben: Client) -> None:
    group = ana.group(ben)
    cursor = ben.now()

    ana.put(f"/conversations/{group}/members/{ben.id}")
    assert ben.events(cursor) == []


def test_when_the_last_owner_leaves_the_oldest_member_becomes_owner(ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(cleo)
    ana.put(f"/conversations/{group}/members/{ben.id}")

    assert ana.delete(f"/conversations/{group}/members/{ana.id}").status_code == 204
    assert roles(ben, group) == {cleo.id: "owner", ben.id: "member"}
    assert cleo.put(f"/conversations/{group}/members/{ana.id}").status_code == 204
    assert roles(ana, group)[ana.id] == "member"
    assert cleo.delete(f"/conversations/{group}/members/{cleo.id}").status_code == 204
    assert roles(ana, group) == {ben.id: "owner", ana.id: "member"}


def test_a_group_may_lose_its_last_member(ana: Client, ben: Client) -> None:
    group = ana.group(ben)

    assert ben.delete(f"/conversations/{group}/members/{ben.id}").status_code == 204
    assert ana.delete(f"/conversations/{group}/members/{ana.id}").status_code == 204
    problem(ana.get(f"/conversations/{group}"), 404, "not-found")
    problem(ana.post("/messages", {"conversation": group, "body": "anyone?"}), 404, "not-found")


def test_members_who_are_added_together_receive_the_event_once_and_what_follows(gateway: Gateway) -> None:
    people = gateway.users(23)
    waiting, later = people[20].polling(people[20].now(), timeout=60), people[21].now()
    group = people[0].group(*people[1:22])
    sent = people[0].send("hello", at=group)["id"]
    (created,) = waiting.result().json()["events"]
    assert (created["type"], created["data"]["id"], len(created["data"]["members"])) == ("conversation.created", group, 22)
    for cursor in (later, "begin"):
        events = people[21].get("/events", cursor=cursor).json()["events"]
        assert [(e["type"], e["data"]["id"]) for e in events[-2:]] == [("conversation.created", group), ("message.created", sent)]
        assert [e["type"] for e in events].count("conversation.created") == 1
    assert people[22].get("/events", cursor="begin", timeout=0).json()["events"] == []


def test_a_large_group_with_somebody_who_does_not_exist_is_refused(ana: Client, ben: Client) -> None:
    refused = ana.post("/conversations", {"members": [ben.id, *range(10**6, 10**6 + 300)], "title": "Crowd"})
    assert problem(refused, 422, "invalid")["errors"][0]["field"] == "members"
    assert ana.get("/conversations").json()["items"] == []


def test_a_group_of_more_than_fifty_shows_the_first_fifty_members_and_a_count(gateway: Gateway) -> None:
    people = gateway.users(52)
    group = people[0].group(*people[1:51])

    view = people[50].conversation(group)
    assert view["members_count"] == 51
    assert [m["user"]["id"] for m in view["members"]] == [p.id for p in people[:50]]

    people[0].delete(f"/conversations/{group}/members/{people[3].id}")
    view = people[50].conversation(group)
    assert "members_count" not in view
    assert [m["user"]["id"] for m in view["members"]] == [p.id for p in people[:51] if p is not people[3]]


def test_members_are_listed_in_pages_and_found_by_name_and_id(gateway: Gateway) -> None:
    crowd = gateway.users(4)
    ana, ben, cleo, stranger = crowd
    crew = ana.group(ben, cleo)
    path = f"/conversations/{crew}/members"

    def listed(**query: object) -> list[int]:
        return [member["user"]["id"] for member in ben.get(path, **query).json()["items"]]

    first = ben.get(path, limit=2).json()
    assert first["items"][0] == {"user": first["items"][0]["user"], "role": "owner", "read": None}
    assert [member["user"]["id"] for member in first["items"]] == [ana.id, ben.id]
    assert listed(limit=2, page=first["next"]) == [cleo.id]
    assert listed(q=f"@{cleo.name.upper()}") == [cleo.id]
    assert listed(ids=f"{ben.id},{stranger.id},{cleo.id}") == [ben.id, cleo.id]
    assert fields(ben.get(path, ids="1,x")) == ["ids"]
    ana.delete(f"{path}/{cleo.id}")
    assert listed() == [ana.id, ben.id]
    problem(stranger.get(path), 404, "not-found")


def test_conversations_are_listed_newest_activity_first_in_pages(ana: Client, ben: Client, cleo: Client) -> None:
    groups = [ana.group(ben, title=f"Group {n}") for n in range(3)]
    direct = cleo.send("hi", to=ana)["conversation"]
    sent = ben.send("wake up", at=groups[0])
    expected = [groups[0], direct, groups[2], groups[1]]

    listed = ana.get("/conversations").json()
    assert [c["id"] for c in listed["items"]] == expected
    assert listed["next"] is None
    assert listed["items"][0]["last_message"] == sent
    assert listed["items"][0]["unread"] == 1

    seen, page = [], {}
    for _ in range(2):
        answer = ana.get("/conversations", limit=2, **page).json()
        seen += [c["id"] for c in answer["items"]]
        page = {"page": answer["next"]}
    assert seen == expected
    assert answer["next"] is None


@pytest.mark.parametrize("page", ["x", "1", "1.", ".1", "².1", "1.²", "1.2.3", "-1.2", "9" * 40 + ".1", ""])
def test_an_invalid_page_cursor_is_refused(ana: Client, page: str) -> None:
    assert fields(ana.get("/conversations", page=page)) == ["page"]


def test_typing_is_delivered_at_once_to_the_other_members_and_ends_their_polls(
    gateway: Gateway, ana: Client, ben: Client, cleo: Client
) -> None:
    group = ana.group(ben, cleo)
    cursors = {user: user.now() for user in (ana, ben)}
    ben_polls, ana_polls = ben.polling(cursors[ben]), ana.polling(cursors[ana], timeout=1)
    gateway.waiting(2)

    assert ana.post(f"/conversations/{group}/typing", {"typing": True}).status_code == 204
    events = [e for e in ben_polls.result().json()["events"] if e["type"] != "presence"]
    assert [(e["id"], e["type"], e["data"]) for e in events] == [
        (None, "typing", {"conversation": group, "user": ana.id, "typing": True})
    ]
    assert events[0]["at"].endswith("Z")
    assert "typing" not in [e["type"] for e in ana_polls.result().json()["events"]]
    assert ben.poll(cursors[ben])["events"] == []
    assert cleo.poll("begin")["events"][-1]["type"] == "conversation.created"


def test_typing_is_not_shown_in_a_large_conversation(gateway: Gateway, ana: Client, ben: Client) -> None:
    large = ana.group(ben, *gateway.users(49))
    poll = ben.polling(ben.now(), timeout=60, types="typing,message.created")
    gateway.waiting(1)
    assert ana.post(f"/conversations/{large}/typing", {"typing": True}).status_code == 204
    ana.send("hi", conversation=large)
    assert [e["type"] for e in poll.result().json()["events"]] == ["message.created"]


@pytest.mark.parametrize("body", [{}, {"typing": 1}, {"typing": "true"}, {"typing": None}])
def test_typing_is_true_or_false(ana: Client, ben: Client, body: dict[str, object]) -> None:
    group = ana.group(ben)

    assert fields(ana.post(f"/conversations/{group}/typing", body)) == ["typing"]


def test_a_user_who_left_cannot_send_typing(ana: Client, ben: Client) -> None:
    group = ana.group(ben)
    ben.poll("begin")
    ben.delete(f"/conversations/{group}/members/{ben.id}")

    problem(ben.post(f"/conversations/{group}/typing", {"typing": True}), 404, "not-found")


def test_a_read_mark_moves_forward_and_never_back(ana: Client, ben: Client) -> None:
    sent = [ana.send(f"{n}", to=ben) for n in range(3)]
    conversation = sent[0]["conversation"]

    def read(message: int) -> int:
        answer = ben.post(f"/conversations/{conversation}/read", {"message": message})
        assert answer.status_code == 200
        return int(answer.json()["unread"])

    assert ben.conversation(conversation)["unread"] == 3
    cursor = ana.now()
    assert read(sent[1]["id"]) == 1
    assert read(sent[0]["id"]) == 1
    assert read(sent[1]["id"]) == 1
    assert ben.conversation(conversation)["unread"] == 1
    marks = {m["user"]["id"]: m["read"] for m in ana.conversation(conversation)["members"]}
    assert marks == {ana.id: None, ben.id: sent[1]["id"]}
    (event,) = ana.events(cursor)
    assert event["type"] == "read.updated"
    assert event["data"].items() >= {"conversation": conversation, "user": ben.id, "message": sent[1]["id"]}.items()

    assert read(sent[2]["id"]) == 0
    assert ben.conversation(conversation)["unread"] == 0


def test_a_message_is_marked_as_unread_for_the_user_alone(ana: Client, ben: Client) -> None:
    sent = [ana.send(f"{n}", to=ben) for n in range(3)]
    conversation = sent[0]["conversation"]
    path = f"/conversations/{conversation}/read"
    ben.post(path, {"message": sent[2]["id"]})
    start = {user: user.now() for user in (ana, ben)}

    assert ben.post(path, {"message": sent[1]["id"], "unread": True}).json() == {"unread": 2}
    data = {"conversation": conversation, "user": ben.id, "message": sent[0]["id"], "unread": 2, "mentions_unread": 0}
    assert [(event["type"], event["data"]) for event in ben.events(start[ben])] == [("read.updated", data)]
    assert ana.events(start[ana]) == []
    assert ben.conversation(conversation)["unread"] == 2
    for reader, mark in ((ana, sent[2]["id"]), (ben, sent[0]["id"])):
        listed = reader.get(f"/conversations/{conversation}/members").json()["items"]
        assert reader.conversation(conversation)["members"] == listed
        assert {m["user"]["id"]: m["read"] for m in listed} == {ana.id: None, ben.id: mark}
    ben.post(path, {"message": sent[0]["id"], "unread": True})
    assert [m["read"] for m in ben.get(f"/conversations/{conversation}/members").json()["items"]] == [None, None]
    assert fields(ben.post(path, {"message": sent[2]["id"] + 1, "unread": True})) == ["message"]


def test_own_conversations_are_found_by_title_and_partner(ana: Client, ben: Client, cleo: Client) -> None:
    crew = ana.group(ben, title="Zaubernüsse")
    direct = ana.send("hi", to=cleo)["conversation"]

    def found(q: str) -> list[int]:
        return [item["id"] for item in ana.get("/conversations", q=q).json()["items"]]

    assert found("zaubernusse") == [crew]
    assert found(f"@{cleo.name}") == [direct]
    assert found(" ") == [direct, crew]
    assert fields(ana.get("/conversations", q="x" * 1001)) == ["q"]


def test_own_and_deleted_messages_are_not_unread(ana: Client, ben: Client) -> None:
    first, second = ana.send("one", to=ben), ana.send("two", to=ben)
    ben.send("mine", to=ana)

    assert ben.conversation(first["conversation"])["unread"] == 2
    ana.delete(f"/messages/{second['id']}")
    assert ben.conversation(first["conversation"])["unread"] == 1
    assert ana.conversation(first["conversation"])["unread"] == 1


@pytest.mark.parametrize("message", [0, -1, 2**53, 2**63, "1", None])
def test_a_read_mark_must_be_a_message_of_the_conversation(ana: Client, ben: Client, cleo: Client, message: object) -> None:
    conversation = ana.send("here", to=ben)["conversation"]
    in_another = ana.send("there", to=cleo)["id"]

    assert fields(ben.post(f"/conversations/{conversation}/read", {"message": message})) == ["message"]
    assert fields(ben.post(f"/conversations/{conversation}/read", {"message": in_another})) == ["message"]


def test_in_a_large_conversation_only_the_reader_gets_the_read_event(gateway: Gateway) -> None:
    people = gateway.users(51)
    group = people[0].group(*people[1:])
    sent = people[0].send("hello all", at=group)
    cursors = [p.now() for p in people[:3]]

    people[1].post(f"/conversations/{group}/read", {"message": sent["id"]})
    assert [p.event_types(c) for p, c in zip(people[:3], cursors, strict=True)] == [[], ["read.updated"], []]
    assert people[1].conversation(group)["read"] == sent["id"]
    assert "read" not in people[2].conversation(group)
    assert "presence" not in people[1].conversation(group)


def test_a_new_member_has_nothing_unread_and_sees_the_whole_history(ana: Client, ben: Client, cleo: Client) -> None:
    group = ana.group(ben)
    old = ana.send("before", at=group)
    ana.put(f"/conversations/{group}/members/{cleo.id}")

    assert cleo.conversation(group)["unread"] == 0
    assert cleo.get(f"/conversations/{group}/messages").json()["items"] == [old]


def test_an_event_of_a_created_conversation_contains_no_message_text(
    gateway: Gateway, ana: Client, ben: Client, cleo: Client
) -> None:
    group = ana.group(ben)
    ana.send("not for the announcement", at=group)
    ana.put(f"/conversations/{group}/members/{cleo.id}")

    (data,) = gateway.rows("SELECT data FROM events WHERE stream=? AND type='conversation.created'", f"user:{cleo.id}")[0]
    assert json.loads(data)["last_message"] is None


def test_a_member_sets_their_level_and_only_their_devices_are_told(ana: Client, ben: Client, cleo: Client) -> None:
    crew = ana.group(ben)
    before = {user: user.now() for user in (ana, ben)}
    answer = ben.put(f"/conversations/{crew}/level", {"level": "none", "until": "2100-01-01T02:00:00+02:00"})
    assert (answer.status_code, answer.json()) == (200, {"level": "none", "until": "2100-01-01T00:00:00.000Z"})
    (event,) = ben.events(before[ben])
    assert (event["type"], event["data"]) == ("level.updated", {"conversation": crew, **answer.json()})
    assert ana.events(before[ana]) == []
    seen = ben.conversation(crew)
    assert (seen["level"], seen["level_until"], seen["mentions_unread"]) == ("none", "2100-01-01T00:00:00.000Z", 0)
    assert ben.put(f"/conversations/{crew}/level", {"level": None}).json() == {"level": "all", "until": None}
    assert "level_until" not in ben.conversation(crew)
    problem(cleo.put(f"/conversations/{crew}/level", {"level": "all"}), 404, "not-found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "level"),
        ({"level": "loud"}, "level"),
        ({"level": "none", "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"level": "none", "until": "tomorrow"}, "until"),
        ({"level": "none", "until": "9999-12-31T23:59:59-10:00"}, "until"),
        ({"level": "none", "until": 5}, "until"),
        ({"level": None, "until": "2100-01-01T00:00:00Z"}, "until"),
    ],
)
def test_a_level_must_be_one_of_three_and_end_in_the_future(ana: Client, ben: Client, body: object, field: str) -> None:
    assert fields(ana.put(f"/conversations/{ana.group(ben)}/level", body)) == [field]


def test_a_wrong_level_is_answered_with_those_that_there_are(ana: Client, ben: Client) -> None:
    answer = ana.put(f"/conversations/{ana.group(ben)}/level", {"level": "loud"})
    assert answer.json()["errors"] == [{"field": "level", "message": "must be one of all, mentions, none"}]


def test_the_state_counts_unread_mentions_and_leaves_muted_conversations_out_of_the_total(ana: Client, ben: Client) -> None:
    crew, muted = ana.group(ben), ana.group(ben)
    ben.put(f"/conversations/{muted}/level", {"level": "none"})
    for body, where in (("hi @all", crew), ("hi", crew), (f"@{ben.name}: hi", muted)):
        ana.send(body, at=where)
    state = ben.get("/state").json()
    assert {c["id"]: (c["unread"], c["mentions_unread"]) for c in state["conversations"]} == {crew: (2, 1), muted: (1, 1)}
    assert state["unread_total"] == 2
